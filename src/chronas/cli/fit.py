"""`chronas fit`: learns a cost predictor from a table, as a step of a run or from a file."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel

from chronas.cli.flags import FitOptions
from chronas.cli.options import Call, Groups
from chronas.cli.output import note, write, write_json, write_table
from chronas.cli.steps import check_new, run_of
from chronas.errors import UsageError
from chronas.predictors import PredictorReport, TransferConfig, fit_and_report, fit_on_samples, predictor_class
from chronas.progress import progress_display
from chronas.reports import predictor_words
from chronas.runs import Run, fit_all, measure, predictor_folder
from chronas.runs import fit as fit_step
from chronas.tables import CostTable, table_files, table_path
from chronas.units import unit_of


def groups_of(options: FitOptions) -> Groups:
    """The predictor's settings."""
    return Groups({"predictor": predictor_class(_predictor(options)).Config()})


def _predictor(options: FitOptions) -> str:
    return options.predictor or ("transfer" if options.transfer_from else "lpm")


def fit(call: Call[FitOptions]) -> int:
    """Fit, then report the quality of the predictor."""
    options = call.options
    own = run_of(call, "fit")
    if own is not None:
        return _of_run(own, again=options.again, as_json=options.json_answer)
    if options.table is None:
        raise UsageError("--table is needed: a Parquet file of `chronas measure`, or give a run folder")
    check_new(options.out)
    path = table_path(options.table)
    table = CostTable.load(path)
    table = table if options.cost is None else table.of(options.cost)
    name, config = _predictor(options), _with_sources(call.groups["predictor"], path.resolve(), options)
    note(f"fitting {name} to {len(table)} networks")
    if options.samples is None:
        if "--choose" in call.flags:
            raise UsageError("--choose selects samples: give --samples, or leave it out")
        predictor, report = fit_and_report(name, table, config=config, folds=options.folds, seed=options.seed)
    else:
        if "--folds" in call.flags:
            raise UsageError("--samples scores on all other networks, without folds: leave one of the two out")
        predictor, report = fit_on_samples(
            name, table, samples=options.samples, choose=options.choose, config=config, seed=options.seed
        )
    predictor.save(options.out)
    show_fit(report, options.out, as_json=options.json_answer)
    return 0


def _with_sources(config: BaseModel, own: Path, options: FitOptions) -> BaseModel:
    """The predictor's config with the tables of --transfer-from, without the table itself."""
    if not options.transfer_from:
        if isinstance(config, TransferConfig) and not config.sources:
            raise UsageError("--predictor transfer learns from other devices: give their tables by --transfer-from")
        return config
    if not isinstance(config, TransferConfig):
        raise UsageError("--transfer-from is for --predictor transfer: leave one of the two out")
    found = [file for path in options.transfer_from for file in table_files(path)]
    sources = [file for file in found if file.resolve() != own]
    if len(sources) < len(found):
        note(f"{options.table} is the table to learn, so it is no source")
    if not sources:
        raise UsageError("--transfer-from needs a table of another device: got only the table to learn")
    return config.model_copy(update={"sources": tuple(sources), "cost": options.cost or config.cost})


def _of_run(own: Run, *, again: bool, as_json: bool) -> int:
    with own.working(), progress_display() as progress:
        if again:
            own.set_aside("predictor")
        table = measure(own, progress)
        reports = {cost: fit_step(own, table.of(cost), progress)[1] for cost in fit_all(own, table, progress)}
    paths = {cost: predictor_folder(own, cost) / "predictor.safetensors" for cost in reports}
    if as_json:
        write_json([{"path": str(paths[cost]), **report.to_json()} for cost, report in reports.items()])
        return 0
    for cost, report in reports.items():
        show_fit(report, paths[cost], as_json=False)
    return 0


def show_fit(report: PredictorReport, path: Path, *, as_json: bool) -> None:
    """Scores of the predictor and of the baselines, then their meaning."""
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
