"""`chronas search`: an architecture for a data set, from a table of costs or in a run folder."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from pathlib import Path

from pydantic import Field

from chronas.cli.answers import write_json, write_table
from chronas.cli.border import resumable
from chronas.cli.folders import take_run
from chronas.cli.options import Options, read_names, read_options
from chronas.cli.progress import progress_display
from chronas.cli.run import CHOICES, DEFAULT_PRESET, RunOptions, config_of, limit_alone, options_model
from chronas.runs import EXPORTED, PRESETS, Finder, Run, find, fit, make_preset, measure, read_choice
from chronas.tables import CostTable, table_path

DESCRIPTION = """Search an architecture with a latency weight or limit, choose by measuring, keep it in a run folder.

Given a run folder, `chronas search RUN` does this step of the run; --again does it anew and keeps the old result.
Otherwise --table gives the costs, and --out becomes a run folder whose later steps (train, export, report) use the
same settings; the options are those of `chronas run`."""


class SearchOptions(RunOptions):
    """What `chronas search` has besides the options of `chronas run`."""

    table: Path = Field(description="Parquet file of `chronas measure`, of the same space, network size and device")


def main(words: list[str]) -> int:
    """Search, then tell what was chosen."""
    run, again, words = take_run(words, "chronas search")
    if run is not None:
        options = read_options(Options, words, prog="chronas search RUN", description=DESCRIPTION)
        return _search(run, again=again, as_json=options.json_answer)
    line = shlex.join(["chronas", "search", *words])
    chosen, rest = read_names(words, {"preset": PRESETS, **CHOICES}, {"preset": DEFAULT_PRESET})
    preset = chosen.pop("preset")
    base = limit_alone(make_preset(preset, chosen), words)
    model = options_model(SearchOptions, base, preset, Path("runs/search"))
    options = read_options(model, rest, prog="chronas search", description=DESCRIPTION)
    table = CostTable.load(table_path(options.table))
    run = Run.create(options.out, config_of(base, options), command=line, table=table)
    return _search(run, again=False, as_json=options.json_answer)


def _search(run: Run, *, again: bool, as_json: bool) -> int:
    with run.working(), resumable(f"chronas search {run.folder}"), progress_display() as progress:
        if again:
            run.set_aside("search", "networks", "missed.json", *EXPORTED)
        table = measure(run, progress)
        predictor, _ = fit(run, table, progress)
        networks = find(run, Finder(run, predictor, table, progress))
    rows = [{"network": role, **asdict(read_choice(run.folder / "networks" / role))} for role in networks]
    if as_json:
        write_json(rows)
    else:
        columns = ("network", "predicted ms", "measured ms", "architecture")
        keys = ("network", "predicted_ms", "latency_ms", "architecture")
        write_table(columns, [[row[key] for key in keys] for row in rows])
    return 0
