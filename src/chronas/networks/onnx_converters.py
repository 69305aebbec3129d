"""The ONNX form of each step of a network (opset 17, https://onnx.ai/onnx/operators), for our closed set of operations.

Steps are named as in the graph, weights as in the state dict. A convolution with a folded batch norm keeps its name and
gets a bias. Each constant is stored once.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from torch import fx, nn
from torch.nn import functional as F  # noqa: N812 - the field's name

from chronas.errors import UsageError
from chronas.networks.graph import Graph

LAST = np.iinfo(np.int64).max
INPUT_NAME = "images"
BATCH_NAME = "batch"  # of the first axis of a file for any batch


class UnknownStepError(Exception):
    """A step that has no ONNX form here; the writer catches this error."""


class Steps:
    """The ONNX operations and constants of a graph, while they are written.

    Attributes:
        graph: the graph that is written.
        dynamic: whether the file takes any batch.
        names: node -> name of its ONNX tensor.
        protos: the operations, in order.
        initializers: weights and constants by name.
    """

    def __init__(self, graph: Graph, *, dynamic: bool = False) -> None:
        self.graph = graph
        self.dynamic = dynamic
        self.names: dict[fx.Node, str] = {}
        self.protos: list[onnx.NodeProto] = []
        self.initializers: dict[str, onnx.TensorProto] = {}

    def emit(self, node: fx.Node, operation: str, inputs: list[str], attributes: dict[str, Any] | None = None) -> None:
        """Append one operation whose result is that of `node`."""
        self.names[node] = node.name
        self.protos.append(helper.make_node(operation, inputs, [node.name], name=node.name, **(attributes or {})))

    def first(self, node: fx.Node) -> str:
        """The ONNX tensor that is the first input of `node`."""
        return self.names[_source(node)]

    def operand(self, value: Any) -> str:
        """The ONNX tensor of an input that is a node or a number."""
        if isinstance(value, fx.Node):
            return self.names[value]
        return self.initializer(f"number_{value:g}", np.array(value, dtype=np.float32))

    def integers(self, values: tuple[int, ...]) -> str:
        """A constant list of integers, such as a shape."""
        return self.initializer("_".join(map(str, ("integers", *values))), np.array(values, dtype=np.int64))

    def declared(self, node: fx.Node) -> tuple[int | str, ...]:
        """The shape of a node's tensor, with the name of the batch in place of a number if the file takes any."""
        return (BATCH_NAME, *self.graph.shape(node)[1:]) if self._open(node) else self.graph.shape(node)

    def target(self, node: fx.Node) -> str:
        """A constant list with the shape of a node's tensor, as `Reshape` takes it: -1 stands for any batch."""
        shape = self.graph.shape(node)
        return self.integers((-1, *shape[1:]) if self._open(node) else shape)

    def _open(self, node: fx.Node) -> bool:
        return self.dynamic and tuple(self.graph.values[node].shape[:1]) == (0,)

    def shape_of(self, node: fx.Node) -> str:
        """The shape of a node's tensor when the network runs: a constant, or computed from the images."""
        if not self._open(node):
            return self.integers(self.graph.shape(node))
        batch, whole = f"{node.name}_batch", f"{node.name}_shape"
        self.protos.append(helper.make_node("Shape", [INPUT_NAME], [batch], name=batch, start=0, end=1))
        rest = self.integers(self.graph.shape(node)[1:])
        self.protos.append(helper.make_node("Concat", [batch, rest], [whole], name=whole, axis=0))
        return whole

    def initializer(self, name: str, values: torch.Tensor | NDArray[Any]) -> str:
        """Store a constant tensor and return its name; a different tensor with a name in use gets another name."""
        array = values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else values
        proto = numpy_helper.from_array(np.ascontiguousarray(array), name)
        if self.initializers.setdefault(name, proto).raw_data == proto.raw_data:
            return name
        return self.initializer(f"{name}.{len(self.initializers)}", values)

    def options(self, node: fx.Node, *names: str) -> dict[str, Any]:
        """The arguments after the first, by name; raises `UnknownStepError` for names outside of `names`."""
        values = self.graph.values
        positional, named = fx.map_arg(
            (node.args[1:], node.kwargs), lambda n: n if isinstance(values[n], torch.Tensor) else values[n]
        )
        found = dict(zip(names, positional, strict=False)) | named
        if len(positional) > len(names) or not found.keys() <= set(names):
            raise unknown_step(self.graph, node, f" with {node.args[1:]} and {node.kwargs}")
        return found


