"""Sublattices give what a dilated convolution gives, at even and odd sizes, forward and backward."""

from __future__ import annotations

import pytest
import torch

from chronas.networks import make_operation
from chronas.supernets.dilation import SublatticeConv, without_dilation


@pytest.mark.parametrize("size", [(8, 8), (7, 5), (1, 2)])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [3, 5])
def test_sublattices_equal_dilation(size: tuple[int, int], stride: int, kernel: int) -> None:
    torch.manual_seed(0)
    dilated = torch.nn.Conv2d(6, 6, kernel, stride, padding=kernel - 1, dilation=2, groups=6, bias=False)
    plain = SublatticeConv(6, kernel, stride)
    plain.conv.weight.data.copy_(dilated.weight)
    x = torch.randn(3, 6, *size).contiguous(memory_format=torch.channels_last).requires_grad_()
    expected, found = dilated(x), plain(x)
    torch.testing.assert_close(found, expected)
    slope = torch.randn_like(expected)
    wanted = torch.autograd.grad(expected, [x, dilated.weight], slope)
    got = torch.autograd.grad(found, [x, plain.conv.weight], slope)
    for one, other in zip(got, wanted, strict=True):
        torch.testing.assert_close(one, other)


def test_only_dilated_convolutions_are_replaced() -> None:
    operation = without_dilation(make_operation("dil_conv_5x5", 6, 1, affine=False))
    assert [type(module).__name__ for module in operation.children()] == [
        "ReLU",
        "SublatticeConv",
        "Conv2d",
        "BatchNorm2d",
    ]
    separable = without_dilation(make_operation("sep_conv_3x3", 6, 1, affine=False))
    assert not any(isinstance(module, SublatticeConv) for module in separable.modules())
