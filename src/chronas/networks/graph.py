"""A network's graph by torch.fx with the shape of everything in it, and what can be counted there without running it.

Shapes come from a batch of no images, which costs no arithmetic (the meta device would first load torch._dynamo,
seconds a process), and equal layers on equal inputs are asked once: a 20-cell DARTS network takes about 0.1 s.
Conventions are the field's: MACs are those of convolutions and fully connected layers for one image, without biases,
norms, pooling and sums (`flops_M` of NAS-Bench-201 is this plus 10 for the classifier's bias).
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional as F  # noqa: N812 - the field's name

from chronas.errors import UsageError

BYTES_PER_NUMBER = 4
CONVOLUTIONS = (F.conv2d, torch.conv2d)
NORMS = (nn.modules.batchnorm._BatchNorm, nn.GroupNorm, nn.LayerNorm)


@dataclass(frozen=True)
class Graph:
    """What a network does in eval mode, for one input shape.

    Attributes:
        layers: the network's modules by name; `call_module` targets are such names.
        nodes: all steps in the order in which they run, those that nothing uses included.
        batch: the number of images.
        values: what each step gives for no images: a tensor, a number, a tuple, ...
    """

    layers: dict[str, nn.Module]
    nodes: tuple[fx.Node, ...]
    batch: int
    values: dict[fx.Node, Any]

    @property
    def device(self) -> torch.device:
        """Where the network's weights are, and its images have to be."""
        device: torch.device = self.values[self.nodes[0]].device
        return device

    def shape(self, node: fx.Node) -> tuple[int, ...]:
        """The shape of a node that gives a tensor, for `batch` images."""
        return tuple(size or self.batch for size in self.values[node].shape)

    def layer(self, node: fx.Node) -> nn.Module:
        """The layer that a `call_module` node runs."""
        return self.layers[str(node.target)]

    def attribute(self, node: fx.Node) -> torch.Tensor:
        """The parameter or buffer that a `get_attr` node reads."""
        owner, _, name = str(node.target).rpartition(".")
        tensor: torch.Tensor = getattr(self.layers[owner], name)
        return tensor


@dataclass(frozen=True)
class Counts:
    """What a network costs on paper.

    Attributes:
        macs: multiply-accumulates of convolutions and fully connected layers, for one image.
        parameters: numbers that training changes, without those of layers that eval does not use (auxiliary head).
        peak_activation_bytes: the most that inputs and outputs of layers take at one time, for the whole batch in
            fp32. Layers run in graph order and nothing in place; views count as copies; weights do not count.
    """

    macs: int
    parameters: int
    peak_activation_bytes: int


