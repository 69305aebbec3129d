"""`chronas search`: an architecture for a data set, from a table of costs or in a run folder."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

from pydantic import Field

from chronas.cli.errors import resumable
from chronas.cli.options import Options, read_names, read_options
from chronas.cli.output import progress_display, write, write_json, write_table
from chronas.cli.run import (
    CHOICES,
    DEFAULT_PRESET,
    RunOptions,
    config_of,
    cost_columns,
    limit_alone,
    options_model,
    told_costs,
)
from chronas.cli.run_argument import take_run
from chronas.devices import described
from chronas.records import Front
from chronas.reports import FRONT_COLUMNS, front_rows, front_words
from chronas.runs import (
    DEVICES_FILE,
    EXPORTED,
    PRESETS,
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
from chronas.tables import CostTable, table_path
from chronas.training import launched_group
from chronas.units import LATENCY

DESCRIPTION = """Search an architecture with a latency weight or limit, choose by measuring, keep it in a run folder.

Given a run folder, `chronas search RUN` does this step of the run; --again does it anew and keeps the old result.
Otherwise --table gives the costs, and --out becomes a run folder whose later steps (train, export, report) use the
same settings; the options are those of `chronas run`.

Processes share every batch of a searcher by gradient, such as darts, and the first one does all else, with:
torchrun --nproc-per-node 2 -m chronas.cli.main search ..."""


class SearchOptions(RunOptions):
    """What `chronas search` has besides the options of `chronas run`."""

    table: Path = Field(
        description="Parquet file of `chronas measure`, or the name of a table that comes with chronas; its space and "
        "network size must be the run's; without --device, its device is searched for"
    )


def main(words: list[str]) -> int:
    """Search, then tell what was chosen."""
    run, again, words = take_run(words, "chronas search")
    if run is not None:
        options = read_options(Options, words, prog="chronas search RUN", description=DESCRIPTION)
        return _shared(run.config, lambda: run, again=again, as_json=options.json_answer)
    line = shlex.join(["chronas", "search", *words])
    chosen, rest = read_names(words, {"preset": PRESETS, **CHOICES}, {"preset": DEFAULT_PRESET})
    preset = chosen.pop("preset")
    base = limit_alone(preset_of(preset, chosen, rest), words)
    model = options_model(SearchOptions, base, preset, Path("runs/search"))
    options = read_options(model, rest, prog="chronas search", description=DESCRIPTION)
    table, config = CostTable.load(table_path(options.table)), config_of(base, options)

    def begun() -> Run:
        return Run.create(options.out, config, command=line, table=table)

    return _shared(config, begun, again=False, as_json=options.json_answer)


def _shared(config: RunConfig, begun: Callable[[], Run], *, again: bool, as_json: bool) -> int:
    """Search in the run; where torchrun has started several processes, the others help the first one."""
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


def preset_of(preset: str, chosen: dict[str, str], words: list[str]) -> RunConfig:
    """The preset for the chosen names; where no device is among them, for the device of the table in `words`."""
    path = next((after for before, after in itertools.pairwise([*words, ""]) if before == "--table"), None)
    path = next((word.partition("=")[2] for word in words if word.startswith("--table=")), path)
    if "device" in chosen or not path:
        return make_preset(preset, chosen)
    device, config = device_of(CostTable.load(table_path(Path(path))))
    return make_preset(preset, {**chosen, "device": device}).model_copy(update={"device_config": config})


def _search(run: Run, *, again: bool, as_json: bool) -> int:
    with run.working(), resumable(f"chronas search {run.folder}"), progress_display() as progress:
        if again:
            run.set_aside("search", "networks", "missed.json", DEVICES_FILE, "front.json", "front.sqlite", *EXPORTED)
        table = measure(run, progress)
        predictors = fit_all(run, table, progress)
        networks = find(run, Finder(run, predictors, table, progress))
        front = None if run.config.front is None else search_front(run, predictors, table, progress)
    tell(run, {role: read_choice(run.folder / "networks" / role) for role in networks}, front, as_json=as_json)
    return 0


def tell(run: Run, choices: Mapping[str, Chosen], front: Front | None, *, as_json: bool) -> None:
    """What was chosen, on stdout; with a front, that as well."""
    if as_json:
        rows = [{"network": role, **asdict(each), **told_costs(each.costs)} for role, each in choices.items()]
        write_json(rows if front is None else {"networks": rows, "front": asdict(front)})
        return
    costs = list(choices[run.role].costs)
    columns = [name for cost in costs for name in cost_columns(cost)]
    lines: list[list[object]] = []
    for role, choice in choices.items():
        known = told_costs({cost: choice.costs[cost] for cost in costs if cost in choice.costs})
        lines.append([role, *known.values(), *[None] * (len(columns) - len(known)), choice.architecture])
    write_table(("network", *columns, "architecture"), lines)
    if front is not None:
        write("\nThe front; accuracies are the search's own, as nothing of it is trained yet")
        write_table(FRONT_COLUMNS, front_rows(front))
        write(f"{front_words(front)} Train any of them: chronas train {run.folder} --front NUMBER")
    if run.recorded:
        how = "the table's own" if choices[run.role].costs[LATENCY].source == "table" else "predicted"
        write(f"not measured here: device {described(run.facts.device)} is not on this machine; costs are {how}")
