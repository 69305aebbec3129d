"""NVIDIA GPUs through NVML (package nvidia-ml-py): the energy counter of the board, or its integrated power.

The counter is in mJ since the driver was loaded, on Volta and newer; it and the power change every 20 to 100 ms.
https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceQueries.html
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any, ClassVar

from chronas.devices import Device
from chronas.errors import DeviceError
from chronas.measurement.sensors.sensor import PowerSensor

PACKAGE = "pynvml"


class Nvml(PowerSensor):
    """Energy of an NVIDIA GPU's board by NVML; it counts everything on the GPU, but not the CPU."""

    name: ClassVar[str] = "nvml"
    period_s: ClassVar[float] = 0.1

    def __init__(self, device: Device) -> None:
        super().__init__(device)
        self._nvml = _library()
        self._gpu = self._find()
        self._counts = self._has_counter()

    @classmethod
    def unavailable(cls) -> str | None:
        """None if the package is installed and NVML answers."""
        try:
            _library()
        except DeviceError as error:
            return str(error)
        return None

    @property
    def scope(self) -> str:
        """The board, and the source of its energy."""
        return f"NVIDIA GPU board ({'energy counter' if self._counts else 'power, integrated'})"

    def _begin(self) -> None:
        if self._counts:
            self._before_mj = self._counter_mj()
        else:
            super()._begin()

    def _end(self, duration_s: float) -> float:
        return float(self._counter_mj() - self._before_mj) if self._counts else super()._end(duration_s)

    def _next_mw(self) -> float | None:
        return None if self._over.wait(self.period_s) else float(self._asked("nvmlDeviceGetPowerUsage"))

    def _counter_mj(self) -> int:
        return int(self._asked("nvmlDeviceGetTotalEnergyConsumption"))

    def _asked(self, question: str) -> Any:
        try:
            return getattr(self._nvml, question)(self._gpu)
        except self._nvml.NVMLError as error:
            raise DeviceError(f"{question} failed ({error}): does `nvidia-smi` still show the GPU?") from error

    def _find(self) -> Any:
        """NVML's handle of the device's GPU, found by UUID because NVML and the runtimes number GPUs differently."""
        uuid = self.device.accelerator
        if uuid is None:
            raise DeviceError(f"device {self.device.name} does not say which GPU it is: NVML measures only GPUs")
        try:
            return self._nvml.nvmlDeviceGetHandleByUUID(uuid)
        except self._nvml.NVMLError as error:
            raise DeviceError(f"NVML does not know GPU {uuid} ({error}): does `nvidia-smi -L` list it?") from error

    def _has_counter(self) -> bool:
        """Whether the board has an energy counter; older boards only report power."""
        try:
            self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._gpu)
        except self._nvml.NVMLError_NotSupported:
            return False
        except self._nvml.NVMLError as error:
            raise DeviceError(f"NVML cannot report the GPU's energy ({error}): does `nvidia-smi` show it?") from error
        return True


def _library() -> ModuleType:
    """The started NVML; raises `DeviceError` if the package or the driver is missing."""
    try:
        library = importlib.import_module(PACKAGE)
    except ModuleNotFoundError as error:
        raise DeviceError("the energy of NVIDIA GPUs needs a package: pip install 'chronas[gpu]'") from error
    try:
        library.nvmlInit()
    except library.NVMLError as error:
        raise DeviceError(f"NVML does not answer ({error}): is NVIDIA's driver installed?") from error
    return library