def unknown_step(graph: Graph, node: fx.Node, why: str = "") -> UnknownStepError:
    """The error for a step without an ONNX form: its layer or function, its place, and the unsupported part."""
    if node.op == "call_module":
        return UnknownStepError(f"{type(graph.layer(node)).__name__} {node.target}{why}")
    return UnknownStepError(f"{getattr(node.target, '__name__', node.target)} at {node.name}{why}")


def _source(node: fx.Node) -> fx.Node:
    source = node.args[0]
    assert isinstance(source, fx.Node)
    return source


def _pair(value: int | tuple[int, ...]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def _simple(operation: str) -> Callable[[Steps, fx.Node], None]:
    """The form of a step that has one input and no settings."""

    def write(steps: Steps, node: fx.Node) -> None:
        steps.emit(node, operation, [steps.first(node)])

    return write


def _alias(steps: Steps, node: fx.Node) -> None:
    steps.names[node] = steps.first(node)


def _convolution(steps: Steps, node: fx.Node) -> None:
    layer = steps.graph.layer(node)
    assert isinstance(layer, nn.Conv2d)
    if layer.padding_mode != "zeros" or isinstance(layer.padding, str):
        raise unknown_step(steps.graph, node, f" with padding {layer.padding!r} of {layer.padding_mode}")
    weight, bias = layer.weight.detach().double(), None if layer.bias is None else layer.bias.detach().double()
    norm = _folded(steps.graph, node)
    if norm is not None:
        scale, shift = _scale_and_shift(norm)
        weight = weight * scale[:, None, None, None]
        bias = shift if bias is None else bias * scale + shift
    inputs = [steps.first(node), steps.initializer(f"{node.target}.weight", weight.float())]
    if bias is not None:
        inputs.append(steps.initializer(f"{node.target}.bias", bias.float()))
    attributes = {
        "kernel_shape": layer.kernel_size,
        "strides": layer.stride,
        "pads": layer.padding * 2,
        "dilations": layer.dilation,
        "group": layer.groups,
    }
    steps.emit(node, "Conv", inputs, attributes)


def _folded(graph: Graph, node: fx.Node) -> nn.BatchNorm2d | None:
    """The batch norm that is the only reader of a convolution; None otherwise."""
    readers = list(node.users)
    if node.op != "call_module" or type(graph.layer(node)) is not nn.Conv2d or len(readers) != 1:
        return None
    layer = graph.layer(readers[0]) if readers[0].op == "call_module" else None
    return layer if type(layer) is nn.BatchNorm2d and layer.running_mean is not None else None


def _scale_and_shift(norm: nn.BatchNorm2d) -> tuple[torch.Tensor, torch.Tensor]:
    """Scale and shift of a batch norm, [C] each, in double precision."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = (norm.running_var.detach().double() + norm.eps).rsqrt()
    if norm.affine:
        scale = scale * norm.weight.detach().double()
    shift = -norm.running_mean.detach().double() * scale
    return scale, shift + norm.bias.detach().double() if norm.affine else shift


def _batch_norm(steps: Steps, node: fx.Node) -> None:
    norm = steps.graph.layer(node)
    assert isinstance(norm, nn.BatchNorm2d)
    if _folded(steps.graph, _source(node)) is not None:
        _alias(steps, node)
        return
    if norm.running_mean is None or norm.running_var is None:
        what = f"BatchNorm2d {node.target} has no running statistics"
        raise UsageError(f"{what}: what it gives depends on the batch; build it with track_running_stats=True")
    given = {"running_mean": norm.running_mean, "running_var": norm.running_var}
    weight = norm.weight if norm.affine else torch.ones_like(norm.running_mean)
    bias = norm.bias if norm.affine else torch.zeros_like(norm.running_mean)
    tensors = {"weight": weight, "bias": bias} | given
    inputs = [steps.initializer(f"{node.target}.{name}", tensor) for name, tensor in tensors.items()]
    steps.emit(node, "BatchNormalization", [steps.first(node), *inputs], {"epsilon": norm.eps})


def _max_pool(steps: Steps, node: fx.Node) -> None:
    layer = steps.graph.layer(node)
    assert isinstance(layer, nn.MaxPool2d)
    steps.emit(node, "MaxPool", [steps.first(node)], _window(steps, node, layer, _pair(layer.dilation)))


def _avg_pool(steps: Steps, node: fx.Node) -> None:
    layer = steps.graph.layer(node)
    assert isinstance(layer, nn.AvgPool2d)
    if layer.divisor_override is not None or (layer.count_include_pad and layer.ceil_mode):
        what = f"AvgPool2d {node.target} has a divisor of its own or counts padding while rounding up"
        raise UsageError(f"{what}: ONNX has no such mean (torch.onnx.export writes another one); use a plain one")
    attributes = _window(steps, node, layer, (1, 1)) | {"count_include_pad": int(layer.count_include_pad)}
    del attributes["dilations"]
    steps.emit(node, "AveragePool", [steps.first(node)], attributes)


def _window(
    steps: Steps, node: fx.Node, layer: nn.MaxPool2d | nn.AvgPool2d, dilation: tuple[int, int]
) -> dict[str, Any]:
    """Attributes of a pooling; where `ceil_mode` reaches beyond the image, every runtime gets padding at the end."""
    kernel, stride, padding = _pair(layer.kernel_size), _pair(layer.stride), _pair(layer.padding)
    sizes_in, sizes_out = steps.graph.shape(_source(node))[2:], steps.graph.shape(node)[2:]
    ends = [
        max(padding[i], (sizes_out[i] - 1) * stride[i] + dilation[i] * (kernel[i] - 1) + 1 - sizes_in[i] - padding[i])
        for i in range(2)
    ]
    return {"kernel_shape": kernel, "strides": stride, "pads": (*padding, *ends), "dilations": dilation}


def _adaptive_pool(steps: Steps, node: fx.Node) -> None:
    if steps.graph.shape(node)[2:] != (1, 1):
        raise unknown_step(steps.graph, node, f" to {steps.graph.shape(node)[2:]}")
    steps.emit(node, "GlobalAveragePool", [steps.first(node)])


def _channel_shuffle(steps: Steps, node: fx.Node) -> None:
    """[B, g x C, H, W] -> [B, g, C, H, W] -> [B, C, g, H, W] -> [B, C x g, H, W], as exporters write it."""
    layer = steps.graph.layer(node)
    assert isinstance(layer, nn.ChannelShuffle)
    batch, channels, height, width = steps.graph.shape(node)
    first = -1 if steps.dynamic else batch
    grouped = steps.integers((first, layer.groups, channels // layer.groups, height, width))
    apart, turned = f"{node.name}_apart", f"{node.name}_turned"
    steps.protos.append(helper.make_node("Reshape", [steps.first(node), grouped], [apart], name=apart))
    steps.protos.append(helper.make_node("Transpose", [apart], [turned], name=turned, perm=[0, 2, 1, 3, 4]))
    steps.emit(node, "Reshape", [turned, steps.target(node)])


def _relu6(steps: Steps, node: fx.Node) -> None:
    steps.emit(node, "Clip", [steps.first(node), steps.operand(0.0), steps.operand(6.0)])


def _hard_sigmoid(steps: Steps, node: fx.Node) -> None:
    steps.emit(node, "HardSigmoid", [steps.first(node)], {"alpha": 1.0 / 6.0, "beta": 0.5})


def _upsample(steps: Steps, node: fx.Node) -> None:
    """A bilinear change of the image's size, without aligned corners."""
    layer = steps.graph.layer(node)
    assert isinstance(layer, nn.Upsample)
    if layer.mode != "bilinear" or layer.align_corners:
        raise unknown_step(steps.graph, node, f" of {layer.mode}")
    attributes = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
    steps.emit(node, "Resize", [steps.first(node), "", "", steps.shape_of(node)], attributes)


def _linear(steps: Steps, node: fx.Node) -> None:
    layer = steps.graph.layer(node)
    if len(steps.graph.shape(node)) != 2:
        raise unknown_step(steps.graph, node, f" to {steps.graph.shape(node)}")
    weights = [steps.initializer(f"{node.target}.{name}", tensor) for name, tensor in layer.named_parameters()]
    steps.emit(node, "Gemm", [steps.first(node), *weights], {"transB": 1})


def _pad_layer(steps: Steps, node: fx.Node) -> None:
    layer = steps.graph.layer(node)
    assert isinstance(layer, nn.ConstantPad2d)
    _emit_pad(steps, node, tuple(layer.padding), layer.value)


def _pad(steps: Steps, node: fx.Node) -> None:
    options = steps.options(node, "pad", "mode", "value")
    if options.get("mode", "constant") != "constant":
        raise unknown_step(steps.graph, node, f" of {options['mode']}")
    _emit_pad(steps, node, tuple(options["pad"]), options.get("value") or 0.0)


def _emit_pad(steps: Steps, node: fx.Node, padding: tuple[int, ...], value: float) -> None:
    """Emit a padding. Torch lists (before, after) from the last dimension; ONNX lists all befores, then all afters."""
    rank = len(steps.graph.shape(node))
    pairs = [padding[2 * i : 2 * i + 2] for i in range(len(padding) // 2)][::-1]
    pairs = [(0, 0)] * (rank - len(pairs)) + pairs
    pads = steps.integers(tuple(before for before, _ in pairs) + tuple(after for _, after in pairs))
    steps.emit(node, "Pad", [steps.first(node), pads, steps.operand(value)])


def _binary(operation: str) -> Callable[[Steps, fx.Node], None]:
    def write(steps: Steps, node: fx.Node) -> None:
        other = steps.options(node, "other")["other"]
        steps.emit(node, operation, [steps.operand(node.args[0]), steps.operand(other)])

    return write


def _concatenation(steps: Steps, node: fx.Node) -> None:
    tensors = node.args[0]
    assert isinstance(tensors, list | tuple)
    names = [steps.operand(tensor) for tensor in tensors]
    steps.emit(node, "Concat", names, {"axis": steps.options(node, "dim").get("dim", 0)})


def _slice(steps: Steps, node: fx.Node) -> None:
    index = steps.options(node, "index")["index"]
    parts = index if isinstance(index, tuple) else (index,)
    if not all(isinstance(part, slice) for part in parts):
        raise unknown_step(steps.graph, node, f" of {index}")
    kept = {axis: part for axis, part in enumerate(parts) if part != slice(None)}
    starts = steps.integers(tuple(part.start or 0 for part in kept.values()))
    ends = steps.integers(tuple(LAST if part.stop is None else part.stop for part in kept.values()))
    strides = steps.integers(tuple(part.step or 1 for part in kept.values()))
    steps.emit(node, "Slice", [steps.first(node), starts, ends, steps.integers(tuple(kept)), strides])


def _mean(steps: Steps, node: fx.Node) -> None:
    options = steps.options(node, "dim", "keepdim")
    if options.get("dim") is None:
        raise unknown_step(steps.graph, node, " over everything")
    axes = options["dim"] if isinstance(options["dim"], list | tuple) else [options["dim"]]
    attributes = {"axes": list(axes), "keepdims": int(options.get("keepdim", False))}
    steps.emit(node, "ReduceMean", [steps.first(node)], attributes)


def _reshape(steps: Steps, node: fx.Node) -> None:
    """Emit a step that changes only the shape; shapes are static except for the batch."""
    steps.emit(node, "Reshape", [steps.first(node), steps.target(node)])


def _zeros(steps: Steps, node: fx.Node) -> None:
    steps.emit(node, "ConstantOfShape", [steps.shape_of(node)])


CONSTANTS = (torch.zeros_like,)  # functions that use only the shape of their input

# type of a layer, function, or name of a tensor's method -> its form
CONVERTERS: dict[Any, Callable[[Steps, fx.Node], None]] = {
    nn.Conv2d: _convolution,
    nn.BatchNorm2d: _batch_norm,
    nn.ReLU: _simple("Relu"),
    nn.ReLU6: _relu6,
    nn.Hardswish: _simple("HardSwish"),
    nn.Hardsigmoid: _hard_sigmoid,
    nn.Upsample: _upsample,
    nn.MaxPool2d: _max_pool,
    nn.AvgPool2d: _avg_pool,
    nn.AdaptiveAvgPool2d: _adaptive_pool,
    nn.ChannelShuffle: _channel_shuffle,
    nn.Linear: _linear,
    nn.ZeroPad2d: _pad_layer,
    nn.ConstantPad2d: _pad_layer,
    nn.Identity: _alias,
    nn.Dropout: _alias,
    nn.Flatten: _reshape,
    F.relu: _simple("Relu"),
    F.pad: _pad,
    torch.relu: _simple("Relu"),
    torch.cat: _concatenation,
    torch.flatten: _reshape,
    torch.mean: _mean,
    torch.zeros_like: _zeros,
    operator.add: _binary("Add"),
    operator.mul: _binary("Mul"),
    operator.getitem: _slice,
    "add": _binary("Add"),
    "flatten": _reshape,
    "mean": _mean,
    "mul": _binary("Mul"),
    "relu": _simple("Relu"),
    "reshape": _reshape,
    "view": _reshape,
}
