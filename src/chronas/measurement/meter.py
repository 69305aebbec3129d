"""The contract of a meter: what measures a cost other than latency, one reading of one network at a time.

Costs that a device computes instead of being measured for them: exact, so that one reading says all.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from chronas.devices import AnalyticalDevice, Device
from chronas.errors import DeviceError
from chronas.registry import Registry
from chronas.spaces import Architecture, NetworkSize

Cost = Literal["energy_mj", "peak_memory_mib"]
COSTS = Registry(
    "cost",
    {  # what can be measured beside latency_ms; a cost's name ends in its unit
        "energy_mj": "chronas.measurement.energy:make_energy_meter",
        "peak_memory_mib": "chronas.measurement.memory:make_memory_meter",
    },
)


@dataclass(frozen=True)
class Reading:
    """One measurement of a cost.

    Attributes:
        value: in the unit that the cost's name tells.
        beside: what was noted with it, by name; the names end in units too.
    """

    value: float
    beside: Mapping[str, float] = field(default_factory=dict)


class Meter(ABC):
    """Measures one cost of networks of one size on one device.

    Attributes:
        cost: the key in `COSTS`.
        device: where the networks run.
        size: what they are built into.
        weights: files of `networks.save_state` for networks that run as they were trained.
    """

    cost: ClassVar[str]

    def __init__(self, device: Device, size: NetworkSize, weights: Mapping[Architecture, Path] | None = None) -> None:
        self.device = device
        self.size = size
        self.weights = weights or {}

    @property
    @abstractmethod
    def source(self) -> str:
        """What tells the numbers, in words; readings of two sources are not mixed."""

    def read(self, architecture: Architecture, index: int) -> Reading:
        """Measure a network once.

        Args:
            architecture: of the network.
            index: the number of the round in its campaign; simulated noise is drawn from it.

        Raises:
            DeviceError: what measures cannot be read, or gives a cost that is not above zero.
            DataError: the weights are damaged or another network's.
        """
        reading = self._read(architecture, index)
        if not (math.isfinite(reading.value) and reading.value > 0):
            raise DeviceError(
                f"{self.cost} should be above zero, got {reading.value:g} by {self.source}: measure again"
            )
        return reading

    @abstractmethod
    def _read(self, architecture: Architecture, index: int) -> Reading:
        """One reading, not yet checked."""

    @abstractmethod
    def close(self) -> None:
        """Give back what is held; a later `read` takes it again."""


def make_meter(
    cost: str, device: Device, size: NetworkSize, weights: Mapping[Architecture, Path] | None = None
) -> Meter:
    """The meter of a cost in `COSTS` for a device.

    Raises:
        UsageError: there is no such cost.
        DeviceError: it cannot be measured on this device and machine; the message says why.
    """
    meter: Meter = COSTS[cost](device, size, weights)
    return meter


class AnalyticalEnergyMeter(Meter):
    """The energy that a device says a run takes."""

    cost: ClassVar[str] = "energy_mj"

    def __init__(
        self, device: AnalyticalDevice, size: NetworkSize, weights: Mapping[Architecture, Path] | None = None
    ) -> None:
        """Check that the device tells it.

        Raises:
            DeviceError: it does not.
        """
        super().__init__(device, size, weights)
        self._estimating = device
        if self.cost not in device.estimates:
            raise DeviceError(f"{self.cost} cannot be measured on device {device.name}: it tells no energy")

    @property
    def source(self) -> str:
        """The device's own formula."""
        return f"estimated by {self.device.name}"

    def _read(self, architecture: Architecture, index: int) -> Reading:  # noqa: ARG002 - all rounds are the same
        return Reading(float(self._estimating.costs([architecture], self.size)[self.cost][0]))

    def close(self) -> None:
        """Nothing is held."""
