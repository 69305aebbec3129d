"""A float32 ONNX model in int8, by ONNX Runtime's static quantisation in the QDQ form.

Convolutions and the classifier, which hold the arithmetic, are quantised: weights with a scale for each channel,
activations with one for each tensor, by the smallest and largest value on calibration examples. A ReLU or ReLU6 after a
convolution becomes a part of it. Additions, poolings and concatenations stay in float32: quantising them made DARTS
networks slower in ONNX Runtime 1.31 and no faster in OpenVINO 2026.4, which crashes on a quantised Concat. Input and
output stay float32.

Weights use 7 of the 8 bits, because sums of 8-bit products overflow on CPUs without VNNI. The kernels are the same.
https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Any

import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

QUANTISED = ("Conv", "Gemm", "Relu")
CLIP = "Clip"  # to bounds, such as ReLU6
Feeds = Mapping[str, NDArray[Any]]  # the inputs of one run, by name


class _Examples:
    """Calibration examples in the form that ONNX Runtime asks for."""

    def __init__(self, batches: Iterable[Feeds]) -> None:
        self._left: Iterator[Feeds] = iter(batches)

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        batch = next(self._left, None)
        return None if batch is None else dict(batch)


def quantised(model: bytes, batches: Iterable[Feeds]) -> bytes:
    """An ONNX model with convolutions and classifier in int8; the same examples give the same bytes.

    Args:
        model: the model in float32. Its metadata is kept.
        batches: the calibration examples: inputs by name for one run each, such as `images` float32 [B, C, H, W].
    """
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.quant_utils import add_pre_process_metadata

    proto = onnx.load_from_string(model)
    known = list(proto.metadata_props)
    add_pre_process_metadata(proto)  # the writer has folded batch norms; the tool would warn of each network
    with tempfile.TemporaryDirectory(prefix="chronas-") as folder:
        path = Path(folder) / "int8.onnx"
        quantize_static(
            proto,
            path,
            _Examples(batches),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=[*QUANTISED, *([CLIP] if _clips_hold_zero(proto) else [])],
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        written = onnx.load_from_string(path.read_bytes())
    del written.metadata_props[:]
    written.metadata_props.extend(known)
    content: bytes = written.SerializeToString(deterministic=True)
    return content


def _clips_hold_zero(model: onnx.ModelProto) -> bool:
    """Whether zero is inside all bounds of clips, as it is in every range of int8; the tool drops clips unread."""
    known = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer if prod(each.dims) == 1}
    for node in model.graph.node:
        bounds = [known.get(name) for name in node.input[1:3]]
        if node.op_type == CLIP and (len(bounds) < 2 or not _between(*bounds)):
            return False
    return True


def _between(low: NDArray[Any] | None, high: NDArray[Any] | None) -> bool:
    return low is not None and high is not None and bool(low <= 0 <= high)
