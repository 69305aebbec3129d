"""Tables of analytical devices: all architectures at once, without a campaign or a journal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from chronas import __version__
from chronas.devices import AnalyticalDevice
from chronas.errors import DeviceError
from chronas.records import Estimate
from chronas.spaces import Architecture, NetworkSize
from chronas.tables.columns import with_estimates
from chronas.tables.table import CostTable

SOURCE = "estimated"


def analytical_table(
    device: AnalyticalDevice, size: NetworkSize, architectures: Sequence[Architecture], costs: Sequence[str] = ()
) -> CostTable:
    """The latency and other costs that a device computes, each as one round without an interval.

    Args:
        device: the device that computes the costs.
        size: size of the networks.
        architectures: distinct architectures of one space.
        costs: names of other costs than latency.

    Raises:
        UsageError: there is no architecture, there are several spaces, or the size does not fit.
        DataError: an architecture occurs twice.
        DeviceError: the device does not compute a cost, or a network does not fit it.
    """
    unknown = [cost for cost in costs if cost not in device.estimates]
    if unknown:
        known = " and ".join(device.estimates)
        raise DeviceError(f"device {device.name} computes {known}, not {', '.join(unknown)}: ask for these, or measure")
    found = device.costs(architectures, size)
    rows = list(zip(architectures, found["latency_ms"].tolist(), strict=True))
    table = CostTable.from_rows(architectures[0].space, size, device, rows, source=SOURCE)
    frame = table.frame
    for cost in costs:
        exact = {text: _exact(value) for text, value in zip(frame["architecture"], found[cost].tolist(), strict=True)}
        frame = with_estimates(frame, cost, exact)
    created = datetime.now(UTC).isoformat(timespec="seconds")
    sources = dict.fromkeys(costs, f"{SOURCE} by {device.name}")
    return table.like(frame, created=created, version=__version__, sources=sources)


def _exact(value: float) -> Estimate:
    return Estimate(value, value, value, rounds=(value,))
