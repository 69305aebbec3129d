"""The base class of meters: a meter measures a cost other than latency, one reading of one network at a time.

`AnalyticalEnergyMeter` returns the exact energy that an analytical device computes.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from chronas.devices import AnalyticalDevice, Device, Runner
from chronas.errors import DeviceError
from chronas.measurement.sensors import sensor_of
from chronas.registry import Registry
from chronas.spaces import Architecture, NetworkSize
from chronas.units import MS_PER_S

if TYPE_CHECKING:
    from torch import nn

    from chronas.networks import OnnxNetwork

COSTS = Registry(
    "cost",
    {  # costs that can be measured besides latency_ms; the name of a cost ends in its unit
        "energy_mj": "chronas.measurement.meter:make_energy_meter",
        "peak_memory_mib": "chronas.measurement.memory:make_memory_meter",
    },
)


@dataclass(frozen=True, eq=False)
class OwnNetwork:
    """A network of the user.

    Attributes:
        network: a module or an ONNX file.
        shape: shape of one example for a module; None for an ONNX file, which has its own.
    """

    network: nn.Module | OnnxNetwork
    shape: tuple[int, ...] | None = None


Network = Architecture | OwnNetwork


def prepared(device: Device, network: Network, size: NetworkSize | None, weights: Path | None = None) -> Runner:
    """A network ready to run, of any kind; raises as `Device.prepare`.

    Args:
        device: the device.
        network: an architecture, or a user's own network.
        size: size of an architecture.
        weights: file of an architecture's weights.
    """
    if isinstance(network, OwnNetwork):
        return device.prepare(network.network, network.shape)
    return device.prepare(network, size, weights=weights)


@dataclass(frozen=True)
class Reading:
    """One measurement of a cost.

    Attributes:
        value: in the unit at the end of the cost's name.
        beside: additional numbers by name; these names end in units too.
    """

    value: float
    beside: Mapping[str, float] = field(default_factory=dict)


class Meter(ABC):
    """Measures one cost of networks of one size on one device.

    Attributes:
        cost: the key in `COSTS`.
        device: the device that runs the networks.
        size: size of the networks; None if all of them are the user's own.
        weights: files for networks with trained weights, as `Device.prepare` takes them.
    """

    cost: ClassVar[str]

    def __init__(
        self, device: Device, size: NetworkSize | None, weights: Mapping[Architecture, Path] | None = None
    ) -> None:
        self.device = device
        self.size = size
        self.weights = weights or {}

    @property
    @abstractmethod
    def source(self) -> str:
        """The source of the numbers, in words; readings of different sources are not mixed."""

    def read(self, network: Network, index: int) -> Reading:
        """Measure a network once.

        Args:
            network: an architecture, or a user's own network.
            index: the number of the round in its campaign; simulated noise depends on it.

        Raises:
            DeviceError: the sensor cannot be read, or the cost is not above zero.
            DataError: the weights are damaged or belong to another network.
        """
        reading = self._read(network, index)
        if not (math.isfinite(reading.value) and reading.value > 0):
            raise DeviceError(
                f"{self.cost} should be above zero, got {reading.value:g} by {self.source}: measure again"
            )
        return reading

    @abstractmethod
    def _read(self, network: Network, index: int) -> Reading:
        """One reading, before it is checked."""

    def _prepared(self, network: Network) -> Runner:
        weights = None if isinstance(network, OwnNetwork) else self.weights.get(network)
        return prepared(self.device, network, self.size, weights)

    def _in_its_size(self, network: Network) -> tuple[Architecture, NetworkSize]:
        """The architecture and its size, for devices that compute a cost from them.

        Raises:
            DeviceError: the network is a user's own.
        """
        if isinstance(network, OwnNetwork) or self.size is None:
            raise DeviceError(f"{self.cost} of a network of one's own is not known on device {self.device.name}")
        return network, self.size

    @abstractmethod
    def close(self) -> None:
        """Release resources; a later `read` acquires them again."""


def make_meter(
    cost: str, device: Device, size: NetworkSize | None, weights: Mapping[Architecture, Path] | None = None
) -> Meter:
    """The meter of a cost in `COSTS` for a device.

    Raises:
        UsageError: there is no such cost.
        DeviceError: the cost cannot be measured on this device and machine; the message says why.
    """
    meter: Meter = COSTS[cost](device, size, weights)
    return meter


class AnalyticalEnergyMeter(Meter):
    """The energy of a run that an analytical device computes."""

    cost: ClassVar[str] = "energy_mj"

    def __init__(
        self, device: AnalyticalDevice, size: NetworkSize | None, weights: Mapping[Architecture, Path] | None = None
    ) -> None:
        """Check that the device computes energy.

        Raises:
            DeviceError: the device does not compute energy.
        """
        super().__init__(device, size, weights)
        self._estimating = device
        if self.cost not in device.estimates:
            raise DeviceError(f"{self.cost} cannot be measured on device {device.name}: it computes no energy")

    @property
    def source(self) -> str:
        """The device's own formula."""
        return f"estimated by {self.device.name}"

    def _read(self, network: Network, index: int) -> Reading:  # noqa: ARG002 - all rounds are the same
        architecture, size = self._in_its_size(network)
        return Reading(float(self._estimating.costs([architecture], size)[self.cost][0]))

    def close(self) -> None:
        """Do nothing: the meter holds no resources."""


