"""Layers, MACs and parameters of a network.

A `Layer` has all properties that its cost on an accelerator depends on. MACs count convolutions, fully connected layers
and matrix products for one example, without biases, norms, pooling and sums (`flops_M` of NAS-Bench-201 is this plus 10
for the classifier's bias).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import fx, nn
from torch.nn import functional as F  # noqa: N812 - the field's name

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

if TYPE_CHECKING:
    from chronas.networks.cells import Size

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
        (before, size_before), (after, size_after) = _sized(graph, _unpadded(graph, node)), _sized(graph, node)
        channels, kernel, stride = (before, after), _pair(module.kernel_size), _pair(module.stride)
        yield Layer("convolution", *channels, kernel, stride, size_before, size_after, module.groups)
    elif isinstance(module, POOLINGS):
        (before, size_before), (after, size_after) = _sized(graph, node.all_input_nodes[0]), _sized(graph, node)
        kernel, stride = _window(module, size_before, size_after)
        yield Layer("pooling", before, after, kernel, stride, size_before, size_after, before)
    elif not isinstance(module, NORMS) and next(module.parameters(), None) is not None:
        yield _other(graph, node, type(module).__name__)


def _unpadded(graph: Graph, node: fx.Node) -> fx.Node:
    """The input of a convolution, or that of the layer of zeros before it."""
    source = node.all_input_nodes[0]
    padded = source.op == "call_module" and isinstance(graph.layer(source), nn.ZeroPad2d)
    return source.all_input_nodes[0] if padded else source


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
