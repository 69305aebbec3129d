"""What the runtimes on an NVIDIA GPU share: which GPU, which batch, and what the fingerprint says of them.

PyTorch tells which GPUs there are, also for the runtimes that do not run in it: its CUDA build brings libraries that
they need.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import BaseModel, ConfigDict, Field

from chronas.devices.device import Device, Fingerprint
from chronas.devices.hardware import operating_system, usable_cores
from chronas.errors import DeviceError


class NvidiaConfig(BaseModel):
    """What is chosen about an NVIDIA GPU."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    gpu: int = Field(default=0, ge=0, le=63, description="number of the GPU, as PyTorch counts them")
    batch: int = Field(default=1, ge=1, le=65536, description="images in one timed run; the latency is the batch's")


class NvidiaGpu(Device):
    """A runtime on an NVIDIA GPU, with a batch."""

    Config: ClassVar[type[BaseModel]] = NvidiaConfig
    sensors: ClassVar[tuple[str, ...]] = ("nvml", "tegrastats")
    config: NvidiaConfig

    def __init__(self, config: NvidiaConfig) -> None:
        """Refuse a GPU that is not there.

        Raises:
            DeviceError: there is no such GPU, or the device is not available.
            UsageError: the config is another device's.
        """
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

    def described(self, runtime: str, version: str, dtype: str) -> Fingerprint:
        """The fingerprint of a runtime on this GPU.

        Args:
            runtime: its name, and what it stands on.
            version: its version.
            dtype: what it computes in.
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
