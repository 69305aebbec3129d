"""Costs that a device computes instead of being measured for them: exact, so that one reading says all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from chronas.devices import EstimatingDevice
from chronas.errors import DeviceError
from chronas.measurement.meter import Meter, Reading
from chronas.spaces import Architecture, Skeleton


class EstimatedEnergyMeter(Meter):
    """The energy that a device says a run takes."""

    cost: ClassVar[str] = "energy_mj"

    def __init__(
        self, device: EstimatingDevice, skeleton: Skeleton, weights: Mapping[Architecture, Path] | None = None
    ) -> None:
        """Check that the device tells it.

        Raises:
            DeviceError: it does not.
        """
        super().__init__(device, skeleton, weights)
        self._estimating = device
        if self.cost not in device.estimates:
            raise DeviceError(f"{self.cost} cannot be measured on device {device.name}: it tells no energy")

    @property
    def source(self) -> str:
        """The device's own formula."""
        return f"estimated by {self.device.name}"

    def _read(self, architecture: Architecture, index: int) -> Reading:  # noqa: ARG002 - all rounds are the same
        return Reading(float(self._estimating.costs([architecture], self.skeleton)[self.cost][0]))

    def close(self) -> None:
        """Nothing is held."""
