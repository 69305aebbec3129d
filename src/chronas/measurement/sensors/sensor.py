"""The base class of energy sensors: a sensor measures the energy of the hardware between `begin` and `end`.

There are two kinds. An energy counter of the hardware is read twice. A power sensor is read repeatedly, and its power
is integrated.

`SimulatedSensor` gives the exact energy of the simulated device, without the rounding of a counter.
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

FEWEST_READINGS = 3  # least number of power readings in an interval, for an integral


@dataclass(frozen=True)
class Drawn:
    """The energy of the hardware in an interval, for everything that ran on it.

    Attributes:
        energy_mj: energy in mJ.
        duration_s: length of the interval in s, by the device's clock.
        background_cores: mean number of CPU cores used by others; None if the device does not know.
    """

    energy_mj: float
    duration_s: float
    background_cores: float | None

    @property
    def power_mw(self) -> float:
        """Mean power in mW (1 mW is 1 mJ per second)."""
        return self.energy_mj / self.duration_s


class Sensor(ABC):
    """A sensor for the energy of the hardware that a device runs on.

    Attributes:
        name: the key in `SENSORS`.
        period_s: seconds between two updates of its reading; an interval should contain many of them.
        device: the device whose hardware is measured.
    """

    name: ClassVar[str]
    period_s: ClassVar[float]

    def __init__(self, device: Device) -> None:
        self.device = device

    @classmethod
    @abstractmethod
    def unavailable(cls) -> str | None:
        """The reason why this machine does not have the sensor, in one line, or None if it has it."""

    @property
    @abstractmethod
    def scope(self) -> str:
        """The measured hardware, in words: "CPU package-0"."""

    def begin(self) -> None:
        """Begin an interval.

        Raises:
            DeviceError: the sensor cannot be read.
        """
        self.device.background_cores()  # called at both ends, because it covers the time between two calls
        self._begin()
        self._begin_s = self.device.now_s()

    def end(self) -> Drawn:
        """End the interval.

        Raises:
            DeviceError: the sensor cannot be read, or reports no energy.
        """
        duration_s = self.device.now_s() - self._begin_s
        energy_mj = self._end(duration_s)
        if not (energy_mj > 0 and duration_s > 0):
            got = f"{energy_mj:g} mJ in {duration_s:g} s"
            raise DeviceError(
                f"sensor {self.name} should report an energy above zero, got {got}: does it really count?"
            )
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
    """A power sensor, read by its own thread during the whole interval."""

    def __init__(self, device: Device) -> None:
        super().__init__(device)
        self._readings: list[tuple[float, float]] = []
        self._error: DeviceError | None = None
        self._over = threading.Event()

    @abstractmethod
    def _next_mw(self) -> float | None:
        """The sensor's next reading in mW, after waiting for it; None if the interval has ended."""

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
        DeviceError: there are fewer than three readings, too few for an integral.
    """
    if len(readings) < FEWEST_READINGS:
        raise DeviceError(f"expected at least {FEWEST_READINGS} readings of power, got {len(readings)}: measure longer")
    times_s, powers_mw = np.array(readings, dtype=np.float64).T
    return float(np.trapezoid(powers_mw, times_s) / (times_s[-1] - times_s[0]))


@runtime_checkable
class KnowsItsEnergy(Protocol):
    """A device that knows its own energy.

    Attributes:
        idle_mw: constant power in mW.
        work_mj: energy of runs in mJ, since the reader last set it to zero.
    """

    idle_mw: float
    work_mj: float


class SimulatedSensor(Sensor):
    """The energy of the simulated device on its virtual clock."""

    name: ClassVar[str] = "simulated"
    period_s: ClassVar[float] = 0.001

    def __init__(self, device: Device) -> None:
        if not isinstance(device, KnowsItsEnergy):
            raise DeviceError(f"the simulated sensor is the simulated device's, got {device.name}: take another")
        super().__init__(device)
        self._knows: KnowsItsEnergy = device

    @classmethod
    def unavailable(cls) -> str | None:
        """None: the sensor is always available."""
        return None

    @property
    def scope(self) -> str:
        """The device."""
        return "simulated device"

    def wait(self, duration_s: float) -> None:
        """Advance the virtual clock."""
        self.device.resume_at(self.device.now_s() + duration_s)

    def _begin(self) -> None:
        self._knows.work_mj = 0.0  # so that earlier runs leave no rounding in the reading

    def _end(self, duration_s: float) -> float:
        return self._knows.work_mj + self._knows.idle_mw * duration_s
