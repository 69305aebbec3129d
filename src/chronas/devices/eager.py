"""PyTorch in eager mode on this machine's CPU: the cost of a network without any deployment effort.

Most of it is overhead. It is 5-7 times slower than ONNX Runtime on the same DARTS networks, and ranks them differently.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import ClassVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from chronas.devices.device import CpuConfig, Device, Fingerprint, Runner
from chronas.devices.hardware import operating_system, usable_cores
from chronas.devices.host import HostCpu, HostTimedRunner, cpu_fingerprint, torch_version
from chronas.devices.model import Model
from chronas.errors import DeviceError

TORCH_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class EagerCpu(HostCpu):
    """PyTorch eager in inference mode; it runs all layers, even those that the output does not need.

    In bfloat16 all weights, images and activations are bfloat16, in the same memory layout as in fp32.
    """

    name = "eager-cpu"
    prunes_dead_nodes = False
    dtypes = ("float32", "bfloat16")

    @classmethod
    def unavailable(cls) -> str | None:
        """None: PyTorch always runs on the CPU."""
        return None

    def fingerprint(self) -> Fingerprint:
        """The CPU, PyTorch's version, threads, batch and dtype."""
        return cpu_fingerprint(self.name, "torch-eager", torch_version(), self.config)

    def _prepare(self, model: Model) -> Runner:
        """The unchanged module; raises as `Device.prepare`."""
        return _EagerCpuRunner(model, self.config)


class _EagerCpuRunner(HostTimedRunner):
    """A module and its input; PyTorch's number of threads is restored after each round."""

    def __init__(self, model: Model, config: CpuConfig) -> None:
        images = model.inputs(config.batch)
        super().__init__(images, model.output_shape(config.batch))
        dtype = TORCH_DTYPES[config.dtype]
        self.network: nn.Module | None = model.module().to(dtype)
        self.images = torch.from_numpy(images).to(dtype)
        self.threads = config.threads

    def _settings(self) -> AbstractContextManager[None]:
        return inference(self.threads)

    def _run(self) -> object:
        assert self.network is not None, "a closed runner is not used"
        return self.network(self.images)

    def _logits(self, output: object) -> NDArray[np.float32]:
        return cast("NDArray[np.float32]", cast("torch.Tensor", output).float().numpy())

    def close(self) -> None:
        self.network = None


@contextmanager
def inference(threads: int) -> Iterator[None]:
    """PyTorch's inference mode with this number of threads; the previous number is restored."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.inference_mode():
            yield
    finally:
        torch.set_num_threads(before)


# ----
# PyTorch on an NVIDIA GPU, as a CUDA graph or kernel by kernel, timed by CUDA events; the base of NVIDIA devices.
#
# A network is captured once as a CUDA graph, whose kernels a run replays with one call. Without a graph, Python
# launches every kernel, and the latency of a small network is mostly Python's. An event before and one after a run
# give its time on the GPU's own clock. https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs
#
# The input is already on the GPU. cuDNN keeps PyTorch's defaults: no autotuning, and TF32 if the fingerprint says so.
# PyTorch also lists the GPUs for the runtimes outside of PyTorch, because its CUDA build brings libraries that they
# need.
#
# This device was written from PyTorch's documentation and has not been run on a GPU yet.


class NvidiaConfig(BaseModel):
    """Settings of a runtime on an NVIDIA GPU."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    gpu: int = Field(default=0, ge=0, le=63, description="number of the GPU, as PyTorch counts them")
    batch: int = Field(default=1, ge=1, le=65536, description="images in one timed run; the latency is the batch's")


class NvidiaGpu(Device):
    """A runtime on an NVIDIA GPU, with a batch."""

    Config: ClassVar[type[BaseModel]] = NvidiaConfig
    sensors: ClassVar[tuple[str, ...]] = ("nvml", "tegrastats")
    config: NvidiaConfig

    def __init__(self, config: NvidiaConfig) -> None:
        """Check that the GPU exists.

        Raises:
            DeviceError: there is no such GPU, or the device is not available.
            UsageError: the config belongs to another device.
        """
        super().__init__(config)
        if config.gpu >= torch.cuda.device_count():
            raise DeviceError(f"GPU {config.gpu} is asked for, this machine has 0..{torch.cuda.device_count() - 1}")

    @classmethod
    def unavailable(cls) -> str | None:
        """None if PyTorch was built for CUDA and sees a GPU."""
        if torch.version.cuda is None:
            return f"PyTorch {torch.__version__} is for the CPU alone; install a CUDA build beside an NVIDIA GPU"
        if not torch.cuda.is_available():
            return "PyTorch sees no NVIDIA GPU on this machine; is its driver installed?"
        return None

    @property
    def hardware(self) -> str:
        """The GPU's name and number."""
        return f"{torch.cuda.get_device_name(self.config.gpu)} {self.config.gpu}"

    @property
    def accelerator(self) -> str:
        """The GPU's UUID."""
        return f"GPU-{torch.cuda.get_device_properties(self.config.gpu).uuid}"

    def described(self, runtime: str, version: str, dtype: str) -> Fingerprint:
        """The fingerprint of a runtime on this GPU.

        Args:
            runtime: its name, and the libraries that it uses.
            version: its version.
            dtype: number format of its computation.
        """
        return {
            "name": self.name,
            "hardware": torch.cuda.get_device_name(self.config.gpu),
            "cores": usable_cores(),
            "os": operating_system(),
            "runtime": runtime,
            "version": version,
            "threads": 1,
            "batch": self.config.batch,
            "dtype": dtype,
        }


