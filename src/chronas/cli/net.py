"""`chronas measure net`: networks of the user side by side, on one device or several."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
from pydantic import BaseModel

from chronas.api import Comparison, compare
from chronas.cli.flags import NetOptions
from chronas.cli.options import Call, Groups
from chronas.cli.output import note, write, write_json, write_table
from chronas.cli.steps import check_new
from chronas.devices import Device, device_class, make_device
from chronas.errors import UsageError
from chronas.files import write_text
from chronas.measurement import Plan
from chronas.names import spreadsheet_cell
from chronas.progress import progress_display
from chronas.runs import as_given, scaling_words
from chronas.units import cost_word


def groups_of(options: NetOptions) -> Groups:
    """The first device's settings, which the others share, and the plan."""
    return Groups({"device": device_class(options.device[0]).Config(), "plan": Plan()})


def measure(call: Call[NetOptions]) -> int:
    """Measure, then show the networks side by side."""
    options = call.options
    check_new(options.out)
    if options.data is None and (options.mean or options.std):
        raise UsageError("--mean and --std are for the accuracy: give --data as well")
    plan = Plan.model_validate(call.groups["plan"])
    devices = _devices(options.device, call.groups["device"])
    given = {source: as_given(source, options.input_shape or None) for source in options.networks}
    if len(given) < len(options.networks):
        raise UsageError("a network is given twice: give each once")
    with progress_display() as progress:
        found = compare(
            given, devices, data=options.data, mean=options.mean, std=options.std, plan=plan, progress=progress
        )
    if options.out is not None:
        names = pl.Series([spreadsheet_cell(name) for name in found.frame["network"]])
        write_text(options.out, found.frame.with_columns(network=names).write_csv())
    if options.json_answer:
        write_json([{**row, "batch": found.batch[row["device"]]} for row in found.frame.to_dicts()])
        return 0
    _show(found, plan)
    if options.data is not None:
        scalings = {scaling_words(each, options.mean, options.std) for each in given.values()}
        dtype = getattr(call.groups["device"], "dtype", "float32")
        beside = "" if dtype == "float32" else f" It is that of the network as given, not in {dtype}."
        write(f"Accuracy is that of the data's test images; {'; '.join(sorted(scalings))}.{beside}")
    if options.out is not None:
        note(f"table: {options.out}")
    return 0


def _devices(names: Sequence[str], config: BaseModel) -> list[Device]:
    """The devices, with the first one's settings; one that lacks a setting that was changed is refused."""
    changed = config.model_dump(exclude_defaults=True)
    devices = [make_device(names[0], config)]
    for name in names[1:]:
        kind = device_class(name).Config
        lacking = next((key for key in changed if key not in kind.model_fields), None)
        if lacking is not None:
            raise UsageError(f"device {name} has no setting {lacking}: measure it by a command of its own")
        devices.append(make_device(name, kind.model_validate(changed)))
    return devices


def _show(found: Comparison, plan: Plan) -> None:
    write_table(*found.columns())
    statistic = "fastest run" if plan.statistic == "minimum" else "median run"
    batches = sorted(set(found.batch.values()))
    of = "one example" if batches == [1] else f"a batch of {' or '.join(map(str, batches))}"
    write(
        f"\nLatency of {of}: the {statistic} of a round, median over rounds; median and p95 are of single runs. MACs "
        "are for one example."
    )
    for each in found.rows:
        if each.why_not is not None:
            write(f"Not measured: {each.network} on {each.device}, because {each.why_not}")
        for cost, why in each.unknown.items():
            write(f"No {cost_word(cost)} of {each.network} on {each.device}: {why}")
