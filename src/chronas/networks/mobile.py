"""Networks of inverted residual blocks with any numbers: MobileNetV3, OFA's and BigNAS's spaces, EfficientNet-Lite.

Howard et al., Searching for MobileNetV3, https://arxiv.org/abs/1905.02244; Tan et al.'s EfficientNet-Lite has the same
blocks without squeeze-and-excitation. Every number of channels stands in the plan, so one class builds all of them. A
plan can have its own image size: then the first layer scales the images. This file needs only torch and other files of
networks; an exported model.py contains what it uses. Letters: B images, C channels, H x W size.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import nn

from chronas.networks.cells import DropPath

EPSILON = 1e-5  # torch's default
STEM_KERNEL = 3
EVEN_STRIDE = 2  # the only stride besides 1
ACTIVATIONS: Mapping[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "hardswish": nn.Hardswish,
}


@dataclass(frozen=True)
class InvertedPlan:
    """One inverted residual block.

    Attributes:
        kernel: side of the depthwise convolution.
        channels_in: input channels.
        inner: channels of the depthwise convolution; if equal to `channels_in`, there is no expansion before it.
        channels_out: output channels.
        stride: 2 halves the image, rounding up.
        squeezed: inner channels of squeeze-and-excitation, 0 without it.
        activation: a key of `ACTIVATIONS`.
        trim: rows above and columns to the left by which the padding is smaller, see `with_same_padding`.
    """

    kernel: int
    channels_in: int
    inner: int
    channels_out: int
    stride: int
    squeezed: int
    activation: str
    trim: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class MobilePlan:
    """All data for building a network of inverted residual blocks.

    Attributes:
        image_channels: channels of an image.
        image_size: height and width to which the first layer scales images; None: they stay.
        stem_channels: channels of the first convolution.
        stem_stride: its stride.
        stem_activation: its activation, a key of `ACTIVATIONS`.
        blocks: the blocks.
        head_channels: channels of the last 1x1 convolution, before the global pooling.
        features: outputs of the fully connected layer before the classifier, 0 without such a layer.
        activation: activation of the head.
        classes: number of logits.
        stem_trim: `InvertedPlan.trim` of the first convolution.
        epsilon: number that batch norms add to the variance.
    """

    image_channels: int
    image_size: tuple[int, int] | None
    stem_channels: int
    stem_stride: int
    stem_activation: str
    blocks: tuple[InvertedPlan, ...]
    head_channels: int
    features: int
    activation: str
    classes: int
    stem_trim: tuple[int, int] = (0, 0)
    epsilon: float = EPSILON


class ConvNormAct(nn.Sequential):
    """Convolution without bias, batch norm, activation; an odd `kernel` keeps the size at stride 1."""

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        kernel: int,
        stride: int,
        groups: int,
        activation: str,
        *,
        epsilon: float = EPSILON,
        padded: bool = False,
    ) -> None:
        padding = 0 if padded else kernel // 2  # if it is padded already
        super().__init__(
            nn.Conv2d(channels_in, channels_out, kernel, stride, padding, groups=groups, bias=False),
            nn.BatchNorm2d(channels_out, eps=epsilon),
        )
        if activation:
            self.append(ACTIVATIONS[activation]())


def padding(kernel: int, trim: tuple[int, int]) -> nn.Module:
    """The zeros around an image for a kernel, less `trim` rows above and columns to the left; nothing without trim."""
    (above, left), half = trim, kernel // 2
    return nn.ZeroPad2d((half - left, half, half - above, half)) if any(trim) else nn.Identity()


class SqueezeExcitation(nn.Module):
    """Multiplies each channel by a factor in 0..1 that depends on all channels' means."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.reduce = nn.Conv2d(channels, squeezed, 1)
        self.activation = nn.ReLU()
        self.expand = nn.Conv2d(squeezed, channels, 1)
        self.gate = nn.Hardsigmoid()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, C, H, W] -> [B, C, H, W]."""
        factors: torch.Tensor = self.gate(self.expand(self.activation(self.reduce(self.pool(x)))))
        return x * factors


class MobileBlock(nn.Module):
    """1x1 expansion, depthwise convolution, squeeze-and-excitation, 1x1 projection; added to the input if it fits."""

    def __init__(self, plan: InvertedPlan, epsilon: float = EPSILON) -> None:
        super().__init__()
        inner, act = plan.inner, plan.activation
        self.expand: nn.Module = nn.Identity()
        if inner != plan.channels_in:
            self.expand = ConvNormAct(plan.channels_in, inner, 1, 1, 1, act, epsilon=epsilon)
        self.pad = padding(plan.kernel, plan.trim)
        self.depthwise = ConvNormAct(
            inner, inner, plan.kernel, plan.stride, inner, act, epsilon=epsilon, padded=any(plan.trim)
        )
        self.squeeze = SqueezeExcitation(inner, plan.squeezed) if plan.squeezed else nn.Identity()
        self.project = ConvNormAct(inner, plan.channels_out, 1, 1, 1, "", epsilon=epsilon)
        self.residual = plan.stride == 1 and plan.channels_in == plan.channels_out
        self.drop_path = DropPath()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, C_in, H, W] -> [B, C_out, H / stride, W / stride], rounded up."""
        projected: torch.Tensor = self.project(self.squeeze(self.depthwise(self.pad(self.expand(x)))))
        return x + self.drop_path(projected) if self.residual else projected


