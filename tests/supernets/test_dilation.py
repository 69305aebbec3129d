"""Sublattices give what a dilated convolution gives, at even and odd sizes, and lose no pixel."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from chronas.supernets.kernels import batch_to_space, space_to_batch


@given(height=st.integers(1, 9), width=st.integers(1, 9), channels=st.integers(1, 3), batch=st.integers(1, 3))
def test_what_was_taken_apart_comes_together(height: int, width: int, channels: int, batch: int) -> None:
    x = torch.arange(batch * channels * height * width).view(batch, channels, height, width)
    assert torch.equal(batch_to_space(space_to_batch(x), height, width), x)


@pytest.mark.parametrize("size", [(8, 8), (7, 5), (1, 2)])
@pytest.mark.parametrize("kernel", [3, 5])
def test_sublattices_equal_dilation(size: tuple[int, int], kernel: int) -> None:
    torch.manual_seed(0)
    x, weight = torch.randn(3, 6, *size), torch.randn(6, 1, kernel, kernel)
    wanted = functional.conv2d(x, weight, None, 1, kernel - 1, 2, 6)
    found = functional.conv2d(space_to_batch(x), weight, None, 1, kernel // 2, 1, 6)
    torch.testing.assert_close(batch_to_space(found, *size), wanted)
