"""The blocks that HW-NAS-Bench's look-up tables are keyed by: what an FBNet architecture's cost is the sum of.

Keys as in `fbnet_get_metrics` of https://github.com/GATECH-EIC/HW-NAS-Bench (MIT), arXiv 2103.10584: stem, 22 layers,
1x1 header, average pooling and classifier. H and W in a key are the sides of the block's input.
"""

from __future__ import annotations

import re

from chronas.spaces import LayerTopology, Skeleton, make_space

DATASETS = {"cifar100": "cifar100", "ImageNet": "imagenet"}  # official name -> skeleton
OPERATIONS = make_space("fbnet").decisions[0].options  # in the order of HW-NAS-Bench's numbers
LAYERS = len(make_space("fbnet").decisions)
BLOCK = re.compile(r"k(?P<kernel>\d+)_e(?P<expansion>\d+)(?:_g(?P<groups>\d+))?")


def block_keys(skeleton: Skeleton) -> tuple[dict[str, str], list[list[str]]]:
    """The keys of the parts that all architectures have, by name, and of the operations of each layer."""
    topology = make_space("fbnet").topology
    assert isinstance(topology, LayerTopology)
    colours, side, _ = skeleton.input_shape
    stride, *strides = topology.strides[skeleton.stem]
    channels, header = topology.width, topology.heads[skeleton.stem]
    fixed = {"stem": _convolution(side, colours, channels, 3, stride)}
    side //= stride
    layers = []
    for width, stride in zip(topology.widths, strides, strict=True):
        shape = f"H{side}_W{side}_Cin{channels}_Cout{width}"
        layers.append([_layer(operation, shape, stride) for operation in OPERATIONS])
        side, channels = side // stride, width
    fixed |= {
        "header": _convolution(side, channels, header, 1, 1),
        "average_pool": f"AvgP_H{side}_W{side}_Cin{header}_Cout{header}_kernel{side}_stride1",
        "classifier": f"FC_Cin{header}_Cout{skeleton.classes}",
    }
    return fixed, layers


def _convolution(side: int, inputs: int, outputs: int, kernel: int, stride: int) -> str:
    return f"ConvNorm_H{side}_W{side}_Cin{inputs}_Cout{outputs}_kernel{kernel}_stride{stride}_group1"


def _layer(operation: str, shape: str, stride: int) -> str:
    block = BLOCK.fullmatch(operation)
    if block is None:
        return f"Skip_{shape}_stride{stride}"
    rest = f"exp{block['expansion']}_kernel{block['kernel']}_stride{stride}_group{block['groups'] or 1}"
    return f"ConvBlock_{shape}_{rest}"
