"""The steps that measure and fit: the table of random networks, and a predictor for each relevant cost."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np

from chronas.errors import LimitMissedError, MismatchError
from chronas.files import PREDICTOR_REPORT, read_as, upgraded, write_json
from chronas.measurement import read_journal, run_campaign
from chronas.networks import space_counts
from chronas.predictors import CompleteTable, Predictor, PredictorReport, fit_and_report, load_predictor
from chronas.progress import Progress, silent
from chronas.runs.run import Run
from chronas.tables import CostTable

REPORT_SCHEMA = "chronas.predictor-report/2"
LATENCY = "latency_ms"
DRAWN, FIRST = 2000, 20  # random networks, and the cheapest of them that are measured first
FAR = 1.25  # times the limit; two rounds of a busy machine can be slow by less


def look_first(run: Run, progress: Progress = silent) -> None:
    """Measure a few of the cheapest networks, before any other work, if there is a limit on the latency.

    Raises:
        LimitMissedError: all of them are far above the limit; the message names the flags that change that.
    """
    limit_ms = run.config.limits.get(LATENCY)
    if limit_ms is None or run.recorded or (run.folder / "costs.parquet").exists():
        return
    drawn = run.space.sample(min(DRAWN, run.space.cardinality), run.config.seed)
    connected = [each for each in drawn if each.connected()]
    macs = space_counts(run.space, run.size).macs(run.space.encode(connected))
    cheapest = [connected[row] for row in np.argsort(macs, kind="stable")[:FIRST]]
    plan = run.config.plan.model_copy(update={"rounds": 2, "max_rounds": 2})
    journal = run.folder / "feasible.sqlite"

    def shown(_: str, done: int, total: int, note: str) -> None:
        progress("look first", done, total, note)

    run_campaign(run.device, run.size, cheapest, plan, journal, shown)
    nearest_ms = min(each.value for each in read_journal(journal).latencies().values())
    if nearest_ms > FAR * limit_ms:
        raise LimitMissedError(
            f"a limit of {limit_ms:g} ms is out of reach: the fastest of {len(cheapest)} networks with the fewest "
            f"operations takes {nearest_ms:.3g} ms. Give a smaller network (--size.width, now {run.size.width}; "
            f"--size.depth, now {run.size.depth}), smaller images (--image-size, now {run.size.input_shape[-1]}), "
            f"another stem (--size.stem) or a higher --limit-ms, and another --out"
        )


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
