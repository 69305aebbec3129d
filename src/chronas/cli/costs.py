"""What `chronas measure` and `chronas table build` share: networks become a table, measured or computed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from chronas.cli.errors import resumable
from chronas.cli.output import progress_display
from chronas.devices import AnalyticalDevice, Device
from chronas.errors import UsageError
from chronas.measurement import Cost, Plan, run_campaign
from chronas.spaces import Architecture, NetworkSize
from chronas.tables import CostTable, analytical_table


def find_costs(
    device: Device,
    size: NetworkSize,
    architectures: Sequence[Architecture],
    plan: Plan,
    costs: Sequence[Cost],
    journal: Path,
    words: Sequence[str],
) -> CostTable:
    """The table of a campaign, which goes on where its journal ends; or at once, where the device computes its costs.

    Args:
        device: where the networks run.
        size: what they are built into.
        architectures: distinct, of one space.
        plan: of the campaign.
        costs: what to find beside the latency.
        journal: of the campaign.
        words: the command line, which must not give a plan where none is followed.

    Raises:
        UsageError: a plan is given for a device that computes its costs.
        ChronasError: as `run_campaign` and `analytical_table`.
    """
    if isinstance(device, AnalyticalDevice):
        given = [word for word in words if word.startswith("--plan.")]
        if given:
            raise UsageError(f"device {device.name} computes its costs, so {given[0]} does nothing: leave it out")
        return analytical_table(device, size, architectures, costs)
    with resumable("the same command"), progress_display() as progress:
        run_campaign(device, size, architectures, plan, journal, progress, costs=costs)
    return CostTable.from_journal(journal)
