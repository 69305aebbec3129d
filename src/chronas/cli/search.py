"""`chronas search`: finds an architecture for a data set, from a table of costs or in a run folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

from chronas.cli.flags import SearchOptions
from chronas.cli.options import Call, Groups
from chronas.cli.output import resumable, write, write_json, write_table
from chronas.cli.run import (
    chosen_names,
    config_of,
    cost_columns,
    create,
    flat_costs,
    groups_of_config,
    preset_of,
    with_recipe,
)
from chronas.cli.steps import run_of
from chronas.devices import described
from chronas.errors import UsageError
from chronas.progress import progress_display
from chronas.records import Front
from chronas.reports import front_table, front_words
from chronas.runs import (
    BESIDE_FILE,
    DEVICES_FILE,
    EXPORTED,
    INT8_MODEL,
    Chosen,
    Finder,
    Run,
    RunConfig,
    device_of,
    find,
    fit_all,
    help_searches,
    make_preset,
    measure,
    read_choice,
    search_front,
)
from chronas.search import searcher_class
from chronas.spaces import NetworkScale
from chronas.tables import CostTable, table_path
from chronas.training import launched_group
from chronas.units import LATENCY


def groups_of(options: SearchOptions) -> Groups:
    """All groups of the preset; if no device is given, for the device of the table."""
    names = chosen_names(options)
    if "device" in names or options.table is None:
        return groups_of_config(with_recipe(make_preset(preset_of(options), names), options))
    table = CostTable.load(table_path(options.table))
    device, config = device_of(table)
    base = make_preset(preset_of(options), {"space": table.provenance.space, **names, "device": device})
    size = NetworkScale.model_validate(table.provenance.size.model_dump(include={"width", "depth", "stem"}))
    return groups_of_config(with_recipe(base.model_copy(update={"device_config": config, "size": size}), options))


def search(call: Call[SearchOptions]) -> int:
    """Search, then show the choice."""
    options = call.options
    own = run_of(call, "search")
    if own is not None:
        return _shared(own.config, lambda: own, again=options.again, as_json=options.json_answer)
    if options.table is None:
        raise UsageError("--table is needed: a Parquet file of `chronas measure`, or a name of `chronas table list`")
    table, config = CostTable.load(table_path(options.table)), config_of(call)

    def begun() -> Run:
        return create(call, options.out or Path("runs/search"), table)

    return _shared(config, begun, again=False, as_json=options.json_answer)


def _shared(config: RunConfig, begun: Callable[[], Run], *, again: bool, as_json: bool) -> int:
    """Search in the run; further processes of torchrun help the first one."""
    with launched_group() as group:
        searcher_class(config.searcher).require_shared(group.size)
        if not group.first:
            help_searches(group)
            return 0
        run = begun()
        run.group = group
        exit_code = _search(run, again=again, as_json=as_json)
        group.broadcast("")
    return exit_code


def _search(run: Run, *, again: bool, as_json: bool) -> int:
    with run.working(), resumable(f"chronas search {run.folder}"), progress_display() as progress:
        if again:
            run.set_aside(
                "search",
                "networks",
                "missed.json",
                DEVICES_FILE,
                "front.json",
                "front.sqlite",
                "front",
                BESIDE_FILE,
                *EXPORTED,
                INT8_MODEL,
            )
        table = measure(run, progress)
        predictors = fit_all(run, table, progress)
        networks = find(run, Finder(run, predictors, table, progress))
        front = None if run.config.front is None else search_front(run, predictors, table, progress)
    show_answer(run, {role: read_choice(run.folder / "networks" / role) for role in networks}, front, as_json=as_json)
    return 0


def show_answer(run: Run, choices: Mapping[str, Chosen], front: Front | None, *, as_json: bool) -> None:
    """Show the choice on stdout, and the front if there is one."""
    if as_json:
        rows = [{"network": role, **asdict(each), **flat_costs(each.costs)} for role, each in choices.items()]
        write_json(rows if front is None else {"networks": rows, "front": asdict(front)})
        return
    costs = list(choices[run.role].costs)
    columns = [name for cost in costs for name in cost_columns(cost)]
    lines: list[list[object]] = []
    for role, choice in choices.items():
        known = flat_costs({cost: choice.costs[cost] for cost in costs if cost in choice.costs})
        lines.append([role, *known.values(), *[None] * (len(columns) - len(known)), choice.architecture])
    write_table(("network", *columns, "architecture"), lines)
    if front is not None:
        weighted = any(network.folder is not None for network in front.networks)
        kept = "their weights and files are in front/NUMBER" if weighted else "nothing of it is trained yet"
        write(f"\nThe front; accuracies are the search's own; {kept}")
        write_table(*front_table(front))
        further = "Train any of them further" if weighted else "Train any of them"
        write(f"{front_words(front)} {further}: chronas train {run.folder} --front NUMBER")
    if run.recorded:
        how = "the table's own" if choices[run.role].costs[LATENCY].source == "table" else "predicted"
        write(f"not measured here: device {described(run.facts.device)} is not on this machine; costs are {how}")
