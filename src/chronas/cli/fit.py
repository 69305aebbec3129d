"""`chronas fit`: learn a cost predictor from a table, as a step of a run or from a loose file."""

from __future__ import annotations

import sys
from pathlib import Path

from pydantic import BaseModel, Field

from chronas.cli.options import Options, part, read_names, read_options, with_names, with_parts
from chronas.cli.output import progress_display, write, write_json, write_table
from chronas.cli.run_argument import take_run
from chronas.errors import UsageError
from chronas.predictors import (
    PREDICTORS,
    Choose,
    PredictorReport,
    TransferConfig,
    fit_and_report,
    fit_on_samples,
    predictor_class,
)
from chronas.reports import predictor_words
from chronas.runs import Run, fit, fit_all, measure, predictor_folder
from chronas.tables import CostTable, table_files, table_path
from chronas.units import unit_of

DESCRIPTION = """Learn a cost predictor from a table, and report how well it predicts architectures not seen.

With --transfer-from a device is learned from few networks: tables of other devices tell the rest.

Given a run folder, `chronas fit RUN` does this step of the run; --again does it anew and keeps the old result."""


class FitOptions(Options):
    """Options of `chronas fit` that do not depend on names."""

    table: Path = Field(description="Parquet file of `chronas measure`, or a name of `chronas table list`")
    out: Path = Field(default=Path("predictor.safetensors"), description="file to write")
    cost: str | None = Field(default=None, description="what to learn of the table's costs; by default its own")
    transfer_from: tuple[Path, ...] = Field(
        default=(), description="tables of other devices on the same space, or their folder: --predictor transfer"
    )
    samples: int | None = Field(
        default=None,
        ge=1,
        description="fit on so many networks of the table, judge on all others; without it, folds",
    )
    choose: Choose = Field(default="spread", description="which samples: random, spread out, least sure one next")
    folds: int = Field(default=5, ge=2, le=100, description="folds of the cross-validation")
    seed: int = Field(default=0, ge=0, description="of samples, folds and fitting")


def main(words: list[str]) -> int:
    """Fit, then tell how good it is."""
    run, again, words = take_run(words, "chronas fit")
    if run is not None:
        return _of_run(run, words, again=again)
    valid = {"predictor": PREDICTORS}
    given = {word.partition("=")[0] for word in words}
    names, words = read_names(words, valid, {"predictor": "transfer" if "--transfer-from" in given else "lpm"})
    named = with_names(FitOptions, valid, names)
    model = with_parts(named, {"predictor": predictor_class(names["predictor"]).Config()})
    options = read_options(model, words, prog="chronas fit", description=DESCRIPTION)
    if options.out.exists():
        raise UsageError(f"{options.out} exists; choose another --out, nothing is overwritten")
    table = CostTable.load(table_path(options.table))
    table = table if options.cost is None else table.of(options.cost)
    config = _with_sources(part(options, "predictor"), options)
    if options.samples is None:
        if "--choose" in given:
            raise UsageError("--choose tells which samples to take: give --samples, or leave it out")
        predictor, report = fit_and_report(
            names["predictor"], table, config=config, folds=options.folds, seed=options.seed
        )
    else:
        if "--folds" in given:
            raise UsageError("--samples judges on all networks left, without folds: leave one of the two out")
        predictor, report = fit_on_samples(
            names["predictor"],
            table,
            samples=options.samples,
            choose=options.choose,
            config=config,
            seed=options.seed,
        )
    predictor.save(options.out)
    show_fit(report, options.out, as_json=options.json_answer)
    return 0


def _with_sources(config: BaseModel, options: FitOptions) -> BaseModel:
    """The predictor's config with the tables of --transfer-from, but for the table itself."""
    if not options.transfer_from:
        return config
    if not isinstance(config, TransferConfig):
        raise UsageError("--transfer-from is for --predictor transfer: leave one of the two out")
    own = table_path(options.table).resolve()
    found = [file for path in options.transfer_from for file in table_files(path)]
    sources = [file for file in found if file.resolve() != own]
    if len(sources) < len(found):
        sys.stderr.write(f"{options.table} is the table to learn, so it is no source\n")
    if not sources:
        raise UsageError("--transfer-from needs a table of another device: got only the table to learn")
    return config.model_copy(update={"sources": tuple(sources), "cost": options.cost or config.cost})


def _of_run(run: Run, words: list[str], *, again: bool) -> int:
    options = read_options(Options, words, prog="chronas fit RUN", description=DESCRIPTION)
    with run.working(), progress_display() as progress:
        if again:
            run.set_aside("predictor")
        table = measure(run, progress)
        reports = {cost: fit(run, table.of(cost), progress)[1] for cost in fit_all(run, table, progress)}
    paths = {cost: predictor_folder(run, cost) / "predictor.safetensors" for cost in reports}
    if options.json_answer:
        write_json([{"path": str(paths[cost]), **report.to_json()} for cost, report in reports.items()])
        return 0
    for cost, report in reports.items():
        show_fit(report, paths[cost], as_json=False)
    return 0


def show_fit(report: PredictorReport, path: Path, *, as_json: bool) -> None:
    """Scores beside the baselines', then what they mean."""
    if as_json:
        write_json({"path": str(path), **report.to_json()})
        return
    unit = unit_of(report.cost)
    columns = ("", "Kendall", "Spearman", "MAPE %", f"RMSE {unit}", "within 5 %", "within 10 %")
    scores = {
        "this predictor": report.scores,
        **{f"baseline {name}": score for name, score in report.baselines.items()},
    }
    write_table(
        columns,
        [
            (name, s.kendall, s.spearman, s.mape_percent, s.rmse, s.within_5_percent, s.within_10_percent)
            for name, s in scores.items()
        ],
    )
    write("\n".join(["", *predictor_words(report), f"predictor: {path}"]))
