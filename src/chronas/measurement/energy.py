"""Energy of a run in mJ: a sensor's energy over an interval full of runs, divided by their number.

`energy_mj` is the *total* that the sensor's hardware drew meanwhile, over the runs: what the battery pays while the
network runs, and what a product of mean power and latency gives. It needs no baseline, whose noise would go into small
networks in full. The baseline is measured all the same, before each interval, and kept beside as `idle_mw`: the energy
above idle is energy_mj - idle_mw x duration_s / runs.

A sensor sees its whole hardware, whoever uses it: `background_cores` says how many CPU cores others used meanwhile.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np

from chronas.devices import AnalyticalDevice, Device, Runner
from chronas.measurement.meter import AnalyticalEnergyMeter, Meter, Reading
from chronas.measurement.sensors import sensor_of
from chronas.spaces import Architecture, NetworkSize
from chronas.units import MS_PER_S

RUNNING_S = 1.0  # an interval's least length, and its least number of sensor periods: an edge is then 5 % at the most
RUNNING_PERIODS = 20
IDLE_S = 0.5
IDLE_PERIODS = 10
TRIAL = (1, 3)  # warm-up and timed runs that tell how many runs fill the interval, and wake the network


class EnergyMeter(Meter):
    """The energy of a run, by the first of the device's sensors that this machine has."""

    cost: ClassVar[str] = "energy_mj"

    def __init__(self, device: Device, size: NetworkSize, weights: Mapping[Architecture, Path] | None = None) -> None:
        """Find the sensor.

        Raises:
            DeviceError: this machine has no sensor that sees the device; the message says why.
        """
        super().__init__(device, size, weights)
        self.sensor = sensor_of(device)
        self._runners: dict[Architecture, Runner] = {}

    @property
    def source(self) -> str:
        """The sensor, and what its energy is of."""
        return f"{self.sensor.name}: {self.sensor.scope}"

    def _read(self, architecture: Architecture, index: int) -> Reading:
        runner = self._runner(architecture)
        trial_ms = float(np.min(runner.round(index, *TRIAL)))
        running_s = max(RUNNING_S, RUNNING_PERIODS * self.sensor.period_s)
        runs = math.ceil(running_s * MS_PER_S / trial_ms)
        self.sensor.begin()
        self.sensor.wait(max(IDLE_S, IDLE_PERIODS * self.sensor.period_s))
        idle = self.sensor.end()
        self.sensor.begin()
        runner.run(runs)
        drawn = self.sensor.end()
        beside = {"runs": float(runs), "duration_s": drawn.duration_s, "idle_mw": idle.power_mw}
        if drawn.background_cores is not None:
            beside["background_cores"] = drawn.background_cores
        return Reading(drawn.energy_mj / runs, beside)

    def _runner(self, architecture: Architecture) -> Runner:
        if architecture not in self._runners:
            weights = self.weights.get(architecture)
            self._runners[architecture] = self.device.prepare(architecture, self.size, weights=weights)
        return self._runners[architecture]

    def close(self) -> None:
        """Close the networks."""
        for runner in self._runners.values():
            runner.close()
        self._runners.clear()


def make_energy_meter(
    device: Device, size: NetworkSize, weights: Mapping[Architecture, Path] | None = None
) -> EnergyMeter | AnalyticalEnergyMeter:
    """A sensor's meter, or where the device computes its energy, that.

    Raises:
        DeviceError: this machine has no sensor that sees the device; the message says why.
    """
    if isinstance(device, AnalyticalDevice):
        return AnalyticalEnergyMeter(device, size, weights)
    return EnergyMeter(device, size, weights)
