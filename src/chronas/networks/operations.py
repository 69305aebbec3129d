"""The operations of the cell spaces as plain torch modules.

DARTS, https://github.com/quark0/darts (cnn/operations.py), and NAS-Bench-201, https://github.com/D-X-Y/AutoDL-Projects
(cell_operations.py). No operation works in place. Unlike the originals, images of odd size are padded before they are
halved. This file needs only torch; an exported model.py contains it unchanged. Letters: B images, C channels, H x W
pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn


@dataclass(frozen=True)
class OpSpec:
    """The place of an operation in a cell.

    Attributes:
        channels: C of its input and output.
        stride: 2 halves the image, rounding up.
        affine: whether batch norms have a scale and a shift.
        even: whether height and width are known to be even, so that halving needs no padding.
    """

    channels: int
    stride: int = 1
    affine: bool = True
    even: bool = False


class Zero(nn.Module):
    """DARTS's and NAS-Bench-201's `none`: zeros of the strided shape."""

    def __init__(self, place: OpSpec) -> None:
        super().__init__()
        self.stride = place.stride

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, C, H, W] -> zeros [B, C, H / stride, W / stride], rounded up."""
        return torch.zeros_like(x if self.stride == 1 else x[:, :, :: self.stride, :: self.stride])


class ReLUConvBN(nn.Sequential):
    """ReLU, convolution without bias, batch norm; an odd `kernel` keeps the size at stride 1."""

    def __init__(
        self, channels_in: int, channels_out: int, kernel: int = 1, stride: int = 1, *, affine: bool = True
    ) -> None:
        super().__init__(
            nn.ReLU(),
            nn.Conv2d(channels_in, channels_out, kernel, stride, kernel // 2, bias=False),
            nn.BatchNorm2d(channels_out, affine=affine),
        )


class FactorizedReduce(nn.Module):
    """Halves the image by two 1x1 convolutions of stride 2, one of them shifted by a pixel."""

    def __init__(self, channels_in: int, channels_out: int, *, affine: bool = True, even: bool = False) -> None:
        super().__init__()
        half = channels_out // 2
        self.relu = nn.ReLU()
        self.pad = nn.Identity() if even else nn.ZeroPad2d((0, 1, 0, 1))
        self.conv_1 = nn.Conv2d(channels_in, half, 1, 2, bias=False)
        self.conv_2 = nn.Conv2d(channels_in, channels_out - half, 1, 2, bias=False)
        self.bn = nn.BatchNorm2d(channels_out, affine=affine)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, C_in, H, W] -> [B, C_out, H / 2, W / 2], rounded up."""
        x = self.relu(x)
        further = self.pad(x)[:, :, 1:, 1:]
        halved: torch.Tensor = self.bn(torch.cat([self.conv_1(x), self.conv_2(further)], dim=1))
        return halved


class MaxPool3x3(nn.Sequential):
    """3x3 maximum."""

    def __init__(self, place: OpSpec) -> None:
        super().__init__(nn.MaxPool2d(3, place.stride, padding=1))


class AvgPool3x3(nn.Sequential):
    """3x3 mean over the pixels inside the image."""

    def __init__(self, place: OpSpec) -> None:
        super().__init__(nn.AvgPool2d(3, place.stride, padding=1, count_include_pad=False))


class Skip(nn.Sequential):
    """The identity (no module at all) at stride 1, a `FactorizedReduce` at stride 2."""

    def __init__(self, place: OpSpec) -> None:
        super().__init__()
        if place.stride > 1:
            self.append(FactorizedReduce(place.channels, place.channels, affine=place.affine, even=place.even))


class SeparableConv(nn.Sequential):
    """Two times: ReLU, depthwise convolution, 1x1 convolution, batch norm; the first one has the stride."""

    kernel: ClassVar[int]

    def __init__(self, place: OpSpec) -> None:
        channels = place.channels
        layers: list[nn.Module] = []
        for stride in (place.stride, 1):
            layers += [
                nn.ReLU(),
                nn.Conv2d(channels, channels, self.kernel, stride, self.kernel // 2, groups=channels, bias=False),
                nn.Conv2d(channels, channels, 1, bias=False),
                nn.BatchNorm2d(channels, affine=place.affine),
            ]
        super().__init__(*layers)


class SepConv3x3(SeparableConv):
    """3x3 separable convolution."""

    kernel = 3


class SepConv5x5(SeparableConv):
    """5x5 separable convolution."""

    kernel = 5


class DilatedConv(nn.Sequential):
    """ReLU, depthwise convolution of dilation 2, 1x1 convolution, batch norm."""

    kernel: ClassVar[int]

    def __init__(self, place: OpSpec) -> None:
        channels, padding = place.channels, self.kernel - 1
        super().__init__(
            nn.ReLU(),
            nn.Conv2d(channels, channels, self.kernel, place.stride, padding, dilation=2, groups=channels, bias=False),
            nn.Conv2d(channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels, affine=place.affine),
        )


class DilConv3x3(DilatedConv):
    """3x3 convolution of dilation 2."""

    kernel = 3


class DilConv5x5(DilatedConv):
    """5x5 convolution of dilation 2."""

    kernel = 5


class NorConv1x1(ReLUConvBN):
    """NAS-Bench-201's 1x1 convolution."""

    def __init__(self, place: OpSpec) -> None:
        super().__init__(place.channels, place.channels, 1, place.stride, affine=place.affine)


class NorConv3x3(ReLUConvBN):
    """NAS-Bench-201's 3x3 convolution."""

    def __init__(self, place: OpSpec) -> None:
        super().__init__(place.channels, place.channels, 3, place.stride, affine=place.affine)


OPERATIONS: Mapping[str, Callable[..., nn.Module]] = {
    "none": Zero,
    "max_pool_3x3": MaxPool3x3,
    "avg_pool_3x3": AvgPool3x3,
    "skip_connect": Skip,
    "sep_conv_3x3": SepConv3x3,
    "sep_conv_5x5": SepConv5x5,
    "dil_conv_3x3": DilConv3x3,
    "dil_conv_5x5": DilConv5x5,
    "nor_conv_1x1": NorConv1x1,
    "nor_conv_3x3": NorConv3x3,
}


def make_operation(
    name: str,
    channels: int,
    stride: int,
    *,
    affine: bool = True,
    even: bool = False,
    types: Mapping[str, Callable[..., nn.Module]] = OPERATIONS,
) -> nn.Module:
    """The operation of a name, [B, C, H, W] -> [B, C, H / stride, W / stride], rounded up.

    Args:
        name: a key of `types`; another name raises `KeyError`, because spaces use only known names.
        channels: C.
        stride: 1 or 2.
        affine: whether batch norms have a scale and a shift; a supernet's have none.
        even: whether height and width are known to be even, so that no padding is needed; this affects speed only.
        types: the class of each operation; it is called with an `OpSpec`.
    """
    return types[name](OpSpec(channels, stride, affine, even))
