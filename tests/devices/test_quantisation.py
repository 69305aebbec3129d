"""The int8 model: all convolutions in int8 in what the runtime really runs, silently, and the same each time."""

from __future__ import annotations

import collections
import logging
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from chronas.devices import Model
from chronas.devices.onnxruntime import onnx_model, session_options
from chronas.spaces import NetworkSize, make_space

SIZE = NetworkSize(input_shape=(3, 16, 16), outputs=7, width=4, depth=3)
SPACES_OF_CELLS = ["darts", "nasbench201"]


def models(space: str, batch: int = 2) -> tuple[bytes, bytes]:
    model = Model.of(make_space(space).sample(1, seed=3)[0], SIZE)
    return onnx_model(model, batch, "float32"), onnx_model(model, batch, "int8")


def kinds(model: onnx.ModelProto) -> collections.Counter[str]:
    return collections.Counter(node.op_type for node in model.graph.node)


@pytest.mark.parametrize("space", SPACES_OF_CELLS)
def test_every_convolution_runs_in_int8(space: str, tmp_path: Path) -> None:
    plain, int8 = models(space)
    options = session_options(1)
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    onnxruntime.InferenceSession(int8, options, providers=["CPUExecutionProvider"])
    run = kinds(onnx.load(tmp_path / "optimised.onnx"))
    assert run["QLinearConv"] == kinds(onnx.load_from_string(plain))["Conv"] > 0
    assert run["Conv"] == run["FusedConv"] == 0


@pytest.mark.parametrize("space", SPACES_OF_CELLS)
def test_weights_have_a_scale_a_channel_and_ends_stay_as_they_are(space: str) -> None:
    plain, int8 = (onnx.load_from_string(model) for model in models(space, batch=5))
    assert int8.graph.input == plain.graph.input and int8.graph.output == plain.graph.output
    assert [size.dim_value for size in int8.graph.input[0].type.tensor_type.shape.dim] == [5, 3, 16, 16]
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in int8.graph.initializer}
    dequantised = {node.output[0]: node.input for node in int8.graph.node if node.op_type == "DequantizeLinear"}
    for node in int8.graph.node:
        if node.op_type == "Conv":
            weights, scales = (stored[name] for name in dequantised[node.input[1]][:2])
            assert weights.dtype == np.int8 and scales.shape == (len(weights),)
            assert np.abs(weights.astype(int)).max() <= 64, "one bit is left free"


def test_quantising_says_nothing_leaves_nothing_and_gives_the_same_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    handlers = [*logging.getLogger().handlers]
    assert models("darts") == models("darts")
    assert not caplog.records and capfd.readouterr() == ("", "")
    assert not list(tmp_path.iterdir())
    assert logging.getLogger().handlers == handlers
