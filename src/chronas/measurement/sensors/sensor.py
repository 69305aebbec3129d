"""The contract of a sensor of energy: told when an interval begins and ends, it says what the hardware took meanwhile.

Two kinds: a counter that the hardware keeps is read twice; a sensor of power is read again and again, and integrated.

The energy that the simulated device draws, exactly: it does not pass through a counter that is rounded.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np

from chronas.devices import Device
from chronas.errors import DeviceError

FEWEST_READINGS = 3  # of power in an interval; fewer are no integral


@dataclass(frozen=True)
class Drawn:
    """What the hardware took in an interval, for all that ran on it.

    Attributes:
        energy_mj: energy in mJ.
        duration_s: length of the interval in s, by the device's clock.
        background_cores: how many CPU cores others used meanwhile; None where the device does not know.
    """

    energy_mj: float
    duration_s: float
    background_cores: float | None

    @property
    def power_mw(self) -> float:
        """Mean power in mW: a mJ a second is a mW."""
        return self.energy_mj / self.duration_s


class Sensor(ABC):
    """Something that tells the energy of the hardware that a device runs on.

    Attributes:
        name: the key in `SENSORS`.
        period_s: seconds between two changes of what it tells; an interval should hold many of them.
        device: whose hardware is looked at.
    """

    name: ClassVar[str]
    period_s: ClassVar[float]

    def __init__(self, device: Device) -> None:
        self.device = device

    @classmethod
    @abstractmethod
    def unavailable(cls) -> str | None:
        """Why this machine does not have the sensor, in one line, or None where it has it."""

    @property
    @abstractmethod
    def scope(self) -> str:
        """What the energy is of, in words: "CPU package-0"."""

    def begin(self) -> None:
        """Begin an interval.

        Raises:
            DeviceError: the sensor cannot be read.
        """
        self.device.background_cores()  # asked at both ends, since it tells of the time between two questions
        self._begin()
        self._begin_s = self.device.now_s()

    def end(self) -> Drawn:
        """End the interval.

        Raises:
            DeviceError: the sensor cannot be read, or tells no energy.
        """
        duration_s = self.device.now_s() - self._begin_s
        energy_mj = self._end(duration_s)
        if not (energy_mj > 0 and duration_s > 0):
            got = f"{energy_mj:g} mJ in {duration_s:g} s"
            raise DeviceError(f"sensor {self.name} should tell an energy above zero, got {got}: does it really count?")
        return Drawn(energy_mj, duration_s, self.device.background_cores())

    def wait(self, duration_s: float) -> None:
        """Let the hardware be idle for `duration_s` seconds."""
        time.sleep(duration_s)

    @abstractmethod
    def _begin(self) -> None:
        """Read the counter, or start reading the power."""

    @abstractmethod
    def _end(self, duration_s: float) -> float:
        """The energy since `_begin`, in mJ, `duration_s` seconds later."""


class PowerSensor(Sensor):
    """A sensor of power, read by a thread of its own all through the interval."""

    def __init__(self, device: Device) -> None:
        super().__init__(device)
        self._readings: list[tuple[float, float]] = []
        self._error: DeviceError | None = None
        self._over = threading.Event()

    @abstractmethod
    def _next_mw(self) -> float | None:
        """The sensor's next reading in mW, after waiting for it; None where the interval ended meanwhile."""

    def _begin(self) -> None:
        self._readings, self._error = [], None
        self._over.clear()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _end(self, duration_s: float) -> float:
        self._over.set()
        self._thread.join()
        if self._error is not None:
            raise self._error
        return mean_power_mw(self._readings) * duration_s

    def _watch(self) -> None:
        try:
            while not self._over.is_set():
                power_mw = self._next_mw()
                if power_mw is not None:
                    self._readings.append((time.monotonic(), power_mw))
        except DeviceError as error:
            self._error = error


def mean_power_mw(readings: Sequence[tuple[float, float]]) -> float:
    """The mean over time of readings (s, mW), by the trapezoidal rule, in mW.

    Raises:
        DeviceError: fewer than three readings, which are no integral.
    """
    if len(readings) < FEWEST_READINGS:
        raise DeviceError(f"expected at least {FEWEST_READINGS} readings of power, got {len(readings)}: measure longer")
    times_s, powers_mw = np.array(readings, dtype=np.float64).T
    return float(np.trapezoid(powers_mw, times_s) / (times_s[-1] - times_s[0]))


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
