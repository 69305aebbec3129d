"""Networks that are a chain of blocks, built from a plan of plain data: FBNet's inverted residuals, and convolutions.

As in https://github.com/GATECH-EIC/HW-NAS-Bench (`FBNet_Infer`, `ConvBlock`, `Skip`); unlike there, no operation works
in place, and residual branches can be dropped in training. Blocks in two groups shuffle their channels after the first
convolution. This file needs only torch and cells.py; an exported model.py contains it unchanged. Letters: B images, C
channels, H x W size.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import nn

from chronas.networks.cells import DropPath


@dataclass(frozen=True)
class LayerPlan:
    """One block of the chain.

    Attributes:
        block: a key of `BLOCK_TYPES`, or of the network's own types.
        channels_in: input channels.
        channels_out: output channels.
        stride: 2 halves the image, rounding up.
    """

    block: str
    channels_in: int
    channels_out: int
    stride: int


@dataclass(frozen=True)
class ChainPlan:
    """All data for building a network of blocks in a chain.

    Attributes:
        image_channels: channels of an image.
        stem_stride: stride of the first convolution.
        layers: the blocks; the first one's input channels are the stem's.
        head_channels: channels of the last 1x1 convolution.
        classes: number of logits.
    """

    image_channels: int
    stem_stride: int
    layers: tuple[LayerPlan, ...]
    head_channels: int
    classes: int


@dataclass(frozen=True)
class BlockSpec:
    """The settings of one kind of inverted residual block.

    Attributes:
        kernel: side of the depthwise convolution.
        expansion: ratio of inner channels to input channels.
        groups: groups of the 1x1 convolutions.
    """

    kernel: int
    expansion: int
    groups: int = 1


BLOCKS = {
    "k3_e1": BlockSpec(3, 1),
    "k3_e1_g2": BlockSpec(3, 1, 2),
    "k3_e3": BlockSpec(3, 3),
    "k3_e6": BlockSpec(3, 6),
    "k5_e1": BlockSpec(5, 1),
    "k5_e1_g2": BlockSpec(5, 1, 2),
    "k5_e3": BlockSpec(5, 3),
    "k5_e6": BlockSpec(5, 6),
}
KERNELS = {"conv_3x3": 3, "conv_5x5": 5, "sep_3x3": 3, "sep_5x5": 5}  # of the blocks without expansion


class ConvBN(nn.Sequential):
    """Convolution without bias, batch norm; an odd `kernel` keeps the size at stride 1."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> None:
        super().__init__(
            nn.Conv2d(channels_in, channels_out, kernel, stride, kernel // 2, groups=groups, bias=False),
            nn.BatchNorm2d(channels_out),
        )


class InvertedResidual(nn.Module):
    """1x1 convolution, depthwise convolution, 1x1 convolution; added to the input if the shape stays the same."""

    def __init__(self, plan: LayerPlan) -> None:
        super().__init__()
        form = BLOCKS[plan.block]
        inner = plan.channels_in * form.expansion
        self.expand = nn.Sequential(ConvBN(plan.channels_in, inner, groups=form.groups), nn.ReLU())
        self.shuffle = nn.ChannelShuffle(form.groups) if form.groups > 1 else nn.Identity()
        self.depthwise = nn.Sequential(ConvBN(inner, inner, form.kernel, plan.stride, inner), nn.ReLU())
        self.project = ConvBN(inner, plan.channels_out, groups=form.groups)
        self.residual = plan.stride == 1 and plan.channels_in == plan.channels_out
        self.drop_path = DropPath()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, C_in, H, W] -> [B, C_out, H / stride, W / stride], rounded up."""
        projected: torch.Tensor = self.project(self.depthwise(self.shuffle(self.expand(x))))
        return x + self.drop_path(projected) if self.residual else projected


class ConvLayer(nn.Module):
    """A convolution over all channels, batch norm and ReLU; added to the input if the shape stays the same."""

    def __init__(self, plan: LayerPlan) -> None:
        super().__init__()
        kernel = KERNELS[plan.block]
        self.conv = nn.Sequential(ConvBN(plan.channels_in, plan.channels_out, kernel, plan.stride), nn.ReLU())
        self.residual = plan.stride == 1 and plan.channels_in == plan.channels_out
        self.drop_path = DropPath()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, C_in, H, W] -> [B, C_out, H / stride, W / stride], rounded up."""
        found: torch.Tensor = self.conv(x)
        return x + self.drop_path(found) if self.residual else found


class SeparableLayer(nn.Module):
    """MobileNet's depthwise convolution and 1x1 convolution; added to the input if the shape stays the same."""

    def __init__(self, plan: LayerPlan) -> None:
        super().__init__()
        kernel, inner = KERNELS[plan.block], plan.channels_in
        self.depthwise = nn.Sequential(ConvBN(inner, inner, kernel, plan.stride, inner), nn.ReLU())
        self.pointwise = nn.Sequential(ConvBN(inner, plan.channels_out), nn.ReLU())
        self.residual = plan.stride == 1 and plan.channels_in == plan.channels_out
        self.drop_path = DropPath()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, C_in, H, W] -> [B, C_out, H / stride, W / stride], rounded up."""
        found: torch.Tensor = self.pointwise(self.depthwise(x))
        return x + self.drop_path(found) if self.residual else found


class SkipLayer(nn.Sequential):
    """The identity (no module at all) if the shape stays the same; else 1x1 convolution, batch norm and ReLU."""

    def __init__(self, plan: LayerPlan) -> None:
        super().__init__()
        if plan.stride > 1 or plan.channels_in != plan.channels_out:
            self.append(ConvBN(plan.channels_in, plan.channels_out, 1, plan.stride))
            self.append(nn.ReLU())


BLOCK_TYPES: Mapping[str, Callable[..., nn.Module]] = {
    **dict.fromkeys(BLOCKS, InvertedResidual),
    "conv_3x3": ConvLayer,
    "conv_5x5": ConvLayer,
    "sep_3x3": SeparableLayer,
    "sep_5x5": SeparableLayer,
    "skip": SkipLayer,
}


def make_block(plan: LayerPlan, types: Mapping[str, Callable[..., nn.Module]] = BLOCK_TYPES) -> nn.Module:
    """The module of one block, [B, C_in, H, W] -> [B, C_out, H / stride, W / stride], rounded up.

    Args:
        plan: kind and place of the block.
        types: the class of each kind; it is called with the plan.
    """
    return types[plan.block](plan)


class ChainNetwork(nn.Module):
    """A stem, a chain of blocks, a head; images [B, C, H, W] -> logits [B, classes]."""

    def __init__(self, plan: ChainPlan, types: Mapping[str, Callable[..., nn.Module]] = BLOCK_TYPES) -> None:
        super().__init__()
        first, last = plan.layers[0].channels_in, plan.layers[-1].channels_out
        self.stem = nn.Sequential(ConvBN(plan.image_channels, first, 3, plan.stem_stride), nn.ReLU())
        self.blocks = nn.Sequential(*(make_block(layer, types) for layer in plan.layers))
        self.head = nn.Sequential(ConvBN(last, plan.head_channels), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
        self.classifier = nn.Linear(plan.head_channels, plan.classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """[B, C, H, W] -> [B, classes]."""
        logits: torch.Tensor = self.classifier(torch.flatten(self.head(self.blocks(self.stem(images))), 1))
        return logits
