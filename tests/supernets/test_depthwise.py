"""A depthwise convolution is torch's, with both gradients, also where its kernel's is put together."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from chronas.supernets.kernels import depthwise


@pytest.mark.parametrize("size", [(8, 8), (7, 5), (2, 1)], ids=["even", "odd", "tiny"])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
def test_value_and_slopes_are_torchs(size: tuple[int, int], stride: int, kernel: int) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, 6, *size, generator=generator, dtype=torch.float64).requires_grad_()
    weight = torch.randn(6, 1, kernel, kernel, generator=generator, dtype=torch.float64).requires_grad_()
    found = depthwise(x.contiguous(memory_format=torch.channels_last), weight, stride)
    wanted = functional.conv2d(x, weight, None, stride, kernel // 2, 1, 6)
    torch.testing.assert_close(found, wanted)
    gradient = torch.randn_like(wanted)
    got, asked = torch.autograd.grad(found, [x, weight], gradient), torch.autograd.grad(wanted, [x, weight], gradient)
    for one, other in zip(got, asked, strict=True):
        torch.testing.assert_close(one, other)


def test_no_gradient_is_made_that_is_not_asked() -> None:
    x, weight = torch.randn(2, 4, 5, 5).requires_grad_(), torch.randn(4, 1, 5, 5)
    assert torch.autograd.grad(depthwise(x, weight, 1).sum(), x)[0].shape == x.shape
    assert weight.grad is None
