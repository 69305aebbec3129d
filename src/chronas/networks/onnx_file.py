"""A user's own ONNX file: its inputs, its counts, and the file for one batch.

network = read_onnx(Path("model.onnx"))  # a dynamic batch is free; other free dimensions need `input_shape`
network.feeds(batch=1)  # {"images": array [1, 3, 224, 224]}
network.counts().macs
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, shape_inference

from chronas.errors import DataError, UsageError
from chronas.networks.construction import Preprocessing
from chronas.reading import LARGEST, parse_json, read_within, readable

ADVICE = "export it again, or use a copy"
WEIGHT_AT = {"Conv": 1, "ConvInteger": 1, "QLinearConv": 3, "ConvTranspose": 1}  # operator -> its input with weights
PRODUCT_AT = {"MatMul": 1, "MatMulInteger": 1, "QLinearMatMul": 3, "Gemm": 1, "QGemm": 3}
STANDARD = ("", "ai.onnx")  # domains whose operators are known; others' may multiply
UNCOUNTED = frozenset(  # operators that multiply and are not counted here
    {"LSTM", "GRU", "RNN", "Einsum", "If", "Loop", "Scan", "Attention", "MultiHeadAttention", "DeformConv", "STFT"}
)
SCALES = {"QuantizeLinear": (1, 2), "DequantizeLinear": (1, 2), "QLinearConv": (1, 2, 4, 5, 6, 7)}
NUMBERS = frozenset(  # types of weights; others are shapes and indices
    {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE, TensorProto.INT8}
    | {TensorProto.UINT8, TensorProto.INT4, TensorProto.UINT4, TensorProto.INT32}
)


@dataclass(frozen=True)
class OnnxInput:
    """An input of an ONNX file.

    Attributes:
        name: its name.
        dtype: type of its numbers.
        shape: sizes of its dimensions, the batch first; None where the file leaves a size open.
    """

    name: str
    dtype: np.dtype
    shape: tuple[int | None, ...]


@dataclass(frozen=True)
class OnnxCounts:
    """Counts of an ONNX file.

    Attributes:
        macs: multiply-accumulates of convolutions and matrix products for one example; None if the file has an operator
            that is not counted, such as an LSTM.
        parameters: numbers in its weights, as they are in the file: a folded batch norm is in its convolution.
    """

    macs: int | None
    parameters: int


class OnnxNetwork:
    """An ONNX file, ready to run with any batch that it takes. `read_onnx` makes one.

    Attributes:
        name: the file, for messages.
        inputs: its inputs, without those that have a value in the file.
    """

    def __init__(self, name: str, proto: onnx.ModelProto, input_shape: tuple[int, ...] | None = None) -> None:
        """Find the inputs.

        Args:
            name: the file, for messages.
            proto: its content.
            input_shape: shape of one example, for inputs with open sizes.

        Raises:
            UsageError: a size besides the batch is open, and `input_shape` does not say it, or contradicts it.
            DataError: an input is no tensor of numbers.
        """
        self.name, self._proto = name, proto
        known = {each.name for each in proto.graph.initializer}
        with readable(name, "ONNX file", ADVICE):
            declared = [_input(name, each) for each in proto.graph.input if each.name not in known]
        self.inputs = tuple(_with_shape(name, each, input_shape) for each in declared)
        if not self.inputs or not proto.graph.output:
            raise DataError(f"{name} has no {'output' if self.inputs else 'input'}: {ADVICE}")

    def __repr__(self) -> str:
        return f"OnnxNetwork({self.name})"

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one example of the first input."""
        return tuple(size for size in self.inputs[0].shape[1:] if size is not None)

    @property
    def batch(self) -> int | None:
        """The only batch that the file takes: the first size of its first input; None if it takes any."""
        return self.inputs[0].shape[0] if self.inputs[0].shape else None

    @property
    def outputs(self) -> int:
        """Number of its outputs."""
        return len(self._proto.graph.output)

    @property
    def quantised(self) -> bool:
        """Whether it computes in integers already."""
        return any(node.op_type in ("QuantizeLinear", "QLinearConv", "ConvInteger") for node in self._proto.graph.node)

    def feeds(self, batch: int) -> dict[str, NDArray[np.generic]]:
        """Inputs for a run by name, always the same: normal noise, and zeros for whole numbers such as token ids.

        Raises:
            UsageError: the file takes another batch.
        """
        return {each.name: _numbers(each, self._full(each, batch)) for each in self.inputs}

    def fixed(self, batch: int) -> bytes:
        """The file with all sizes of its inputs fixed; raises as `feeds`."""
        content: bytes = self._fixed(batch).SerializeToString()
        return content

    def preprocessing(self) -> Preprocessing | None:
        """Scaling of pixels and names of classes, if chronas wrote the file."""
        found = {each.key: each.value for each in self._proto.metadata_props}
        if not {"mean", "std", "class_names"} <= found.keys():
            return None
        with readable(self.name, "ONNX file of chronas", ADVICE):
            values = {key: parse_json(found[key]) for key in ("mean", "std", "class_names")}
            channels = self.input_shape[0]
            mean, std = (tuple(map(float, values[key])) for key in ("mean", "std"))
            if len(mean) != channels or len(std) != channels or min(std) <= 0:
                raise ValueError(f"mean and std are not for its {channels} channels")
            return Preprocessing(mean, std, tuple(map(str, values["class_names"])))

    def counts(self) -> OnnxCounts:
        """MACs for one example, and parameters; the network is not run.

        Raises:
            DataError: its operators do not fit each other.
        """
        batch = self.batch or 1
        with readable(self.name, "ONNX file", ADVICE):
            proto = shape_inference.infer_shapes(self._fixed(batch), data_prop=True)
            parameters = sum(math.prod(shape) for shape in self._weights().values())
            try:
                return OnnxCounts(sum(_macs(proto)) // batch, parameters)
            except KeyError:
                return OnnxCounts(None, parameters)

    def _weights(self) -> dict[str, tuple[int, ...]]:
        """The shapes of weights by name; scales and zero points of quantised numbers are none."""
        scales = {node.input[at] for node in self._proto.graph.node for at in _scales_at(node)}
        tensors = [*((each.name, each) for each in self._proto.graph.initializer), *_constants(self._proto)]
        return {
            name: tuple(each.dims)
            for name, each in tensors
            if each.data_type in NUMBERS and each.dims and name not in scales
        }

    def _full(self, each: OnnxInput, batch: int) -> tuple[int, ...]:
        if each is self.inputs[0] and each.shape and each.shape[0] not in (None, batch):
            raise UsageError(
                f"{self.name} takes a batch of {each.shape[0]} and no other: measure with --device.batch "
                f"{each.shape[0]}, or export it with a dynamic batch"
            )
        return tuple(batch if size is None else size for size in each.shape)

    def _fixed(self, batch: int) -> onnx.ModelProto:
        shapes = {each.name: self._full(each, batch) for each in self.inputs}
        proto = onnx.ModelProto()
        proto.CopyFrom(self._proto)
        for each in proto.graph.input:
            for size, dimension in zip(shapes.get(each.name, ()), each.type.tensor_type.shape.dim, strict=False):
                dimension.dim_value = size
        for each in proto.graph.output:
            if each.type.HasField("tensor_type"):
                each.type.tensor_type.ClearField("shape")  # its open sizes follow from the inputs now
        del proto.graph.value_info[:]
        return proto


def read_onnx(path: Path, input_shape: tuple[int, ...] | None = None) -> OnnxNetwork:
    """Read an ONNX file, with weights in files beside it if it names some.

    Args:
        path: the file.
        input_shape: shape of one example, without the batch; only needed where the file leaves sizes open.

    Raises:
        DataError: it is missing, damaged or no ONNX file.
        UsageError: sizes are open or contradict `input_shape`.
    """
    content = read_within(path, LARGEST["onnx"])
    with readable(path, "ONNX file", ADVICE):
        proto = onnx.load_model_from_string(content)
        if not proto.graph.node:
            raise ValueError("it has no operators")
        onnx.load_external_data_for_model(proto, str(path.parent))  # refuses paths that leave the folder
    return OnnxNetwork(str(path), proto, input_shape)


def _input(name: str, declared: onnx.ValueInfoProto) -> OnnxInput:
    kind = declared.type.tensor_type
    if not declared.type.HasField("tensor_type") or kind.elem_type in (TensorProto.UNDEFINED, TensorProto.STRING):
        raise DataError(f"input {declared.name} of {name} is no tensor of numbers: such a network cannot be measured")
    if not kind.HasField("shape"):
        raise DataError(f"{name} does not tell the number of dimensions of its input {declared.name}: {ADVICE}")
    sizes = [each.dim_value if each.HasField("dim_value") and each.dim_value > 0 else None for each in kind.shape.dim]
    return OnnxInput(declared.name, helper.tensor_dtype_to_np_dtype(kind.elem_type), tuple(sizes))


def _with_shape(name: str, each: OnnxInput, input_shape: tuple[int, ...] | None) -> OnnxInput:
    """The input with open sizes filled in from the shape of one example; the batch stays open."""
    sizes = each.shape[1:]
    if input_shape is not None and len(input_shape) == len(sizes):
        if any(size not in (None, wanted) for size, wanted in zip(sizes, input_shape, strict=True)):
            raise UsageError(
                f"input {each.name} of {name} takes examples of {_words(sizes)}, not of {_words(input_shape)}: export "
                "it for these"
            )
        return OnnxInput(each.name, each.dtype, (*each.shape[:1], *input_shape))
    if None in sizes:
        raise UsageError(
            f"input {each.name} of {name} leaves sizes open ({_words(sizes)} after the batch): say them, such as "
            f"--input-shape {' '.join(str(size or 224) for size in sizes)}"
        )
    return each


def _words(sizes: tuple[int | None, ...]) -> str:
    return " x ".join("?" if size is None else str(size) for size in sizes) or "single numbers"


def _numbers(each: OnnxInput, shape: tuple[int, ...]) -> NDArray[np.generic]:
    if each.dtype.kind == "f":
        return np.random.default_rng(0).standard_normal(shape).astype(each.dtype)
    return np.zeros(shape, each.dtype)


def _macs(proto: onnx.ModelProto) -> Iterator[int]:
    """The MACs of each operator that multiplies, for the whole batch; raises `KeyError` where they are unknown."""
    shapes = _shapes(proto)
    for node in proto.graph.node:
        known = node.op_type in WEIGHT_AT or node.op_type in PRODUCT_AT or node.domain in STANDARD
        if node.op_type in UNCOUNTED or not known:
            raise KeyError(node.op_type)
        if node.op_type in WEIGHT_AT:
            weight = shapes[node.input[WEIGHT_AT[node.op_type]]]
            per_value = math.prod(weight[1:])
            yield per_value * math.prod(shapes[node.input[0] if node.op_type == "ConvTranspose" else node.output[0]])
        elif node.op_type in PRODUCT_AT:
            right = shapes[node.input[PRODUCT_AT[node.op_type]]]
            turned = any(each.name == "transB" and each.i for each in node.attribute)
            inner = right[0] if len(right) == 1 else right[-1 if turned else -2]
            yield inner * math.prod(shapes[node.output[0]])


def _shapes(proto: onnx.ModelProto) -> Mapping[str, tuple[int, ...]]:
    """The shapes of all values whose sizes are known."""
    found = {each.name: tuple(each.dims) for each in proto.graph.initializer}
    for each in (*proto.graph.value_info, *proto.graph.input, *proto.graph.output):
        dimensions = each.type.tensor_type.shape.dim
        if each.type.tensor_type.HasField("shape") and all(one.HasField("dim_value") for one in dimensions):
            found[each.name] = tuple(one.dim_value for one in dimensions)
    return found | {name: tuple(each.dims) for name, each in _constants(proto)}


def _scales_at(node: onnx.NodeProto) -> list[int]:
    return [at for at in SCALES.get(node.op_type, ()) if at < len(node.input)]


def _constants(proto: onnx.ModelProto) -> Iterator[tuple[str, TensorProto]]:
    """(name, tensor) of each operator that gives a tensor of the file."""
    for node in proto.graph.node:
        if node.op_type == "Constant":
            yield from ((node.output[0], each.t) for each in node.attribute if each.name == "value")
