"""ONNX Runtime's GPU providers as far as they can be tested without a GPU: what is asked of them and refused."""

from __future__ import annotations

from typing import Any

import onnxruntime
import pytest
import torch

from chronas.devices import device_class, make_device
from chronas.devices.onnxruntime import CUDA, TENSORRT, OnnxRuntimeGpu
from chronas.errors import DeviceError
from chronas.spaces import Architecture, NetworkSize, make_space

SIZE = NetworkSize(input_shape=(3, 16, 16), outputs=7, width=4, depth=1)
NAMES = {"onnxruntime-cuda": CUDA, "onnxruntime-tensorrt": TENSORRT}
CPU = "CPUExecutionProvider"


@pytest.fixture
def architecture() -> Architecture:
    return make_space("nasbench201").sample(1, seed=0)[0]


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two GPUs and a GPU build of ONNX Runtime, as far as asking goes."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda gpu: "NVIDIA Example")
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [TENSORRT, CUDA, CPU])


def made(name: str, **settings: Any) -> OnnxRuntimeGpu:
    device = make_device(name, device_class(name).Config(**settings))
    assert isinstance(device, OnnxRuntimeGpu)
    return device


@pytest.mark.parametrize("name", NAMES)
def test_a_build_without_the_provider_says_what_to_install(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CPU])
    with pytest.raises(DeviceError, match=f"{name} is not available.*no {NAMES[name]}.*pip install onnxruntime-gpu"):
        make_device(name)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [TENSORRT, CUDA])
    monkeypatch.setattr(torch.version, "cuda", None)
    assert "install a CUDA build" in str(device_class(name).unavailable())


@pytest.mark.usefixtures("gpus")
def test_providers_are_asked_for_the_gpu_and_the_numbers_that_the_fingerprint_names() -> None:
    plain, rounded = made("onnxruntime-cuda", gpu=1), made("onnxruntime-cuda", tf32=True)
    assert plain.providers() == [(CUDA, {"device_id": "1", "use_tf32": "0"})]
    assert rounded.providers() == [(CUDA, {"device_id": "0", "use_tf32": "1"})]
    assert (plain.fingerprint()["dtype"], rounded.fingerprint()["dtype"]) == (
        "float32",
        "float32 with TF32 convolutions",
    )
    first, second = made("onnxruntime-tensorrt", gpu=1).providers()
    assert first == (TENSORRT, {"device_id": "1", "trt_fp16_enable": "0", "trt_int8_enable": "0"})
    assert second == (CUDA, {"device_id": "1"})
    with pytest.raises(DeviceError, match="GPU 2 is asked for"):
        made("onnxruntime-cuda", gpu=2)


@pytest.mark.usefixtures("gpus")
@pytest.mark.filterwarnings("ignore:Specified provider")
@pytest.mark.parametrize("name", NAMES)
def test_a_provider_that_does_not_load_is_no_reason_to_time_the_cpu(name: str, architecture: Architecture) -> None:
    if NAMES[name] in onnxruntime.capi._pybind_state.get_available_providers():
        pytest.skip("this ONNX Runtime really has the provider")
    with pytest.raises(DeviceError, match=f"{NAMES[name]} does not run the network .*install the CUDA"):
        made(name).prepare(architecture, SIZE)


@pytest.mark.usefixtures("gpus")
def test_tensorrt_that_does_not_load_is_no_reason_to_time_cuda(
    architecture: Architecture, monkeypatch: pytest.MonkeyPatch
) -> None:
    class WithoutTensorrt(onnxruntime.InferenceSession):
        def __init__(self, model: bytes, *others: object, **settings: object) -> None:
            super().__init__(model, providers=[CPU])

        def get_providers(self) -> list[str]:
            return [CUDA, CPU]

    monkeypatch.setattr(onnxruntime, "InferenceSession", WithoutTensorrt)
    with pytest.raises(DeviceError, match=f"{TENSORRT} could not be loaded, ONNX Runtime offers {CUDA}"):
        made("onnxruntime-tensorrt").prepare(architecture, SIZE)