# ----
# Energy of a run in mJ: a sensor's energy over an interval full of runs, divided by their number.
#
# `energy_mj` is the *total* energy of the sensor's hardware during the runs, divided by their number: the energy that
# a battery gives while the network runs, and the product of mean power and latency. No baseline is subtracted,
# because its noise would be large compared to small networks. The baseline is measured before each interval and
# stored as `idle_mw`: the energy above idle is energy_mj - idle_mw x duration_s / runs.
#
# A sensor measures its whole hardware, with all its users. `background_cores` is the number of CPU cores that others
# used in the meantime.

RUNNING_S = 1.0  # least length of an interval, and least number of sensor periods in it: an edge is then at most 5 %
RUNNING_PERIODS = 20
IDLE_S = 0.5
IDLE_PERIODS = 10
TRIAL = (1, 3)  # warm-up and timed runs that estimate how many runs fill the interval, and warm the network up


class EnergyMeter(Meter):
    """The energy of a run, by the first of the device's sensors that this machine has."""

    cost: ClassVar[str] = "energy_mj"

    def __init__(
        self, device: Device, size: NetworkSize | None, weights: Mapping[Architecture, Path] | None = None
    ) -> None:
        """Find the sensor.

        Raises:
            DeviceError: this machine has no sensor for the device; the message says why.
        """
        super().__init__(device, size, weights)
        self.sensor = sensor_of(device)
        self._runners: dict[Network, Runner] = {}

    @property
    def source(self) -> str:
        """The sensor, and the hardware that it measures."""
        return f"{self.sensor.name}: {self.sensor.scope}"

    def _read(self, network: Network, index: int) -> Reading:
        runner = self._runner(network)
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

    def _runner(self, network: Network) -> Runner:
        if network not in self._runners:
            self._runners[network] = self._prepared(network)
        return self._runners[network]

    def close(self) -> None:
        """Close the networks."""
        for runner in self._runners.values():
            runner.close()
        self._runners.clear()


def make_energy_meter(
    device: Device, size: NetworkSize | None, weights: Mapping[Architecture, Path] | None = None
) -> EnergyMeter | AnalyticalEnergyMeter:
    """A sensor's meter, or for a device that computes its energy, a meter that returns the computed value.

    Raises:
        DeviceError: this machine has no sensor for the device; the message says why.
    """
    if isinstance(device, AnalyticalDevice):
        return AnalyticalEnergyMeter(device, size, weights)
    return EnergyMeter(device, size, weights)
