"""The layers that cost something on an accelerator, with all that their cost depends on, and how many a network has.

Convolutions, fully connected layers and poolings count. Norms, which fold into convolutions, activations, paddings,
sums and concatenations do not, as in HW-NAS-Bench (arXiv 2103.10584). All networks of a space have few different
layers (NAS-Bench-201 about 15): their workloads are a sum over the slots of the encoding, as MACs are. W slots.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from torch import nn

from chronas.errors import UsageError
from chronas.networks.build import cell_topology, chain, edgeless
from chronas.networks.cells import Network, is_even
from chronas.networks.graph import NORMS, Graph, trace
from chronas.networks.layers import ChainNetwork, make_block
from chronas.networks.operations import make_operation
from chronas.spaces import LayerTopology

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from torch import fx

    from chronas.networks.cells import Size
    from chronas.networks.layers import LayerPlan
    from chronas.spaces import Cell, Skeleton, Space

POOLINGS = (nn.AvgPool2d, nn.MaxPool2d, nn.AdaptiveAvgPool2d)


@dataclass(frozen=True)
class Layer:
    """One convolution or pooling on one image. A fully connected layer is a 1x1 convolution of one pixel.

    Dilation is left out: it changes what is read where, not how much is computed.

    Attributes:
        kind: what is done in each window.
        inputs: input channels.
        outputs: output channels.
        kernel: height and width of the window.
        stride: vertical and horizontal step of the window.
        input_size: height and width of the input, without padding.
        output_size: height and width of the output.
        groups: parts into which the channels are divided; a pooling has one for each channel.
    """

    kind: Literal["convolution", "pooling"]
    inputs: int
    outputs: int
    kernel: Size
    stride: Size
    input_size: Size
    output_size: Size
    groups: int = 1

    @property
    def macs(self) -> int:
        """Multiply-accumulates of a convolution; what a pooling adds or compares."""
        return self.outputs * math.prod(self.output_size) * math.prod(self.kernel) * self.inputs // self.groups

    @property
    def is_global(self) -> bool:
        """Whether a pooling makes one number of each channel."""
        return self.kind == "pooling" and self.output_size == (1, 1)


Workload = Counter[Layer]  # how often each layer stands in a network


def workload(network: nn.Module, input_shape: tuple[int, int, int]) -> Workload:
    """The layers of a network in eval mode; those whose result nothing uses are among them.

    Args:
        network: images [B, C, H, W] -> any tensor; it is not run.
        input_shape: channels, height and width of one image.

    Raises:
        UsageError: the network cannot be traced, does not fit the input, or has another layer with weights than
            convolutions, fully connected layers and norms.
    """
    graph = trace(network, input_shape)
    return Counter(layer for node in graph.nodes if node.op == "call_module" for layer in _layers(graph, node))


def slot_workloads(space: Space, skeleton: Skeleton) -> tuple[Workload, list[Workload]]:
    """What all networks of a space have, and what each slot of the encoding adds, in all its places [W].

    Raises:
        UsageError: the space does not have the skeleton's stem or width.
    """
    if isinstance(space.topology, LayerTopology):
        base, found = _of_layers(space, space.topology, skeleton)
    else:
        base, found = _of_cells(space, skeleton)
    return base, [found[slot] for slot in space.slots]


def _of_cells(space: Space, skeleton: Skeleton) -> tuple[Workload, dict[tuple[int, int], Workload]]:
    """The layers of everything but the edges, and those of each option of each decision."""
    blueprint = edgeless(space, skeleton)
    found: dict[tuple[int, int], Workload] = {}
    seen: dict[tuple[str, int, int, Size], Workload] = {}

    def operation(name: str, channels: int, stride: int, size: Size) -> Workload:
        key = (name, channels, stride, size)
        if key not in seen:
            seen[key] = workload(make_operation(name, channels, stride, even=is_even(size)), (channels, *size))
        return seen[key]

    for cell in cell_topology(space).cells:
        blocks = Counter((block.channels, block.sizes[-1]) for block in blueprint.blocks if block.kind == cell.name)
        for edge in range(len(cell.edges)):
            decision = cell.decision(edge)
            for option, name in enumerate(space.decisions[decision].options):
                found[decision, option] = _total(operation, name, cell, edge, blocks)
    return workload(Network(blueprint), skeleton.input_shape), found


def _of_layers(
    space: Space, topology: LayerTopology, skeleton: Skeleton
) -> tuple[Workload, dict[tuple[int, int], Workload]]:
    """The layers of stem and head, and those of each option of each decision; no block's shape depends on others."""
    found: dict[tuple[int, int], Workload] = {(d, o): Counter() for d, o in space.slots}
    seen: dict[tuple[LayerPlan, Size], Workload] = {}
    for option in range(len(space.decisions[0].options)):
        blueprint = chain(space, topology, skeleton, [decision.options[option] for decision in space.decisions])
        size = _strided((skeleton.input_shape[1], skeleton.input_shape[2]), blueprint.stem_stride)
        for place, layer in enumerate(blueprint.layers):
            if (layer, size) not in seen:
                seen[layer, size] = workload(make_block(layer), (layer.channels_in, *size))
            found[place // skeleton.depth, option].update(seen[layer, size])
            size = _strided(size, layer.stride)
    whole = workload(ChainNetwork(blueprint), skeleton.input_shape)
    for decision in range(len(space.decisions)):
        whole.subtract(found[decision, option])
    return +whole, found


def _strided(size: Size, stride: int) -> Size:
    return math.ceil(size[0] / stride), math.ceil(size[1] / stride)


def _total(
    operation: Callable[[str, int, int, Size], Workload],
    name: str,
    cell: Cell,
    edge: int,
    blocks: Counter[tuple[int, Size]],
) -> Workload:
    """The layers of an operation on one edge in all blocks of a cell; edges between nodes stand behind the stride."""
    from_input = cell.edges[edge][0] < cell.inputs
    stride, behind = (cell.stride, 1) if from_input else (1, cell.stride)
    total: Workload = Counter()
    for (channels, (height, width)), times in blocks.items():
        for layer, number in operation(name, channels, stride, _strided((height, width), behind)).items():
            total[layer] += times * number
    return total


def _layers(graph: Graph, node: fx.Node) -> Iterable[Layer]:
    module = graph.layer(node)
    (before, size_before), (after, size_after) = _sized(graph, node.all_input_nodes[0]), _sized(graph, node)
    if isinstance(module, nn.Linear):
        yield Layer("convolution", module.in_features, module.out_features, (1, 1), (1, 1), (1, 1), (1, 1))
    elif isinstance(module, nn.Conv2d):
        channels, kernel, stride = (before, after), _pair(module.kernel_size), _pair(module.stride)
        yield Layer("convolution", *channels, kernel, stride, size_before, size_after, module.groups)
    elif isinstance(module, POOLINGS):
        kernel, stride = _window(module, size_before, size_after)
        yield Layer("pooling", before, after, kernel, stride, size_before, size_after, before)
    elif not isinstance(module, NORMS) and next(module.parameters(), None) is not None:
        known = "Conv2d, Linear or a norm"
        raise UsageError(f"{node.target} is a {type(module).__name__}, whose cost is not known: use {known}")


def _sized(graph: Graph, node: fx.Node) -> tuple[int, Size]:
    """Channels and size of a node's tensor; one that has been flattened is of one pixel."""
    _, channels, *size = graph.shape(node)
    return channels, (size[0], size[1]) if size else (1, 1)


def _window(module: nn.AvgPool2d | nn.MaxPool2d | nn.AdaptiveAvgPool2d, before: Size, after: Size) -> tuple[Size, Size]:
    """Kernel and stride of a pooling; an adaptive one divides its input evenly, rounding up."""
    if isinstance(module, nn.AdaptiveAvgPool2d):
        even = -(-before[0] // after[0]), -(-before[1] // after[1])
        return even, even
    return _pair(module.kernel_size), _pair(module.stride)


def _pair(value: int | tuple[int, ...]) -> Size:
    return (value, value) if isinstance(value, int) else (value[0], value[1])
