"""The table of a device that computes its costs: all architectures at once, without a campaign and a journal."""

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
    """The latency, and costs beside it, that a device tells, each as one round without an interval.

    Args:
        device: what computes them.
        size: what the architectures are built into.
        architectures: distinct, of one space.
        costs: names of costs beside the latency.

    Raises:
        UsageError: no architecture, architectures of several spaces, or the size does not fit them.
        DataError: an architecture twice.
        DeviceError: the device does not tell a cost, or a network does not fit it.
    """
    unknown = [cost for cost in costs if cost not in device.estimates]
    if unknown:
        known = " and ".join(device.estimates)
        raise DeviceError(f"device {device.name} tells {known}, not {', '.join(unknown)}: ask for these, or measure")
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
