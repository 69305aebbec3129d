"""PyTorch in eager mode on an NVIDIA GPU. A run is timed on the host, from the call until the GPU has finished.

The input already lies on the GPU. cuDNN keeps PyTorch's defaults: no autotuning, TF32 where the fingerprint says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import ClassVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from chronas.devices.device import Device, Fingerprint, Runner
from chronas.devices.hardware import operating_system, usable_cores
from chronas.devices.host import HostTimedRunner, build_network, random_images, torch_version
from chronas.errors import DeviceError
from chronas.spaces import Architecture, Skeleton


class CudaConfig(BaseModel):
    """What is chosen about an NVIDIA GPU."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    gpu: int = Field(default=0, ge=0, le=63, description="number of the GPU, as PyTorch counts them")
    batch: int = Field(default=1, ge=1, le=65536, description="images in one timed run; the latency is the batch's")


class EagerCuda(Device):
    """PyTorch eager in inference mode on a GPU; all layers run, also those that the output does not need."""

    name = "eager-cuda"
    Config: ClassVar[type[BaseModel]] = CudaConfig
    prunes_dead_nodes = False
    sensors: ClassVar[tuple[str, ...]] = ("nvml", "tegrastats")
    memory: ClassVar[str | None] = "cuda"
    config: CudaConfig

    def __init__(self, config: CudaConfig) -> None:
        super().__init__(config)
        if config.gpu >= torch.cuda.device_count():
            raise DeviceError(f"GPU {config.gpu} is asked for, this machine has 0..{torch.cuda.device_count() - 1}")

    @classmethod
    def unavailable(cls) -> str | None:
        """None where PyTorch was built for CUDA and sees a GPU."""
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

    def fingerprint(self) -> Fingerprint:
        """The GPU, PyTorch's version, CUDA's and cuDNN's, and the batch."""
        cudnn_version = cast("int", torch.backends.cudnn.version())  # type: ignore[no-untyped-call]
        return {
            "name": self.name,
            "hardware": torch.cuda.get_device_name(self.config.gpu),
            "cores": usable_cores(),
            "os": operating_system(),
            "runtime": f"torch-eager, CUDA {torch.version.cuda}, cuDNN {cudnn_version}",
            "version": torch_version(),
            "threads": 1,
            "batch": self.config.batch,
            "dtype": "float32 with TF32 convolutions" if torch.backends.cudnn.allow_tf32 else "float32",
        }

    def prepare(self, architecture: Architecture, skeleton: Skeleton, *, weights: Path | None = None) -> Runner:
        """The module and its input on the GPU; raises as `Device.prepare`."""
        network = build_network(architecture, skeleton, weights)
        return _CudaRunner(network, random_images(self.config.batch, skeleton), skeleton.classes, self.config.gpu)


class _CudaRunner(HostTimedRunner):
    """A module and its input on one GPU."""

    def __init__(self, network: nn.Module, images: NDArray[np.float32], classes: int, gpu: int) -> None:
        super().__init__(images, classes)
        self.gpu = torch.device("cuda", gpu)
        self.network: nn.Module | None = network.to(self.gpu)
        self.images = torch.from_numpy(images).to(self.gpu)

    def _settings(self) -> AbstractContextManager[None]:
        return _inference()

    def _run(self) -> object:
        assert self.network is not None, "a closed runner is not used"
        output = self.network(self.images)
        torch.cuda.synchronize(self.gpu)
        return output

    def _logits(self, output: object) -> NDArray[np.float32]:
        return cast("NDArray[np.float32]", cast("torch.Tensor", output).cpu().numpy())

    def close(self) -> None:
        self.network = None


@contextmanager
def _inference() -> Iterator[None]:
    with torch.inference_mode():
        yield