class MobileNetwork(nn.Module):
    """A stem, inverted residual blocks, a head; images [B, C, H, W] -> logits [B, classes]."""

    def __init__(self, plan: MobilePlan) -> None:
        super().__init__()
        size = plan.image_size
        self.scale = nn.Upsample(size=size, mode="bilinear", align_corners=False) if size else nn.Identity()
        self.pad = padding(STEM_KERNEL, plan.stem_trim)
        self.stem = ConvNormAct(
            plan.image_channels, plan.stem_channels, STEM_KERNEL, plan.stem_stride, 1, plan.stem_activation,
            epsilon=plan.epsilon, padded=any(plan.stem_trim),
        )  # fmt: skip
        self.blocks = nn.Sequential(*(MobileBlock(block, plan.epsilon) for block in plan.blocks))
        last = plan.blocks[-1].channels_out
        self.head = ConvNormAct(last, plan.head_channels, 1, 1, 1, plan.activation, epsilon=plan.epsilon)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.features: nn.Module = nn.Identity()
        if plan.features:
            linear = nn.Linear(plan.head_channels, plan.features)
            self.features = nn.Sequential(linear, ACTIVATIONS[plan.activation]())
        self.classifier = nn.Linear(plan.features or plan.head_channels, plan.classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """[B, C, H, W] -> [B, classes]."""
        pooled = torch.flatten(self.pool(self.head(self.blocks(self.stem(self.pad(self.scale(images)))))), 1)
        logits: torch.Tensor = self.classifier(self.features(pooled))
        return logits


def rounded_channels(channels: float, multiple: int = 8) -> int:
    """The multiple of 8 nearest to a number of channels, at most a tenth below it, as in MobileNetV3's code."""
    nearest = max(multiple, int(channels + multiple / 2) // multiple * multiple)
    return nearest + multiple if nearest < 0.9 * channels else nearest


def with_same_padding(plan: MobilePlan, pixels: tuple[int, int]) -> MobilePlan:
    """The plan with the padding that TensorFlow calls "same", for images of this height and width.

    At stride 2, an image with an even number of rows has one row of zeros less above, and likewise for columns.
    """

    sides, trims = plan.image_size or pixels, []
    for stride in (plan.stem_stride, *(block.stride for block in plan.blocks)):
        even = int(sides[0] % 2 == 0), int(sides[1] % 2 == 0)
        trims.append(even if stride == EVEN_STRIDE else (0, 0))
        sides = -(-sides[0] // stride), -(-sides[1] // stride)
    blocks = tuple(replace(block, trim=trim) for block, trim in zip(plan.blocks, trims[1:], strict=True))
    return replace(plan, stem_trim=trims[0], blocks=blocks)


# ----
# Published networks, as plans.

LARGE = (  # kernel, inner, out, squeeze-and-excitation, activation, stride; arXiv 1905.02244, table 1
    (3, 16, 16, False, "relu", 1),
    (3, 64, 24, False, "relu", 2),
    (3, 72, 24, False, "relu", 1),
    (5, 72, 40, True, "relu", 2),
    (5, 120, 40, True, "relu", 1),
    (5, 120, 40, True, "relu", 1),
    (3, 240, 80, False, "hardswish", 2),
    (3, 200, 80, False, "hardswish", 1),
    (3, 184, 80, False, "hardswish", 1),
    (3, 184, 80, False, "hardswish", 1),
    (3, 480, 112, True, "hardswish", 1),
    (3, 672, 112, True, "hardswish", 1),
    (5, 672, 160, True, "hardswish", 2),
    (5, 960, 160, True, "hardswish", 1),
    (5, 960, 160, True, "hardswish", 1),
)
SMALL = (  # as LARGE; table 2
    (3, 16, 16, True, "relu", 2),
    (3, 72, 24, False, "relu", 2),
    (3, 88, 24, False, "relu", 1),
    (5, 96, 40, True, "hardswish", 2),
    (5, 240, 40, True, "hardswish", 1),
    (5, 240, 40, True, "hardswish", 1),
    (5, 120, 48, True, "hardswish", 1),
    (5, 144, 48, True, "hardswish", 1),
    (5, 288, 96, True, "hardswish", 2),
    (5, 576, 96, True, "hardswish", 1),
    (5, 576, 96, True, "hardswish", 1),
)
LITE0 = (  # repeats, kernel, stride, expansion, out; EfficientNet-Lite0 (tensorflow/tpu, efficientnet/lite)
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


def mobilenet_v3(variant: str = "large", *, classes: int = 1000, image_channels: int = 3) -> MobilePlan:
    """MobileNetV3-Large or -Small as published: 5,483,032 and 2,542,856 parameters with 1,000 classes.

    Args:
        variant: "large" or "small".
        classes: number of logits.
        image_channels: channels of an image.
    """
    rows, head, features = (LARGE, 960, 1280) if variant == "large" else (SMALL, 576, 1024)
    blocks, channels = [], 16
    for kernel, inner, out, squeeze, activation, stride in rows:
        squeezed = rounded_channels(inner / 4) if squeeze else 0
        blocks.append(InvertedPlan(kernel, channels, inner, out, stride, squeezed, activation))
        channels = out
    return MobilePlan(
        image_channels, None, 16, 2, "hardswish", tuple(blocks), head, features, "hardswish", classes
    )  # fmt: skip


LITE_EPSILON = 1e-3  # of batch norms in EfficientNet-Lite, as in TensorFlow


def efficientnet_lite0(
    *, classes: int = 1000, image_channels: int = 3, pixels: tuple[int, int] = (224, 224)
) -> MobilePlan:
    """EfficientNet-Lite0 as published: 4,652,008 parameters with 1,000 classes.

    Args:
        classes: number of logits.
        image_channels: channels of an image.
        pixels: height and width of an image, on which the padding depends.
    """
    blocks, channels = [], 32
    for repeats, kernel, stride, expansion, out in LITE0:
        for time in range(repeats):
            inner = channels * expansion
            blocks.append(InvertedPlan(kernel, channels, inner, out, 1 if time else stride, 0, "relu6"))
            channels = out
    plan = MobilePlan(
        image_channels, None, 32, 2, "relu6", tuple(blocks), 1280, 0, "relu6", classes, epsilon=LITE_EPSILON
    )  # fmt: skip
    return with_same_padding(plan, pixels)
