"""The steps that measure: the table that the predictor learns from, and the networks that were found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from chronas.files import read_as, write_json
from chronas.measurement import Latency, read_journal, run_campaign
from chronas.predictors import Predictor, PredictorReport, fit_and_report, load_predictor
from chronas.progress import Progress, silent
from chronas.runs.folder import Run
from chronas.spaces import Architecture
from chronas.tables import CostTable

REPORT_SCHEMA = "chronas.predictor-report/1"
FEW_NETWORKS_ROUNDS = 10  # rounds of few networks lie close in time, so there must be more of them
MOST_ROUNDS = 40  # a limit is judged by the interval's upper end, so it is worth more rounds where it is wide
NARROW_PERCENT = 1.0


def measure(run: Run, progress: Progress = silent) -> CostTable:
    """Measure random architectures of the run's space on its device; goes on where an earlier attempt stopped.

    Raises:
        MismatchError: the folder's table or journal is of another space, skeleton, device, plan or cost.
    """
    path = run.folder / "costs.parquet"
    if not path.exists():
        architectures = run.space.sample(run.config.networks, run.config.seed)
        with run.timed("measure"):
            journal = run.folder / "journal.sqlite"
            run_campaign(run.device, run.skeleton, architectures, run.config.plan, journal, progress)
        CostTable.from_journal(run.folder / "journal.sqlite").save(path)
    table = CostTable.load(path)
    table.require(space=run.space, skeleton=run.skeleton, device=run.device, cost="latency_ms")
    return table


def fit(run: Run, table: CostTable, progress: Progress = silent) -> tuple[Predictor, PredictorReport]:
    """Fit the run's predictor on its table, with a report from cross-validation."""
    folder = run.folder / "predictor"
    if not all((folder / name).exists() for name in ("predictor.safetensors", "report.json")):
        progress("fit", 0, 1, f"{run.config.predictor} on {len(table)} networks")
        with run.timed("fit"):
            predictor, report = fit_and_report(
                run.config.predictor, table, config=run.config.predictor_config, seed=run.config.seed
            )
        predictor.save(folder / "predictor.safetensors")
        write_json(folder / "report.json", REPORT_SCHEMA, report.to_json())
        progress("fit", 1, 1, f"Kendall {report.scores.kendall:.2f}, error {report.scores.mape_percent:.1f} %")
    report = read_as(folder / "report.json", REPORT_SCHEMA, PredictorReport)
    return load_predictor(folder / "predictor.safetensors"), report


def measure_again(
    run: Run,
    name: str,
    architectures: Sequence[Architecture],
    progress: Progress = silent,
    *,
    weights: Mapping[Architecture, Path] | None = None,
) -> dict[str, Latency]:
    """Measure these architectures in one campaign of their own, under the run's plan with more rounds.

    Args:
        run: whose device, skeleton and plan are used.
        name: of the journal in the run folder; the same name goes on with the same journal.
        architectures: what to measure.
        progress: told of each round.
        weights: trained weights of those that have them.

    Returns:
        The latency of everything that the journal holds, by the text of the architecture.
    """
    journal = run.folder / f"{name}.sqlite"
    plan = run.config.plan
    rounds = max(plan.rounds, FEW_NETWORKS_ROUNDS)
    most = max(plan.max_rounds, MOST_ROUNDS)
    interval = min(plan.interval_percent, NARROW_PERCENT)
    plan = plan.model_copy(update={"rounds": rounds, "max_rounds": most, "interval_percent": interval})
    with run.timed(name):
        run_campaign(run.device, run.skeleton, architectures, plan, journal, progress, weights=weights)
    return read_journal(journal).latencies()
