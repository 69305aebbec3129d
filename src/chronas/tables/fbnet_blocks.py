"""The blocks that HW-NAS-Bench's look-up tables are keyed by: what an FBNet architecture's cost is the sum of.

Macro structure and keys as in `fbnet_get_metrics` of https://github.com/GATECH-EIC/HW-NAS-Bench (MIT), arXiv
2103.10584: 22 layers of 9 operations between a stem, a 1x1 header, average pooling and the classifier. H and W in a key
are the sides of the block's input.
"""

from __future__ import annotations

from dataclasses import dataclass

BLOCKS = {  # operation -> (expansion, kernel, groups), in the order of HW-NAS-Bench's indices; `skip` is the last
    "k3_e1": (1, 3, 1),
    "k3_e1_g2": (1, 3, 2),
    "k3_e3": (3, 3, 1),
    "k3_e6": (6, 3, 1),
    "k5_e1": (1, 5, 1),
    "k5_e1_g2": (1, 5, 2),
    "k5_e3": (3, 5, 1),
    "k5_e6": (6, 5, 1),
}
OPERATIONS = (*BLOCKS, "skip")
STAGES = ((1, 16), (4, 24), (4, 32), (4, 64), (4, 112), (4, 184), (1, 352))  # layers, channels
LAYERS = sum(layers for layers, _ in STAGES)
STEM_CHANNELS = 16
IMAGE_CHANNELS = 3


@dataclass(frozen=True)
class Macro:
    """What a data set fixes of the networks.

    Attributes:
        side: of its images, in pixels.
        stem_stride: of the stem.
        strides: of the first layer of each stage.
        header: channels of the header.
        classes: of the classifier.
    """

    side: int
    stem_stride: int
    strides: tuple[int, ...]
    header: int
    classes: int


MACROS = {
    "cifar100": Macro(32, 1, (1, 1, 2, 2, 1, 2, 1), 1504, 100),
    "ImageNet": Macro(224, 2, (1, 2, 2, 2, 1, 2, 1), 1984, 1000),
}


def block_keys(macro: Macro) -> tuple[dict[str, str], list[list[str]]]:
    """The keys of the parts that all architectures have, by name, and of the 9 operations of each of the 22 layers."""
    side, channels = macro.side, STEM_CHANNELS
    stem = _convolution(side, IMAGE_CHANNELS, STEM_CHANNELS, 3, macro.stem_stride)
    side //= macro.stem_stride
    layers = []
    for (count, width), first in zip(STAGES, macro.strides, strict=True):
        for stride in (first, *([1] * (count - 1))):
            layers.append(_layer(side, channels, width, stride))
            side, channels = side // stride, width
    shape = f"H{side}_W{side}_Cin{macro.header}_Cout{macro.header}"
    fixed = {
        "stem": stem,
        "header": _convolution(side, channels, macro.header, 1, 1),
        "average_pool": f"AvgP_{shape}_kernel{side}_stride1",
        "classifier": f"FC_Cin{macro.header}_Cout{macro.classes}",
    }
    return fixed, layers


def _convolution(side: int, inputs: int, outputs: int, kernel: int, stride: int) -> str:
    return f"ConvNorm_H{side}_W{side}_Cin{inputs}_Cout{outputs}_kernel{kernel}_stride{stride}_group1"


def _layer(side: int, inputs: int, outputs: int, stride: int) -> list[str]:
    shape = f"H{side}_W{side}_Cin{inputs}_Cout{outputs}"
    blocks = [
        f"ConvBlock_{shape}_exp{expansion}_kernel{kernel}_stride{stride}_group{groups}"
        for expansion, kernel, groups in BLOCKS.values()
    ]
    return [*blocks, f"Skip_{shape}_stride{stride}"]
