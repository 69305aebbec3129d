"""The ONNX model that a runtime gets: in float32, or in int8 by ONNX Runtime's static quantisation in the QDQ form.

In int8 the convolutions and the classifier are quantised, where the arithmetic is: weights per channel, activations
per tensor, with the ranges that they have on the device's random images. Latency depends on shapes and types, not on
the numbers in them; for accuracy a network must be calibrated on its own data. Additions, poolings and concatenations
stay in float32: quantising them too made DARTS networks slower in ONNX Runtime 1.31 and no faster in OpenVINO 2026.4,
which crashes on a quantised Concat.

Weights keep 7 of the 8 bits: sums of products of 8 bits overflow on CPUs without VNNI. The kernels are the same.
https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from torch import nn

from chronas.devices.device import Dtype
from chronas.networks import onnx_bytes

QUANTISED = ("Conv", "Gemm")


def onnx_model(network: nn.Module, images: NDArray[np.float32], dtype: Dtype) -> bytes:
    """A network as an ONNX model with float32 input and output, quantised where the dtype is int8.

    Args:
        network: as `onnx_bytes` takes it.
        images: a batch as it will be timed [B, C, H, W]; the model has its shape.
        dtype: what the runtime computes in; for bfloat16 the model is in float32, and the runtime converts it.

    Raises:
        UsageError: as `onnx_bytes`.
    """
    batch, channels, height, width = images.shape
    model = onnx_bytes(network, (channels, height, width), batch=batch)
    return _quantised(model, images) if dtype == "int8" else model


class _Batch:
    """What calibration reads: one batch, under the name of the model's input."""

    def __init__(self, name: str, images: NDArray[np.float32]) -> None:
        self.batches = [{name: images}]

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        return self.batches.pop() if self.batches else None


def _quantised(model: bytes, images: NDArray[np.float32]) -> bytes:
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.quant_utils import add_pre_process_metadata

    proto = onnx.load_from_string(model)
    add_pre_process_metadata(proto)  # the writer has folded batch norms; the tool would warn of each network
    with tempfile.TemporaryDirectory(prefix="chronas-") as folder:
        path = Path(folder) / "int8.onnx"
        quantize_static(
            proto,
            path,
            _Batch(proto.graph.input[0].name, images),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=[*QUANTISED],
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        return path.read_bytes()
