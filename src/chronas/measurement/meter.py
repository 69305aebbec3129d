"""The base class of meters: a meter measures a cost other than latency, one reading of one network at a time.

`AnalyticalEnergyMeter` returns the exact energy that an analytical device computes.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from chronas.devices import AnalyticalDevice, Device
from chronas.errors import DeviceError
from chronas.registry import Registry
from chronas.spaces import Architecture, NetworkSize

COSTS = Registry(
    "cost",
    {  # costs that can be measured besides latency_ms; the name of a cost ends in its unit
        "energy_mj": "chronas.measurement.energy:make_energy_meter",
        "peak_memory_mib": "chronas.measurement.memory:make_memory_meter",
    },
)


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
        size: size of the networks.
        weights: files of `networks.save_state` for networks with trained weights.
    """

    cost: ClassVar[str]

    def __init__(self, device: Device, size: NetworkSize, weights: Mapping[Architecture, Path] | None = None) -> None:
        self.device = device
        self.size = size
        self.weights = weights or {}

    @property
    @abstractmethod
    def source(self) -> str:
        """The source of the numbers, in words; readings of different sources are not mixed."""

    def read(self, architecture: Architecture, index: int) -> Reading:
        """Measure a network once.

        Args:
            architecture: architecture of the network.
            index: the number of the round in its campaign; simulated noise depends on it.

        Raises:
            DeviceError: the sensor cannot be read, or the cost is not above zero.
            DataError: the weights are damaged or belong to another network.
        """
        reading = self._read(architecture, index)
        if not (math.isfinite(reading.value) and reading.value > 0):
            raise DeviceError(
                f"{self.cost} should be above zero, got {reading.value:g} by {self.source}: measure again"
            )
        return reading

    @abstractmethod
    def _read(self, architecture: Architecture, index: int) -> Reading:
        """One reading, before it is checked."""

    @abstractmethod
    def close(self) -> None:
        """Release resources; a later `read` acquires them again."""


def make_meter(
    cost: str, device: Device, size: NetworkSize, weights: Mapping[Architecture, Path] | None = None
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
        self, device: AnalyticalDevice, size: NetworkSize, weights: Mapping[Architecture, Path] | None = None
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

    def _read(self, architecture: Architecture, index: int) -> Reading:  # noqa: ARG002 - all rounds are the same
        return Reading(float(self._estimating.costs([architecture], self.size)[self.cost][0]))

    def close(self) -> None:
        """Do nothing: the meter holds no resources."""
