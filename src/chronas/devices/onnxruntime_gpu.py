"""ONNX Runtime on an NVIDIA GPU, through its CUDA or its TensorRT provider.

Images and logits are on the GPU, bound to the session, and a run ends when the GPU has finished. If a provider cannot
be loaded or cannot run a step of the network, ONNX Runtime continues without it; here that is an error.
https://onnxruntime.ai/docs/performance/device-tensor.html

These devices were written from ONNX Runtime's documentation and have not been run on a GPU yet.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, cast

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from onnxruntime.capi.onnxruntime_pybind11_state import EPFail, Fail
from pydantic import BaseModel, Field

from chronas.devices.cuda import NvidiaConfig, NvidiaGpu
from chronas.devices.device import Fingerprint, Runner
from chronas.devices.host import HostTimedRunner
from chronas.devices.model import Model
from chronas.devices.onnxruntime import onnx_model, session_options
from chronas.errors import DeviceError

CUDA = "CUDAExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"
INSTALL = "install the CUDA, cuDNN and TensorRT that this ONNX Runtime was built for"
Provider = tuple[str, dict[str, str]]


class OnnxRuntimeCudaConfig(NvidiaConfig):
    """Settings of ONNX Runtime's CUDA provider."""

    tf32: bool = Field(default=False, description="round the inputs of convolutions to TF32, which is faster")


class OnnxRuntimeGpu(NvidiaGpu):
    """ONNX Runtime on an NVIDIA GPU; the first provider runs all steps that it can, the others the rest."""

    prunes_dead_nodes = True
    provider: ClassVar[str]

    @classmethod
    def unavailable(cls) -> str | None:
        """None if ONNX Runtime was built with the provider and there is a GPU."""
        if cls.provider not in onnxruntime.get_available_providers():
            return (
                f"this build of ONNX Runtime has no {cls.provider}: beside an NVIDIA GPU, "
                "pip uninstall onnxruntime and pip install onnxruntime-gpu"
            )
        return super().unavailable()

    @abstractmethod
    def providers(self) -> list[Provider]:
        """The providers with their options, in order of preference."""

    @abstractmethod
    def computed_in(self) -> str:
        """The number format of the computation, in the words of the fingerprint."""

    def fingerprint(self) -> Fingerprint:
        """The GPU, ONNX Runtime's version, its provider, CUDA's version and the batch."""
        runtime = f"onnxruntime {self.provider}, CUDA {torch.version.cuda}"
        return self.described(runtime, onnxruntime.__version__, self.computed_in())

    def _prepare(self, model: Model) -> Runner:
        """A session on the GPU with bound tensors; raises as `Device.prepare`.

        Raises:
            DeviceError: ONNX Runtime cannot load the provider, or would run a step of the network on the CPU.
        """
        images = model.inputs(self.config.batch)
        session = self._session(onnx_model(model.module(), images, "float32"))
        return _BoundRunner(session, images, model.output_shape(self.config.batch), self.config.gpu)

    def _session(self, model: bytes) -> onnxruntime.InferenceSession:
        options = session_options(1)
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        try:
            session = onnxruntime.InferenceSession(model, options, providers=self.providers(), enable_fallback=0)
        except (EPFail, Fail) as error:
            raise DeviceError(f"{self.provider} does not run the network ({_first_line(error)}): {INSTALL}") from error
        if session.get_providers()[0] != self.provider:
            instead = ", ".join(session.get_providers())
            raise DeviceError(f"{self.provider} could not be loaded, ONNX Runtime offers {instead} instead: {INSTALL}")
        return session


class OnnxRuntimeCuda(OnnxRuntimeGpu):
    """ONNX Runtime's CUDA provider. It drops nodes that the output does not need."""

    name = "onnxruntime-cuda"
    Config: ClassVar[type[BaseModel]] = OnnxRuntimeCudaConfig
    provider = CUDA
    config: OnnxRuntimeCudaConfig

    def providers(self) -> list[Provider]:
        """CUDA only."""
        return [(CUDA, {"device_id": str(self.config.gpu), "use_tf32": str(int(self.config.tf32))})]

    def computed_in(self) -> str:
        """With or without TF32, depending on the config."""
        return "float32 with TF32 convolutions" if self.config.tf32 else "float32"


class OnnxRuntimeTensorrt(OnnxRuntimeGpu):
    """ONNX Runtime's TensorRT provider, which builds an engine for each network; CUDA runs unsupported steps."""

    name = "onnxruntime-tensorrt"
    provider = TENSORRT

    def providers(self) -> list[Provider]:
        """TensorRT, then CUDA."""
        place = {"device_id": str(self.config.gpu)}
        return [(TENSORRT, {**place, "trt_fp16_enable": "0", "trt_int8_enable": "0"}), (CUDA, place)]

    def computed_in(self) -> str:
        """TensorRT itself chooses between float32 and TF32."""
        return "float32 or TF32, as TensorRT chooses"


class _BoundRunner(HostTimedRunner):
    """A session whose input and output are on the GPU."""

    def __init__(
        self, session: onnxruntime.InferenceSession, images: NDArray[np.float32], expected: tuple[int, ...], gpu: int
    ) -> None:
        super().__init__(images, expected)
        (declared,), (output,) = session.get_inputs(), session.get_outputs()
        self.input_shape = tuple(declared.shape)
        self.session: Any = session
        self.binding: Any = session.io_binding()
        self.binding.bind_ortvalue_input(declared.name, onnxruntime.OrtValue.ortvalue_from_numpy(images, "cuda", gpu))
        self.binding.bind_output(output.name, "cuda", gpu)

    def _run(self) -> object:
        self.session.run_with_iobinding(self.binding)
        self.binding.synchronize_outputs()
        return self.binding

    def _logits(self, output: object) -> NDArray[np.float32]:
        return cast("NDArray[np.float32]", cast("Any", output).copy_outputs_to_cpu()[0])

    def close(self) -> None:
        self.session = self.binding = None


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
