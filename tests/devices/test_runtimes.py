"""What is promised of the devices that run networks."""

from __future__ import annotations

import gc

import onnxruntime
import pytest
import torch

from chronas.devices import CpuConfig, device_class, make_device
from chronas.devices.onnxruntime import session_options
from chronas.errors import DeviceError
from chronas.spaces import Architecture, NetworkSize, make_space

SIZE = NetworkSize(input_shape=(3, 16, 16), outputs=7, width=8, depth=3)


@pytest.fixture
def architecture() -> Architecture:
    return make_space("darts").sample(1, seed=0)[0]


@pytest.mark.parametrize("name", ["onnxruntime-cpu", "eager-cpu"])
def test_the_batch_that_is_asked_for_is_run(name: str, architecture: Architecture) -> None:
    durations = {}
    for batch in (1, 64):
        device = make_device(name, CpuConfig(batch=batch))
        assert device.fingerprint()["batch"] == batch
        runner = device.prepare(architecture, SIZE)
        assert runner.input_shape == (batch, 3, 16, 16)
        durations[batch] = min(runner.round(0, 1, 5))
    assert durations[64] > 2 * durations[1]


def test_the_model_itself_has_the_batch(architecture: Architecture, monkeypatch: pytest.MonkeyPatch) -> None:
    shapes: list[tuple[int, ...]] = []

    class Spy(onnxruntime.InferenceSession):
        def run(self, outputs, feed, options=None):
            shapes.extend(images.shape for images in feed.values())
            results = super().run(outputs, feed, options)
            shapes.append(results[0].shape)
            return results

    monkeypatch.setattr(onnxruntime, "InferenceSession", Spy)
    make_device("onnxruntime-cpu", CpuConfig(batch=5)).prepare(architecture, SIZE).round(0, 1, 1)
    assert set(shapes) == {(5, 3, 16, 16), (5, 7)}


def test_a_session_has_the_settings_that_are_documented() -> None:
    options = session_options(2)
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (2, 1)
    assert options.execution_mode == onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    assert options.graph_optimization_level == onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "1"
    assert options.get_session_config_entry("session.force_spinning_stop") == "1"


def test_a_round_leaves_threads_and_collector_as_they_were(
    architecture: Architecture, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = make_device("eager-cpu", CpuConfig(threads=1)).prepare(architecture, SIZE)
    seen: list[tuple[int, bool]] = []
    forward = torch.nn.Linear.forward

    def spy(layer: torch.nn.Linear, features: torch.Tensor) -> torch.Tensor:
        seen.append((torch.get_num_threads(), gc.isenabled()))
        return forward(layer, features)

    monkeypatch.setattr(torch.nn.Linear, "forward", spy)
    torch.set_num_threads(2)
    runner.round(0, 1, 2)
    assert torch.get_num_threads() == 2 and gc.isenabled() and torch.is_grad_enabled()
    assert seen[0] == (1, True) and set(seen[1:]) == {(1, False)}


def test_preparing_does_not_touch_the_global_generator(architecture: Architecture) -> None:
    before = torch.random.get_rng_state()
    make_device("onnxruntime-cpu").prepare(architecture, SIZE).close()
    make_device("eager-cpu").prepare(architecture, SIZE).round(0, 1, 1)
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_runtime_without_its_provider_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    with pytest.raises(DeviceError, match="no CPUExecutionProvider"):
        make_device("onnxruntime-cpu")


def test_cuda_tells_a_cpu_build_from_a_missing_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", None)
    assert "CUDA build" in str(device_class("eager-cuda").unavailable())
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    assert "driver" in str(device_class("eager-cuda").unavailable())


def test_cuda_refuses_a_gpu_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = device_class("eager-cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    with pytest.raises(DeviceError, match=r"GPU 1 is asked for, this machine has 0\.\.0"):
        make_device("eager-cuda", cuda.Config(gpu=1))


def test_cuda_names_its_gpu_and_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda gpu: "NVIDIA Example")
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    device = make_device("eager-cuda")
    assert device.hardware == "NVIDIA Example 0"
    assert device.fingerprint()["hardware"] == "NVIDIA Example"
    assert "torch-eager as CUDA graphs, CUDA 13.0" in str(device.fingerprint()["runtime"])
    plain = make_device("eager-cuda", device_class("eager-cuda").Config(graphs=False))
    assert str(plain.fingerprint()["runtime"]).startswith("torch-eager, CUDA 13.0")