def count(network: nn.Module, input_shape: tuple[int, int, int], batch: int = 1) -> Counts:
    """MACs, parameters and peak activation memory of a network; it is not run, and its mode stays as it is.

    Args:
        network: images [B, C, H, W] -> logits [B, classes].
        input_shape: channels, height and width of one image.
        batch: number of images that the peak activation memory is for.

    Raises:
        UsageError: the network cannot be traced, does not fit the input, or has a layer whose MACs are not known.
    """
    graph = trace(network, input_shape, batch)
    macs = sum(_macs(graph, node) for node in graph.nodes)
    return Counts(macs // batch, _parameters(graph), _peak_activation_bytes(graph))


def trace(network: nn.Module, input_shape: tuple[int, int, int], batch: int = 1) -> Graph:
    """The graph of a network in eval mode for `batch` images; the network's own mode stays as it is.

    Raises:
        UsageError: fewer than one image, or the network cannot be traced (its steps depend on numbers, or the images of
            a batch are not kept along the first dimension), or it does not fit the input.
    """
    if batch < 1:
        raise UsageError(f"a batch has at least one image, got {batch}")
    try:
        with _eval_mode(network):
            graph = Graph(dict(network.named_modules()), tuple(fx.Tracer().trace(network).nodes), batch, {})
            device = next((weight.device for weight in network.parameters()), None)
            _propagate(graph, torch.empty(0, *input_shape, device=device))
    except fx.proxy.TraceError as error:
        raise UsageError(f"a network's steps should not depend on its input: {_first_line(error)}") from error
    except (RuntimeError, ValueError, IndexError) as error:
        size = "x".join(map(str, input_shape))
        raise UsageError(
            f"the network does not fit images of {size} ({_first_line(error)}): use larger ones"
        ) from error
    return graph


@contextlib.contextmanager
def _eval_mode(network: nn.Module) -> Iterator[None]:
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def _propagate(graph: Graph, images: torch.Tensor) -> None:
    """Fill in the values, for no images; a step that was seen with equal inputs is not run again."""
    seen: dict[str, Any] = {}
    with torch.no_grad():
        for node in graph.nodes:
            if node.op == "placeholder":
                graph.values[node] = images
            elif node.op == "get_attr":
                graph.values[node] = graph.attribute(node)
            else:
                key = _key(graph, node)
                if key not in seen:
                    seen[key] = _run(graph, node)
                graph.values[node] = seen[key]
                if isinstance(seen[key], torch.Tensor) and 0 in seen[key].shape[1:]:
                    raise ValueError(f"{node.name} gives {tuple(seen[key].shape)} for no images")


def _key(graph: Graph, node: fx.Node) -> str:
    """A text that is equal for two nodes only if they give the same shapes."""
    inputs = fx.map_arg((node.args, node.kwargs), lambda source: _described(graph.values[source]))
    if node.op != "call_module":
        return f"{node.op} {node.target} {inputs}"
    layer = graph.layer(node)
    sizes = [tuple(weight.shape) for weight in layer.parameters()]
    return f"{type(layer)} {layer.extra_repr()} {sizes} {inputs}"


def _described(value: Any) -> str:
    return f"{value.dtype}{tuple(value.shape)}" if isinstance(value, torch.Tensor) else repr(value)


def _run(graph: Graph, node: fx.Node) -> Any:
    args = fx.map_arg(node.args, graph.values.__getitem__)
    options = fx.map_arg(node.kwargs, graph.values.__getitem__)
    if node.op == "output":
        return args[0]
    if node.op == "call_method":
        return getattr(args[0], str(node.target))(*args[1:], **options)
    if callable(node.target):
        return node.target(*args, **options)
    return graph.layer(node)(*args, **options)


def _macs(graph: Graph, node: fx.Node) -> int:
    if node.op == "call_function" and node.target in CONVOLUTIONS:
        weight = node.args[1] if len(node.args) > 1 else node.kwargs["weight"]
        assert isinstance(weight, fx.Node)
        return math.prod(graph.shape(node)) * math.prod(graph.shape(weight)[1:])
    if node.op != "call_module":
        return 0
    layer = graph.layer(node)
    if isinstance(layer, nn.Conv2d):
        return math.prod(graph.shape(node)) * math.prod(layer.weight.shape[1:])
    if isinstance(layer, nn.Linear):
        return math.prod(graph.shape(node)) * layer.in_features
    if not isinstance(layer, NORMS) and next(layer.parameters(), None) is not None:
        raise UsageError(f"{node.target} is a {type(layer).__name__}, whose MACs are not known: use Conv2d or Linear")
    return 0


def _parameters(graph: Graph) -> int:
    """The parameters of all layers in the graph, each once."""
    found: dict[int, int] = {}
    for node in graph.nodes:
        if node.op == "call_module":
            found.update({id(weight): weight.numel() for weight in graph.layer(node).parameters()})
        elif node.op == "get_attr":
            weight = graph.attribute(node)
            if isinstance(weight, nn.Parameter):
                found[id(weight)] = weight.numel()
    return sum(found.values())


def _peak_activation_bytes(graph: Graph) -> int:
    """The largest sum of live tensors; a tensor lives from the node that makes it to the last one that reads it."""
    position = {node: index for index, node in enumerate(graph.nodes)}
    sizes = [_activation_bytes(graph, node) for node in graph.nodes]
    changes = [0] * (len(sizes) + 1)
    for node, index in position.items():
        changes[index] += sizes[index]
        changes[max((position[user] for user in node.users), default=index) + 1] -= sizes[index]
    alive = peak = 0
    for change in changes:
        alive += change
        peak = max(peak, alive)
    return peak


def _activation_bytes(graph: Graph, node: fx.Node) -> int:
    if node.op in ("get_attr", "output") or not isinstance(graph.values[node], torch.Tensor):
        return 0
    return math.prod(graph.shape(node)) * BYTES_PER_NUMBER


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
