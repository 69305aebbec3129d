"""Layers, MACs and parameters: of one network, and of all networks of a space at once.

A `Layer` has all properties that its cost on an accelerator depends on. MACs count convolutions, fully connected layers
and matrix products for one example, without biases, norms, pooling and sums (`flops_M` of NAS-Bench-201 is this plus 10
for the classifier's bias). The work of a space is a base plus a part for each slot of the encoding, so one matrix
product counts any number of architectures. Letters: `N` architectures, `W` slots.
"""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import fx, nn
from torch.nn import functional as F  # noqa: N812 - the field's name

from chronas.networks.cells import is_even
from chronas.networks.construction import build
from chronas.networks.graph import (
    NORMS,
    Graph,
    UntraceableError,
    eval_mode,
    multiplications,
    parameters_of,
    peak_activation_bytes,
    trace,
)
from chronas.networks.layers import make_block
from chronas.networks.operations import make_operation

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chronas.networks.cells import NetworkPlan, Size
    from chronas.networks.layers import LayerPlan
    from chronas.spaces import Architecture, Cell, CellTopology, LayerTopology, NetworkSize, Space

CONVOLUTIONS = (F.conv2d, torch.conv2d)
POOLINGS = (nn.AvgPool2d, nn.MaxPool2d, nn.AdaptiveAvgPool2d)
PRODUCTS = frozenset(
    {"matmul", "bmm", "mm", "addmm", "baddbmm", "einsum", "linear", "scaled_dot_product_attention", "conv1d", "conv3d"}
    | {"conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "conv2d", "convolution", "_convolution"}  # of aten
)


@dataclass(frozen=True)
class Layer:
    """One layer on one example. A fully connected layer is a 1x1 convolution of one pixel, or of one pixel a token.

    Dilation is left out: it changes the pixels that are read, not the amount of computation.

    Attributes:
        kind: the computation in each window; for an "other" layer only the MACs are known.
        inputs: input channels.
        outputs: output channels.
        kernel: height and width of the window.
        stride: vertical and horizontal step of the window.
        input_size: height and width of the input, without padding.
        output_size: height and width of the output.
        groups: number of groups of channels; a pooling has one for each channel.
        name: class or function of an "other" layer.
        multiplications: MACs of an "other" layer.
    """

    kind: Literal["convolution", "pooling", "other"]
    inputs: int
    outputs: int
    kernel: Size
    stride: Size
    input_size: Size
    output_size: Size
    groups: int = 1
    name: str = ""
    multiplications: int = 0

    @property
    def macs(self) -> int:
        """Multiply-accumulates of a convolution or another layer; for a pooling, the numbers added or compared."""
        if self.kind == "other":
            return self.multiplications
        return self.outputs * math.prod(self.output_size) * math.prod(self.kernel) * self.inputs // self.groups

    @property
    def is_global(self) -> bool:
        """Whether this is a pooling that reduces each channel to one number."""
        return self.kind == "pooling" and self.output_size == (1, 1)


Workload = Counter[Layer]  # layer -> number of times that it occurs in a network


@dataclass(frozen=True)
class Work:
    """The layers and parameters of a network or of a part of it; a difference can contain negative numbers.

    Attributes:
        layers: layer -> number of times that it occurs.
        parameters: number of trainable parameters.
    """

    layers: Workload = field(default_factory=Counter)
    parameters: int = 0

    @classmethod
    def of(cls, network: nn.Module, input_shape: tuple[int, ...]) -> Work:
        """The work of a network in eval mode, without running it; raises as `workload`."""
        return cls(workload(network, input_shape), sum(parameter.numel() for parameter in network.parameters()))

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one example."""
        return sum(layer.macs * times for layer, times in self.layers.items() if layer.kind != "pooling")

    def plus(self, other: Work, times: int = 1) -> Work:
        """The sum of this and `times` times the other."""
        layers = Counter(self.layers)
        for layer, number in other.layers.items():
            layers[layer] += times * number
        return Work(Counter({layer: n for layer, n in layers.items() if n}), self.parameters + times * other.parameters)


@dataclass(frozen=True)
class SpaceWork:
    """The work of all networks of a space.

    Attributes:
        base: the part that all networks share.
        slots: the part of each slot of the encoding, summed over all its places in the network [W].
    """

    base: Work
    slots: tuple[Work, ...]


def workload(network: nn.Module, input_shape: tuple[int, ...]) -> Workload:
    """The layers of a network in eval mode, including layers whose result is not used.

    Args:
        network: examples [B, ...] -> any tensor; it is not run.
        input_shape: shape of one example: channels, height and width of an image.

    Raises:
        UsageError: the network cannot be traced, or does not fit the input.
    """
    return graph_layers(trace(network, input_shape))


def graph_layers(graph: Graph) -> Workload:
    """The layers of a traced network."""
    return Counter(layer for node in graph.nodes for layer in _layers(graph, node))


@dataclass(frozen=True)
class Counts:
    """Analytical counts of a network.

    Attributes:
        macs: multiply-accumulates of convolutions, fully connected layers and matrix products, for one example.
        parameters: trainable parameters, without layers that eval mode does not use (auxiliary head).
        peak_activation_bytes: the largest memory that inputs and outputs of layers take at one time, for the whole
            batch in fp32. Layers run in graph order and not in place; views count as copies; weights do not count. None
            if torch.fx cannot trace the network because its steps depend on the input's values.
    """

    macs: int
    parameters: int
    peak_activation_bytes: int | None


def count(network: nn.Module, input_shape: tuple[int, ...], batch: int = 1) -> Counts:
    """MACs, parameters and peak activation memory of a network; its mode does not change.

    The network is not run, unless it cannot be traced: then it runs once on an example of zeros.

    Args:
        network: examples [B, ...] -> outputs [B, ...].
        input_shape: shape of one example: channels, height and width of an image.
        batch: number of examples for the peak activation memory.

    Raises:
        UsageError: the network does not fit the input.
    """
    try:
        graph = trace(network, input_shape, batch)
    except UntraceableError:
        parameters = list(network.parameters())
        zeros = torch.zeros(1, *input_shape, device=parameters[0].device if parameters else None)
        with eval_mode(network):
            macs = multiplications(lambda: network(zeros))
        return Counts(macs, sum(parameter.numel() for parameter in parameters), None)
    return Counts(Work(graph_layers(graph)).macs, parameters_of(graph), peak_activation_bytes(graph))


@functools.lru_cache(maxsize=64)
def space_work(space: Space, size: NetworkSize) -> SpaceWork:
    """The work of all networks of a space.

    Raises:
        UsageError: the space does not have the size's stem or width, or a network cannot be traced.
    """
    space.topology.check(space, size)
    return space.topology.work(space, size)


@dataclass(frozen=True, eq=False)
class SpaceCounts:
    """MACs and parameters of all networks of a space; equal to the counts of the built networks.

    Attributes:
        base_macs: MACs of everything that is not chosen: stem, preprocessing, residual blocks, head.
        slot_macs: MACs of each slot, summed over all its places in the network [W].
        base_parameters: as `base_macs`, without an auxiliary head.
        slot_parameters: as `slot_macs` [W].
    """

    base_macs: int
    slot_macs: NDArray[np.float64]
    base_parameters: int
    slot_parameters: NDArray[np.float64]

    def macs(self, codes: NDArray[Any]) -> NDArray[np.float64]:
        """MACs of one example [N] for encodings [N, W]."""
        return self.base_macs + codes.astype(np.float64) @ self.slot_macs

    def parameters(self, codes: NDArray[Any]) -> NDArray[np.float64]:
        """Parameters [N] for encodings [N, W]."""
        return self.base_parameters + codes.astype(np.float64) @ self.slot_parameters


@functools.lru_cache(maxsize=64)
def space_counts(space: Space, size: NetworkSize) -> SpaceCounts:
    """MACs and parameters of a space as a base and one constant for each slot; raises as `space_work`."""
    work = space_work(space, size)
    return SpaceCounts(
        work.base.macs,
        np.array([slot.macs for slot in work.slots], dtype=np.float64),
        work.base.parameters,
        np.array([slot.parameters for slot in work.slots], dtype=np.float64),
    )


def work_by_differences(space: Space, size: NetworkSize) -> SpaceWork:
    """The work of a space by differences: one network for each slot is compared with a reference network.

    Used for topologies without their own method. The reference takes the first choice everywhere; its slots add nothing
    to the base.
    """
    reference = space.first()
    base = Work.of(build(reference, size), size.input_shape)
    slots = [
        Work.of(build(one, size), size.input_shape).plus(base, -1) if one != reference else Work()
        for one in (_with_slot(space, reference, *slot) for slot in space.slots)
    ]
    return SpaceWork(base, tuple(slots))


def _with_slot(space: Space, reference: Architecture, decision: int, option: int) -> Architecture:
    """The reference with another choice; if its decision is not kept, it replaces the group's last kept one."""
    choices = list(reference.choices)
    group = next(group for group in space.groups if decision in group.decisions)
    if choices[decision] is None:
        choices[[d for d in group.decisions if choices[d] is not None][-1]] = None
    choices[decision] = option
    return space.architecture(choices)


def cell_work(space: Space, topology: CellTopology, size: NetworkSize) -> SpaceWork:
    """The work outside of the edges, and that of each option of each edge, summed over all cells of its kind."""
    plan = topology.edgeless(size)
    types, seen = topology.types, dict[tuple[str, int, int, "Size"], Work]()

    def operation(name: str, channels: int, stride: int, pixels: Size) -> Work:
        key = (name, channels, stride, pixels)
        if key not in seen:
            made = _made(lambda: make_operation(name, channels, stride, even=is_even(pixels), types=types))
            seen[key] = Work.of(made, (channels, *pixels))
        return seen[key]

    found = {
        (cell.decision(edge), option): _edge_work(operation, name, cell, edge, plan)
        for cell in topology.cells
        for edge in range(len(cell.edges))
        for option, name in enumerate(space.decisions[cell.decision(edge)].options)
    }
    base = Work.of(_made(lambda: topology.network(plan)), size.input_shape)
    return SpaceWork(base, tuple(found[slot] for slot in space.slots))


def _edge_work(
    operation: Callable[[str, int, int, Size], Work], name: str, cell: Cell, edge: int, plan: NetworkPlan
) -> Work:
    """The work of an operation on one edge in all blocks of a cell; edges between nodes come after the stride."""
    stride, behind = (cell.stride, 1) if cell.edges[edge][0] < cell.inputs else (1, cell.stride)
    total = Work()
    for (channels, pixels), times in Counter(
        (block.channels, block.sizes[-1]) for block in plan.blocks if block.kind == cell.name
    ).items():
        total = total.plus(operation(name, channels, stride, _strided(pixels, behind)), times)
    return total


def layer_work(space: Space, topology: LayerTopology, size: NetworkSize) -> SpaceWork:
    """The work of stem and head, and of each option of each layer; no block's shape depends on other blocks."""
    seen: dict[tuple[LayerPlan, Size], Work] = {}
    found: dict[tuple[int, int], Work] = {}
    for option in range(max(len(decision.options) for decision in space.decisions)):
        names = [decision.options[min(option, len(decision.options) - 1)] for decision in space.decisions]
        plan = topology.chain(names, size)
        pixels = _strided((size.input_shape[1], size.input_shape[2]), plan.stem_stride)
        totals = [Work() for _ in space.decisions]
        for place, layer in enumerate(plan.layers):
            if (layer, pixels) not in seen:
                block = _made(functools.partial(make_block, layer, topology.types))
                seen[layer, pixels] = Work.of(block, (layer.channels_in, *pixels))
            totals[place // size.depth] = totals[place // size.depth].plus(seen[layer, pixels])
            pixels = _strided(pixels, layer.stride)
        found |= {(d, option): total for d, total in enumerate(totals)}
    base = Work.of(_made(lambda: topology.network(plan)), size.input_shape)
    for total in totals:
        base = base.plus(total, -1)
    return SpaceWork(base, tuple(found[slot] for slot in space.slots))


def _made(make: Callable[[], nn.Module]) -> nn.Module:
    """The module that `make` builds; torch's generator does not change."""
    with torch.random.fork_rng(devices=[]):
        return make()


def _strided(pixels: Size, stride: int) -> Size:
    return math.ceil(pixels[0] / stride), math.ceil(pixels[1] / stride)


def _layers(graph: Graph, node: fx.Node) -> Iterable[Layer]:
    """The layer of a step, or nothing if the step is none."""
    if node.op == "call_module":
        yield from _module_layers(graph, node)
    elif node.op == "call_function" and node.target in CONVOLUTIONS:
        weight = node.args[1] if len(node.args) > 1 else node.kwargs["weight"]
        assert isinstance(weight, fx.Node)
        outputs, share, *kernel = graph.shape(weight)
        (inputs, before), (_, after) = _sized(graph, node.all_input_nodes[0]), _sized(graph, node)
        yield Layer("convolution", inputs, outputs, (kernel[0], kernel[1]), (1, 1), before, after, inputs // share)
    elif node.op in {"call_function", "call_method"} and _name(node) in PRODUCTS:
        yield _other(graph, node, _name(node))


def _module_layers(graph: Graph, node: fx.Node) -> Iterable[Layer]:
    module = graph.layer(node)
    if isinstance(module, nn.Linear):
        tokens = math.prod(graph.shape(node)[1:-1])
        yield Layer("convolution", module.in_features, module.out_features, (1, 1), (1, 1), (tokens, 1), (tokens, 1))
    elif isinstance(module, nn.Conv2d):
        (before, size_before), (after, size_after) = _sized(graph, node.all_input_nodes[0]), _sized(graph, node)
        channels, kernel, stride = (before, after), _pair(module.kernel_size), _pair(module.stride)
        yield Layer("convolution", *channels, kernel, stride, size_before, size_after, module.groups)
    elif isinstance(module, POOLINGS):
        (before, size_before), (after, size_after) = _sized(graph, node.all_input_nodes[0]), _sized(graph, node)
        kernel, stride = _window(module, size_before, size_after)
        yield Layer("pooling", before, after, kernel, stride, size_before, size_after, before)
    elif not isinstance(module, NORMS) and next(module.parameters(), None) is not None:
        yield _other(graph, node, type(module).__name__)


def _other(graph: Graph, node: fx.Node, name: str) -> Layer:
    """A layer of which only the MACs are known, counted by running it on one example of zeros."""
    nothing = (0, 0)
    macs = multiplications(lambda: graph.rerun(node, batch=1))
    return Layer("other", 0, 0, nothing, nothing, nothing, nothing, name=name, multiplications=macs)


def _name(node: fx.Node) -> str:
    named: Any = getattr(node.target, "_opname", node.target)  # an operator of torch.ops has one
    return named if isinstance(named, str) else getattr(named, "__name__", "")


def _sized(graph: Graph, node: fx.Node) -> tuple[int, Size]:
    """Channels and image size of a node's tensor; a flattened tensor has one pixel."""
    _, channels, *pixels = graph.shape(node)
    return channels, (pixels[0], pixels[1]) if len(pixels) > 1 else (1, 1)


def _window(module: nn.AvgPool2d | nn.MaxPool2d | nn.AdaptiveAvgPool2d, before: Size, after: Size) -> tuple[Size, Size]:
    """Kernel and stride of a pooling; an adaptive one divides its input evenly, rounding up."""
    if isinstance(module, nn.AdaptiveAvgPool2d):
        even = -(-before[0] // after[0]), -(-before[1] // after[1])
        return even, even
    return _pair(module.kernel_size), _pair(module.stride)


def _pair(value: int | tuple[int, ...]) -> Size:
    return (value, value) if isinstance(value, int) else (value[0], value[1])
