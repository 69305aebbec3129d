"""ONNX Runtime on this machine's CPU: the default device, because it is widely used for deployment.

All session settings are explicit: the requested number of threads within an operation, operations one after another,
all graph optimisations. Worker threads spin while they wait for work within a run. This is ONNX Runtime's default and
has the lowest latency (with one thread there are no workers). They stop when the run ends, so that sessions of other
networks do not take the cores. https://onnxruntime.ai/docs/performance/tune-performance/threading.html

Models are in float32, or in int8 by ONNX Runtime's static quantisation (`networks.quantised`). A trained network that
was calibrated on its own images is run as its file is. Other networks get their ranges from the device's random images:
latency depends on shapes and types, not on values.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, cast

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from onnxruntime.capi.onnxruntime_pybind11_state import EPFail, Fail, InvalidArgument, InvalidGraph, NotImplemented
from pydantic import BaseModel, Field

from chronas.devices.device import Dtype, Fingerprint, Runner
from chronas.devices.eager import NvidiaConfig, NvidiaGpu
from chronas.devices.host import HostCpu, HostTimedRunner, cpu_fingerprint
from chronas.devices.model import Model
from chronas.errors import DeviceError, reason
from chronas.networks import quantised


def onnx_model(model: Model, batch: int, dtype: Dtype) -> bytes:
    """A network as an ONNX model with float32 input and output, quantised for int8.

    Args:
        model: the network; an ONNX file that is quantised already stays as it is.
        batch: number of examples in a run.
        dtype: number format of the computation; for bfloat16 the model is in float32 and the runtime converts it.

    Raises:
        UsageError: as `Model.onnx`.
    """
    content = model.onnx(batch)
    done = model.file is not None and model.file.quantised
    return quantised(content, [model.feeds(batch)]) if dtype == "int8" and not done else content


PROVIDER = "CPUExecutionProvider"
REFUSALS = (EPFail, Fail, InvalidArgument, InvalidGraph, NotImplemented)  # of a file that it cannot run
ERRORS_ONLY = 3


class OnnxRuntimeCpu(HostCpu):
    """ONNX Runtime's CPU provider. It drops nodes that the output does not need."""

    name = "onnxruntime-cpu"
    prunes_dead_nodes = True
    dtypes = ("float32", "int8")
    bundles = True
    takes_onnx = True

    @classmethod
    def unavailable(cls) -> str | None:
        """None if ONNX Runtime has its CPU provider, as its published packages do."""
        if PROVIDER in onnxruntime.get_available_providers():
            return None
        return f"this build of ONNX Runtime has no {PROVIDER}: pip install --force-reinstall onnxruntime"

    def fingerprint(self) -> Fingerprint:
        """The CPU, ONNX Runtime's version, threads, batch and dtype."""
        return cpu_fingerprint(self.name, "onnxruntime", onnxruntime.__version__, self.config)

    def _prepare(self, model: Model) -> Runner:
        """A session for the network's ONNX form; raises as `Device.prepare`.

        Raises:
            DeviceError: ONNX Runtime does not run the user's own file.
        """
        batch = self.config.batch
        content = onnx_model(model, batch, self.config.dtype)
        try:
            session = onnxruntime.InferenceSession(content, session_options(self.config.threads), providers=[PROVIDER])
        except REFUSALS as error:
            if model.file is None:
                raise
            raise DeviceError(f"ONNX Runtime does not run {model.name} ({reason(error)}): export it again") from error
        return _SessionRunner(session, model.feeds(batch), model.checked_shape(batch))


def session_options(threads: int) -> onnxruntime.SessionOptions:
    """The session settings in the module's docstring.

    Args:
        threads: threads within an operation.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = ERRORS_ONLY
    options.add_session_config_entry("session.intra_op.allow_spinning", "1")
    options.add_session_config_entry("session.force_spinning_stop", "1")
    return options


class _SessionRunner(HostTimedRunner):
    """A session and its inputs, of which it takes those that it has: parts that nothing reads are dropped."""

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        feeds: Mapping[str, NDArray[Any]],
        expected: tuple[int, ...] | None,
    ) -> None:
        super().__init__(next(iter(feeds.values())), expected)
        self.session: onnxruntime.InferenceSession | None = session
        self.feed = {declared.name: feeds[declared.name] for declared in session.get_inputs()}

    def _run(self) -> object:
        assert self.session is not None, "a closed runner is not used"
        return self.session.run(None, self.feed)

    def _logits(self, output: object) -> NDArray[np.float32]:
        return cast("list[NDArray[np.float32]]", output)[0]

    def close(self) -> None:
        self.session = None


# ----
# ONNX Runtime on an NVIDIA GPU, through its CUDA or its TensorRT provider.
#
# Images and logits are on the GPU, bound to the session, and a run ends when the GPU has finished. If a provider
# cannot be loaded or cannot run a step of the network, ONNX Runtime continues without it; here that is an error.
# https://onnxruntime.ai/docs/performance/device-tensor.html
#
# These devices were written from ONNX Runtime's documentation and have not been run on a GPU yet.

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
    takes_onnx = True
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
        batch = self.config.batch
        session = self._session(onnx_model(model, batch, "float32"))
        return _BoundRunner(session, model.feeds(batch), model.checked_shape(batch), self.config.gpu)

    def _session(self, model: bytes) -> onnxruntime.InferenceSession:
        options = session_options(1)
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        try:
            session = onnxruntime.InferenceSession(model, options, providers=self.providers(), enable_fallback=0)
        except (EPFail, Fail) as error:
            raise DeviceError(f"{self.provider} does not run the network ({reason(error)}): {INSTALL}") from error
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
    """A session whose inputs and outputs are on the GPU."""

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        feeds: Mapping[str, NDArray[Any]],
        expected: tuple[int, ...] | None,
        gpu: int,
    ) -> None:
        super().__init__(next(iter(feeds.values())), expected)
        self.session: Any = session
        self.binding: Any = session.io_binding()
        for declared in session.get_inputs():
            value = onnxruntime.OrtValue.ortvalue_from_numpy(feeds[declared.name], "cuda", gpu)
            self.binding.bind_ortvalue_input(declared.name, value)
        for output in session.get_outputs():
            self.binding.bind_output(output.name, "cuda", gpu)

    def _run(self) -> object:
        self.session.run_with_iobinding(self.binding)
        self.binding.synchronize_outputs()
        return self.binding

    def _logits(self, output: object) -> NDArray[np.float32]:
        return cast("NDArray[np.float32]", cast("Any", output).copy_outputs_to_cpu()[0])

    def close(self) -> None:
        self.session = self.binding = None
