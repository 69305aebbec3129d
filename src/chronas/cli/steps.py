"""Common parts of commands: run folders instead of files, files that must not exist, tables from networks."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from chronas.cli.flags import StepOptions
from chronas.cli.options import Call
from chronas.cli.output import resumable
from chronas.devices import AnalyticalDevice, Device
from chronas.errors import UsageError, unknown_name
from chronas.measurement import Plan, run_campaign
from chronas.progress import progress_display
from chronas.runs import Run
from chronas.spaces import Architecture, NetworkSize, Space
from chronas.tables import CostTable, analytical_table
from chronas.training import Recipe
from chronas.units import MeasuredCost

EPOCHS, DISTILLATION = "--recipe.epochs", ("--recipe.distill-weight", "--recipe.temperature")


def run_of(call: Call[Any], command: str, takes: Collection[str] = ()) -> Run | None:
    """The run folder that a command line names, if any.

    Args:
        call: the command line.
        command: name of the command for messages.
        takes: flags that the command accepts together with a run folder.

    Raises:
        UsageError: other flags are given with a run folder, which has its own settings; or `--again` without one.
        DataError: the folder has no run.
    """
    options: StepOptions = call.options
    if options.run is None:
        if options.again:
            raise UsageError(f"--again does a step of a run folder anew: chronas {command} RUN --again")
        return None
    wrong = sorted(call.flags - {"RUN", "--json", "--again", *takes})
    if wrong:
        raise UsageError(
            f"`chronas {command} RUN` takes its settings from the run, so {' '.join(wrong)} cannot be given; "
            f"give --again to do the step anew, or start another run"
        )
    return Run.open(options.run)


def check_new(*paths: Path | None, flag: str = "--out") -> None:
    """Check that files or folders to write do not exist, and that none is given twice.

    Raises:
        UsageError: one exists or is given twice.
    """
    given = [path for path in paths if path is not None]
    for path in given:
        if path.exists() or given.count(path) > 1:
            raise UsageError(
                f"{path} exists{' or is given twice' if len(given) > 1 else ''}; choose another {flag}, "
                "nothing is overwritten"
            )


def check_training(call: Call[Any]) -> None:
    """Check that every flag of a training acts.

    Raises:
        UsageError: epochs are given beside steps or minutes, or settings for a teacher without one.
    """
    for flag in ("--train-steps", "--train-minutes"):
        if {flag, EPOCHS} <= call.flags:
            raise UsageError(f"{flag} decides the length of a training, so {EPOCHS} does nothing: leave one out")
    for flag in DISTILLATION:
        if flag in call.flags and call.options.teacher is None:
            raise UsageError(f"{flag} is for learning from a teacher: give --teacher FILE, or leave it out")


def changed_recipe(call: Call[Any], recipe: Recipe) -> Recipe:
    """A recipe with the settings that the command line gives as `--recipe.*`."""
    part = call.groups["recipe"]
    given = {name for name in Recipe.model_fields if f"--recipe.{name.replace('_', '-')}" in call.flags}
    return recipe.model_copy(update={name: getattr(part, name) for name in given})


def published_size(space: Space, dataset: str | None) -> NetworkSize:
    """A published size of a space, by default the first.

    Raises:
        UsageError: there is no size of that name.
    """
    if dataset is not None and dataset not in space.sizes:
        raise unknown_name("dataset", dataset, space.sizes)
    return space.sizes[dataset or next(iter(space.sizes))]


def size_of(call: Call[Any], space: Space) -> NetworkSize:
    """The size of a command line.

    Raises:
        UsageError: the space has no such stem.
    """
    size = NetworkSize.model_validate(call.groups["size"])
    if size.stem not in space.topology.stems:
        raise UsageError(f"space {space.name} has no {size.stem} stem: give one of {', '.join(space.topology.stems)}")
    return size


def find_costs(
    call: Call[Any],
    device: Device,
    size: NetworkSize,
    architectures: Sequence[Architecture],
    journal: Path,
    costs: Sequence[MeasuredCost] = (),
) -> CostTable:
    """The table of a campaign, which resumes its journal; or computed at once for an analytical device.

    Args:
        call: the command line; it must not give a plan for an analytical device.
        device: the device that runs the networks.
        size: size of the networks.
        architectures: distinct architectures of one space.
        journal: journal of the campaign.
        costs: costs to find in addition to latency.

    Raises:
        UsageError: a plan is given for an analytical device.
        ChronasError: as `run_campaign` and `analytical_table`.
    """
    if isinstance(device, AnalyticalDevice):
        given = sorted(flag for flag in call.flags if flag.startswith("--plan."))
        if given:
            raise UsageError(f"device {device.name} computes its costs, so {given[0]} does nothing: leave it out")
        return analytical_table(device, size, architectures, costs)
    with resumable("the same command"), progress_display() as progress:
        run_campaign(
            device, size, architectures, Plan.model_validate(call.groups["plan"]), journal, progress, costs=costs
        )
    return CostTable.from_journal(journal)
