"""The steps that measure and fit: the table of random networks, and a predictor for each relevant cost."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from chronas.errors import MismatchError
from chronas.files import PREDICTOR_REPORT, read_as, upgraded, write_json
from chronas.measurement import run_campaign
from chronas.predictors import CompleteTable, Predictor, PredictorReport, fit_and_report, load_predictor
from chronas.progress import Progress, silent
from chronas.runs.run import Run
from chronas.tables import CostTable

REPORT_SCHEMA = "chronas.predictor-report/2"
LATENCY = "latency_ms"


def measure(run: Run, progress: Progress = silent) -> CostTable:
    """Measure random architectures of the run's space on its device, or resume an earlier attempt.

    Raises:
        MismatchError: the folder's table or journal belongs to another space, size, device, plan or cost.
        DataError: the folder's table lacks a cost with a limit or weight.
    """
    path = run.folder / "costs.parquet"
    if not path.exists():
        architectures = run.space.sample(run.config.networks, run.config.seed)
        journal = run.folder / "journal.sqlite"
        with run.timed("measure", progress) as shown:
            plan, costs = run.config.plan, run.config.costs
            run_campaign(run.device, run.size, architectures, plan, journal, shown, costs=costs)
        CostTable.from_journal(journal, run.space).save(path)
    table = CostTable.load(path, run.space)
    run.require(table)
    return table


def fit(run: Run, table: CostTable, progress: Progress = silent) -> tuple[Predictor, PredictorReport]:
    """Fit the run's predictor on its table, with a report from cross-validation.

    The predictor of latency is in `predictor/`, those of other costs are in `predictor/<cost>/`.
    """
    cost = table.provenance.cost
    folder = predictor_folder(run, cost)
    if not all((folder / name).exists() for name in ("predictor.safetensors", "report.json")):
        name = "nothing, the table has every architecture" if _knows_all(run, table) else run.config.predictor
        progress("fit", 0, 1, f"{name}; {cost} of {len(table)} networks")
        with run.timed("fit" if cost == LATENCY else f"fit {cost}"):
            if _knows_all(run, table):
                predictor, report = fit_and_report(CompleteTable, table)
            else:
                predictor, report = fit_and_report(
                    run.predictor, table, config=run.config.predictor_config, seed=run.config.seed
                )
        predictor.save(folder / "predictor.safetensors")
        write_json(folder / "report.json", REPORT_SCHEMA, report.to_json())
        progress("fit", 1, 1, f"Kendall {report.scores.kendall:.2f}, error {report.scores.mape_percent:.1f} %")
    report = read_report(folder)
    return _loaded(run, folder / "predictor.safetensors"), report


def _knows_all(run: Run, table: CostTable) -> bool:
    """Whether the table has every architecture, so that nothing needs to be predicted; gradients need a predictor."""
    return run.space.listable and len(table) == run.space.cardinality and not run.searcher.differentiable


def _loaded(run: Run, path: Path) -> Predictor:
    """A predictor of the run; a complete table is one whatever the run's predictor is."""
    try:
        return load_predictor(path, run.space, run.predictor)
    except MismatchError:
        return load_predictor(path, run.space, CompleteTable)


def read_report(folder: Path) -> PredictorReport:
    """Read a predictor's report from its folder; raises `DataError` if it is missing or damaged."""

    def mended(content: dict[str, Any]) -> dict[str, Any]:
        return cast("dict[str, Any]", upgraded(content, PREDICTOR_REPORT))

    return read_as(folder / "report.json", REPORT_SCHEMA, PredictorReport, oldest=1, mend=mended)


def fit_all(run: Run, table: CostTable, progress: Progress = silent) -> dict[str, Predictor]:
    """Fit a predictor for latency and each other cost with a limit or weight, by name of the cost."""
    return {cost: fit(run, table.of(cost), progress)[0] for cost in (LATENCY, *run.config.costs)}


def saved_predictors(run: Run) -> dict[str, Predictor]:
    """Load the predictors that `fit_all` wrote.

    Raises:
        DataError: a predictor is missing or damaged.
    """
    return {
        cost: _loaded(run, predictor_folder(run, cost) / "predictor.safetensors")
        for cost in (LATENCY, *run.config.costs)
    }


def predictor_folder(run: Run, cost: str) -> Path:
    """The folder of a cost's predictor."""
    return run.folder / "predictor" / ("" if cost == LATENCY else cost)
