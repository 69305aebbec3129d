"""A check of a table: a sample of its networks is measured again in new rounds, later and in another process.

The rounds of one campaign are minutes apart in one process and may share its errors; a check shares nothing with it.
`chronas measure check TABLE` makes a check.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from chronas import __version__
from chronas.devices import AnalyticalDevice, Device
from chronas.errors import DataError, DeviceError, UsageError
from chronas.measurement import read_journal, run_campaign, stored_plan
from chronas.progress import Progress, silent
from chronas.records import Estimate
from chronas.spaces import Architecture, NetworkSize
from chronas.tables.provenance import Check, Repeatability, with_estimates
from chronas.tables.table import CostTable

SECONDS_PER_HOUR = 3600.0


def remeasured(
    table: CostTable, device: Device, journal_path: Path, *, networks: int, seed: int = 0, progress: Progress = silent
) -> CostTable:
    """The table with an additional check: a random sample of its networks, measured again under its plan.

    Args:
        table: a table that chronas measured.
        device: the table's device, on this machine.
        journal_path: journal of the new measurements; an unfinished one is resumed.
        networks: size of the sample; all networks if the table has fewer.
        seed: seed of the sample.
        progress: as in `run_campaign`.

    Raises:
        MismatchError: the device is not the table's.
        DataError: the table was not measured by a campaign, so that it has no plan to repeat.
        UsageError: fewer than two networks are asked for.
    """
    provenance = table.provenance
    table.require(device=device)
    if not provenance.plan:
        raise DataError(f"the table ({provenance.source}) has no plan of measuring to repeat: measure one yourself")
    if networks < 2:
        raise UsageError(f"a check needs at least two networks to compare, got {networks}")
    architectures = table.architectures()
    rows = np.sort(np.random.default_rng(seed).permutation(len(table))[:networks])
    sample = [architectures[row] for row in rows]
    run_campaign(device, provenance.size, sample, stored_plan(provenance.plan), journal_path, progress)
    journal = read_journal(journal_path)
    latencies = journal.latencies()
    before_ms = table.frame["latency_ms"].to_numpy()[rows]
    now_ms = np.array([latencies[str(architecture)].value for architecture in sample])
    began, now = datetime.fromisoformat(provenance.created), datetime.now(UTC)
    check = Check(
        created=now.isoformat(timespec="seconds"),
        hours_after=(now - began).total_seconds() / SECONDS_PER_HOUR,
        agreement=Repeatability.between(before_ms, now_ms),
        level_percent=100 * (float(np.median(now_ms / before_ms)) - 1),
        background_cores=journal.background_cores(),
    )
    return table.like(table.frame, checks=(*provenance.checks, check))


# ----
# Tables of analytical devices: all architectures at once, without a campaign or a journal.

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
