"""What is promised of OpenVINO alone; what all devices promise stands in the contracts."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from chronas.devices import CpuConfig, Model, device_class, make_device
from chronas.devices.onnxruntime import onnx_model
from chronas.devices.openvino import OpenVinoCpu, settings
from chronas.errors import DeviceError
from chronas.spaces import Architecture, NetworkSize, make_space

SIZE = NetworkSize(input_shape=(3, 16, 16), outputs=7, width=4, depth=3)
installed = pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="openvino is not installed")


def compiled(architecture: Architecture, config: CpuConfig) -> Any:
    device = make_device("openvino-cpu", config)
    assert isinstance(device, OpenVinoCpu)
    model = Model.of(architecture, SIZE)
    model = device.core.read_model(model=onnx_model(model, config.batch, config.dtype), weights=b"")
    return device.core.compile_model(model, "CPU", settings(config))


def compiled_steps(architecture: Architecture) -> list[str]:
    """The kinds of the steps that OpenVINO really runs."""
    steps = compiled(architecture, CpuConfig()).get_runtime_model().get_ops()
    return sorted(step.get_rt_info()["layerType"].value for step in steps)


def test_where_it_is_missing_it_says_what_it_is_for_and_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    reason = device_class("openvino-cpu").unavailable()
    assert reason == "it times networks in OpenVINO, which is not installed: pip install 'chronas[openvino]'"
    with pytest.raises(DeviceError, match="openvino-cpu is not available: it times networks in OpenVINO"):
        make_device("openvino-cpu")


@installed
def test_a_compiled_model_has_the_settings_that_are_documented() -> None:
    model = compiled(make_space("nasbench201").sample(1, seed=0)[0], CpuConfig(dtype="float32"))
    told = {key: str(model.get_property(key)) for key in settings(CpuConfig())}
    assert told == {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": "1",
        "INFERENCE_NUM_THREADS": "1",
        "INFERENCE_PRECISION_HINT": "<Type: 'float32'>",
        "ENABLE_CPU_PINNING": "False",
    }


@installed
@pytest.mark.parametrize(("dtype", "precision"), [("float32", "f32"), ("int8", "u8")])
def test_convolutions_run_in_the_dtype_that_is_asked_for(dtype: Any, precision: str) -> None:
    steps = compiled(make_space("nasbench201").sample(1, seed=3)[0], CpuConfig(dtype=dtype)).get_runtime_model()
    facts = [step.get_rt_info() for step in steps.get_ops()]
    found = {fact["runtimePrecision"].value for fact in facts if fact["layerType"].value == "Convolution"}
    assert found == {precision}


@installed
def test_dead_edges_are_not_run() -> None:
    space = make_space("nasbench201")
    one = space.parse("|none~0|+|nor_conv_3x3~0|none~1|+|none~0|none~1|avg_pool_3x3~2|")
    same = space.parse("|nor_conv_1x1~0|+|nor_conv_3x3~0|none~1|+|none~0|none~1|avg_pool_3x3~2|")
    other = space.parse("|nor_conv_1x1~0|+|nor_conv_3x3~0|skip_connect~1|+|none~0|none~1|avg_pool_3x3~2|")
    assert compiled_steps(one) == compiled_steps(same) != compiled_steps(other)


@installed
def test_importing_it_sends_no_telemetry(tmp_path: Path) -> None:
    package = tmp_path / "openvino_telemetry"
    package.mkdir()
    (package / "__init__.py").write_text("raise SystemExit('telemetry was imported')\n")
    code = (
        "from chronas.devices import make_device; make_device('openvino-cpu')\n"
        "import sys; assert 'openvino_telemetry' not in sys.modules; print('silent')"
    )
    path = os.pathsep.join([str(tmp_path), *sys.path])
    ended = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    assert ended.stdout == "silent\n", ended.stderr