BEFORE_CAPTURE = 3  # runs on a side stream, as PyTorch's documentation asks: lazy initialisation must not be captured


class CudaConfig(NvidiaConfig):
    """Settings of PyTorch on an NVIDIA GPU."""

    graphs: bool = Field(default=True, description="replay a CUDA graph; otherwise Python launches each kernel")


class EagerCuda(NvidiaGpu):
    """PyTorch in inference mode on a GPU; it runs all layers, even those that the output does not need."""

    name = "eager-cuda"
    Config: ClassVar[type[BaseModel]] = CudaConfig
    prunes_dead_nodes = False
    memory: ClassVar[str | None] = "cuda"
    config: CudaConfig

    def fingerprint(self) -> Fingerprint:
        """The GPU, PyTorch's version, CUDA's and cuDNN's, whether graphs are replayed, and the batch."""
        cudnn_version = cast("int", torch.backends.cudnn.version())  # type: ignore[no-untyped-call]
        how = "torch-eager as CUDA graphs" if self.config.graphs else "torch-eager"
        dtype = "float32 with TF32 convolutions" if torch.backends.cudnn.allow_tf32 else "float32"
        return self.described(f"{how}, CUDA {torch.version.cuda}, cuDNN {cudnn_version}", torch_version(), dtype)

    def _prepare(self, model: Model) -> Runner:
        """The module and its input on the GPU, captured as a graph if asked for; raises as `Device.prepare`.

        Raises:
            DeviceError: the network cannot be captured as a CUDA graph.
        """
        return _CudaRunner(model, self.config)


class _CudaRunner(HostTimedRunner):
    """A module and its input on one GPU, and the graph of a run with its output tensor."""

    def __init__(self, model: Model, config: CudaConfig) -> None:
        images = model.inputs(config.batch)
        super().__init__(images, model.output_shape(config.batch))
        self.gpu = torch.device("cuda", config.gpu)
        self.network: nn.Module | None = model.module().to(self.gpu)
        self.images = torch.from_numpy(images).to(self.gpu)
        self.captured: tuple[torch.cuda.CUDAGraph, torch.Tensor] | None = None
        if config.graphs:
            with self._settings():
                self.captured = _capture(self.network, self.images)

    def _settings(self) -> AbstractContextManager[None]:
        return _inference(self.gpu)

    def _round(self, index: int, warmup: int, repeats: int) -> list[float]:  # noqa: ARG002 - for simulated noise alone
        samples_ms: list[float] = []
        with self._settings():
            for _ in range(warmup):
                output = self._run()
            self._check(output)
            for _ in range(repeats):
                begin, end = _event(), _event()
                begin.record()
                output = self._launch()
                end.record()
                end.synchronize()
                samples_ms.append(begin.elapsed_time(end))
            self._check(output)
        return samples_ms

    def _launch(self) -> torch.Tensor:
        """Start one run on the GPU, without waiting for it."""
        assert self.network is not None, "a closed runner is not used"
        if self.captured is None:
            return cast("torch.Tensor", self.network(self.images))
        graph, output = self.captured
        graph.replay()
        return output

    def _run(self) -> object:
        output = self._launch()
        torch.cuda.synchronize(self.gpu)
        return output

    def _logits(self, output: object) -> NDArray[np.float32]:
        return cast("NDArray[np.float32]", cast("torch.Tensor", output).cpu().numpy())

    def close(self) -> None:
        self.network = self.captured = None


def _capture(network: nn.Module, images: torch.Tensor) -> tuple[torch.cuda.CUDAGraph, torch.Tensor]:
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(BEFORE_CAPTURE):
            network(images)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph):
            output = network(images)
    except RuntimeError as error:
        reason = str(error).partition("\n")[0]
        raise DeviceError(f"the network cannot be captured as a CUDA graph ({reason}): turn graphs off") from error
    return graph, output


def _event() -> torch.cuda.Event:
    return torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]


@contextmanager
def _inference(gpu: torch.device) -> Iterator[None]:
    with torch.cuda.device(gpu), torch.inference_mode():
        yield
