"""The energy that the simulated device draws, exactly: it does not pass through a counter that is rounded."""

from __future__ import annotations

from typing import ClassVar, Protocol, runtime_checkable

from chronas.devices import Device
from chronas.errors import DeviceError
from chronas.measurement.sensors.sensor import Sensor


@runtime_checkable
class KnowsItsEnergy(Protocol):
    """A device that knows what it draws.

    Attributes:
        idle_mw: all the time.
        work_mj: by runs, since whoever reads it put it to zero.
    """

    idle_mw: float
    work_mj: float


class SimulatedSensor(Sensor):
    """What the simulated device draws on its virtual clock."""

    name: ClassVar[str] = "simulated"
    period_s: ClassVar[float] = 0.001

    def __init__(self, device: Device) -> None:
        if not isinstance(device, KnowsItsEnergy):
            raise DeviceError(f"the simulated sensor is the simulated device's, got {device.name}: take another")
        super().__init__(device)
        self._knows: KnowsItsEnergy = device

    @classmethod
    def unavailable(cls) -> str | None:
        """None: it is everywhere."""
        return None

    @property
    def scope(self) -> str:
        """The device."""
        return "simulated device"

    def wait(self, duration_s: float) -> None:
        """Let virtual time pass."""
        self.device.resume_at(self.device.now_s() + duration_s)

    def _begin(self) -> None:
        self._knows.work_mj = 0.0  # so that what came before leaves no rounding in the reading

    def _end(self, duration_s: float) -> float:
        return self._knows.work_mj + self._knows.idle_mw * duration_s
