"""The torch.fx graph of a network with the shape of every value, found without running the network.

Shapes come from an empty batch, which costs no arithmetic (the meta device would first load torch._dynamo, which takes
seconds in each process). Equal layers with equal inputs run only once: a 20-cell DARTS network takes about 0.1 s.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn

from chronas.errors import UsageError, reason

BYTES_PER_NUMBER = 4
ONNX_FORM = "onnx_form"  # the method with which a user's own layer writes itself: onnx_form(steps, node)
NORMS = (nn.modules.batchnorm._BatchNorm, nn.GroupNorm, nn.LayerNorm)


class UntraceableError(UsageError):
    """A network whose steps depend on its input's values, so that torch.fx cannot trace it."""


@dataclass(frozen=True)
class Graph:
    """The steps of a network in eval mode, for one input shape.

    Attributes:
        layers: the network's modules by name; `call_module` targets are such names.
        nodes: all steps in the order of execution, including unused ones.
        batch: the number of images.
        values: the result of each step for an empty batch: a tensor, a number, a tuple, ...
    """

    layers: dict[str, nn.Module]
    nodes: tuple[fx.Node, ...]
    batch: int
    values: dict[fx.Node, Any]

    @property
    def device(self) -> torch.device:
        """The device of the network's weights; images must be there too."""
        device: torch.device = self.values[self.nodes[0]].device
        return device

    def shape(self, node: fx.Node) -> tuple[int, ...]:
        """The shape of a node's tensor for `batch` images."""
        return tuple(size or self.batch for size in self.values[node].shape)

    def layer(self, node: fx.Node) -> nn.Module:
        """The layer that a `call_module` node runs."""
        return self.layers[str(node.target)]

    def rerun(self, node: fx.Node, batch: int) -> Any:
        """The result of one step for `batch` examples of zeros."""

        def zeros(source: fx.Node) -> Any:
            value = self.values[source]
            if not isinstance(value, torch.Tensor):
                return value
            return torch.zeros([size or batch for size in value.shape], dtype=value.dtype, device=value.device)

        return _run(self, node, zeros)

    def attribute(self, node: fx.Node) -> torch.Tensor:
        """The parameter or buffer that a `get_attr` node reads."""
        owner, _, name = str(node.target).rpartition(".")
        tensor: torch.Tensor = getattr(self.layers[owner], name)
        return tensor


def trace(network: nn.Module, input_shape: tuple[int, ...], batch: int = 1) -> Graph:
    """The graph of a network in eval mode for `batch` images; the network's own mode does not change.

    Raises:
        UntraceableError: the network's steps depend on its input's values.
        UsageError: fewer than one example, the network does not fit the input, or the examples of a batch are not kept
            along the first dimension.
    """
    if batch < 1:
        raise UsageError(f"a batch has at least one image, got {batch}")
    try:
        with eval_mode(network):
            graph = Graph(dict(network.named_modules()), tuple(_Tracer().trace(network).nodes), batch, {})
            device = next((weight.device for weight in network.parameters()), None)
            _propagate(graph, torch.empty(0, *input_shape, device=device))
    except (fx.proxy.TraceError, TypeError) as error:
        raise UntraceableError(f"a network's steps should not depend on its input: {reason(error)}") from error
    except (RuntimeError, ValueError, IndexError) as error:
        size = "x".join(map(str, input_shape))
        raise UsageError(f"the network does not fit images of {size} ({reason(error)}): use larger ones") from error
    return graph


def wiring(network: nn.Module) -> str:
    """The connections between a network's layers, as text; two networks can differ in these alone.

    Empty for a network that cannot be traced because its steps depend on its input's values.
    """
    try:
        with eval_mode(network):
            return str(fx.symbolic_trace(network).graph)
    except (fx.proxy.TraceError, TypeError):
        return ""


class _Tracer(fx.Tracer):
    """A tracer that does not look into layers with their own ONNX form."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return hasattr(m, ONNX_FORM) or super().is_leaf_module(m, module_qualified_name)


@contextlib.contextmanager
def eval_mode(network: nn.Module) -> Iterator[None]:
    """Put all modules of a network in eval mode, and restore their modes afterwards."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def _propagate(graph: Graph, images: torch.Tensor) -> None:
    """Fill in the values for an empty batch; a step with inputs that were seen before is not run again."""
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


def _run(graph: Graph, node: fx.Node, value_of: Callable[[fx.Node], Any] | None = None) -> Any:
    value_of = value_of or graph.values.__getitem__
    args, options = fx.map_arg(node.args, value_of), fx.map_arg(node.kwargs, value_of)
    if node.op == "output":
        return args[0]
    if node.op == "call_method":
        return getattr(args[0], str(node.target))(*args[1:], **options)
    if callable(node.target):
        return node.target(*args, **options)
    return graph.layer(node)(*args, **options)


def parameters_of(graph: Graph) -> int:
    """The number of parameters of all layers in the graph, each counted once."""
    found: dict[int, int] = {}
    for node in graph.nodes:
        if node.op == "call_module":
            found.update({id(weight): weight.numel() for weight in graph.layer(node).parameters()})
        elif node.op == "get_attr":
            weight = graph.attribute(node)
            if isinstance(weight, nn.Parameter):
                found[id(weight)] = weight.numel()
    return sum(found.values())


def peak_activation_bytes(graph: Graph) -> int:
    """The largest sum of live tensors, in bytes; a tensor lives from its node to the last node that reads it."""
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


# ----
# MACs of layers that our own list lacks, counted by PyTorch while they run (`torch.utils.flop_counter`).

FLOPS_PER_MAC = 2


def multiplications(run: Callable[[], object]) -> int:
    """The MACs of all convolutions and matrix products in a call, attention included.

    Fused kernels of transformers and attention are switched off during the call: the counter knows none of those for
    CPUs and would skip them silently.
    """
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode  # takes a second to import, and few networks need it

    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with FlopCounterMode(display=False) as counter, torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
            run()
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
    return int(counter.get_total_flops()) // FLOPS_PER_MAC
