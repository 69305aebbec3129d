"""Costs of single networks: measured on the device or, if it is not here, from its table or predicted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel

from chronas.devices import OfflineConfig, OfflineDevice, device_like
from chronas.errors import DeviceError, UsageError
from chronas.measurement import read_journal, run_campaign
from chronas.predictors import Predictor
from chronas.progress import Progress, silent
from chronas.records import Estimate
from chronas.runs.cost_model import saved_predictors
from chronas.runs.run import Run
from chronas.spaces import Architecture
from chronas.tables import COST_COLUMNS, CostTable
from chronas.units import LATENCY, unit_of

FEW_NETWORKS_ROUNDS = 10  # rounds of few networks are close in time, so more rounds are needed
MOST_ROUNDS = 40  # a limit is compared with the interval's upper end, so a wide interval deserves more rounds
NARROW_PERCENT = 1.0
NORMAL_975 = 1.959964  # the normal distribution's 0.975 quantile
SAID = {"measured": "measured up to", "table": "in the table up to", "predicted": "with its error up to"}


def device_of(table: CostTable) -> tuple[str, BaseModel]:
    """The device of this machine for a table, with its config; an offline device if its hardware is not here.

    A device with the same hardware can still be another one; check with `CostTable.require`.
    """
    fingerprint = dict(table.provenance.device)
    try:
        device = device_like(fingerprint)
    except (UsageError, DeviceError):
        return OfflineDevice.name, OfflineConfig(fingerprint=fingerprint)
    if device.fingerprint()["hardware"] != fingerprint.get("hardware"):
        return OfflineDevice.name, OfflineConfig(fingerprint=fingerprint)
    return device.name, device.config


NetworkCosts = Mapping[str, Estimate]  # by name, the latency first


def beside_predicted(costs: NetworkCosts, predicted: Mapping[str, float]) -> dict[str, Estimate]:
    """Each cost, with its predicted value added."""
    return {cost: replace(each, predicted=predicted.get(cost)) for cost, each in costs.items()}


def costs_of(
    run: Run,
    name: str,
    architectures: Sequence[Architecture],
    progress: Progress = silent,
    *,
    weights: Mapping[Architecture, Path] | None = None,
) -> dict[str, NetworkCosts]:
    """Measure these architectures in their own campaign, under the run's plan with more rounds.

    The machine at rest is known from earlier campaigns in the run's folder, so that later load is divided out. Later
    campaigns and a reused run do not count for this.

    If the device is not here, nothing is measured: costs come from the table or, if it lacks an architecture, from
    predictions.

    Args:
        run: gives device, size, plan and costs.
        name: name of the journal in the run folder; the same name resumes the same journal.
        architectures: the architectures to measure.
        progress: called after each round.
        weights: files of trained weights, for architectures that have them.

    Returns:
        Text of the architecture -> costs, for at least these architectures.
    """
    if run.recorded:
        return recorded(run, architectures)
    plan = run.config.plan
    rounds = max(plan.rounds, FEW_NETWORKS_ROUNDS)
    most = max(plan.max_rounds, MOST_ROUNDS)
    interval = min(plan.interval_percent, NARROW_PERCENT)
    plan = plan.model_copy(update={"rounds": rounds, "max_rounds": most, "interval_percent": interval})
    journal = run.folder / f"{name}.sqlite"
    with run.timed(name, progress) as shown:
        run_campaign(
            run.device, run.size, architectures, plan, journal, shown,
            weights=weights, costs=run.config.costs, earlier=sorted(run.folder.glob("*.sqlite")),
        )  # fmt: skip
    return measured(journal)


def measured(journal: Path) -> dict[str, NetworkCosts]:
    """The costs of all completely measured networks of a journal, by their text."""
    state = read_journal(journal)
    others = {cost: readings.estimates() for cost, readings in state.readings.items()}
    return {
        text: {LATENCY: latency, **{cost: found[text] for cost, found in others.items()}}
        for text, latency in state.latencies().items()
        if all(text in found for found in others.values())
    }


def recorded(run: Run, architectures: Sequence[Architecture]) -> dict[str, NetworkCosts]:
    """The costs on a device that is not here: from the table, or predicted with their 95 % interval."""
    table = CostTable.load(run.folder / "costs.parquet", run.space)
    predictors = saved_predictors(run)
    rows = {text: number for number, text in enumerate(table.frame["architecture"])}
    found = {}
    for architecture in architectures:
        text = str(architecture)
        known = of_row(table, rows[text], run.config.costs) if text in rows else None
        found[text] = known or predicted(architecture, predictors)
    return found


def of_row(table: CostTable, number: int, costs: Sequence[str]) -> NetworkCosts | None:
    """The latency and these other costs of a table's row; None if one of them is missing."""
    row = table.frame.row(number, named=True)
    if any(row[cost] is None for cost in costs):
        return None
    found = {}
    for cost in (LATENCY, *costs):
        columns, unit = COST_COLUMNS[cost], unit_of(cost)
        rounds = tuple(row[columns.rounds] or ())
        found[cost] = Estimate(row[cost], row[columns.low], row[columns.high], unit, rounds, source="table")
    found[LATENCY] = replace(found[LATENCY], median=row["latency_median_ms"], p95=row["latency_p95_ms"])
    return found


def predicted(architecture: Architecture, predictors: Mapping[str, Predictor]) -> NetworkCosts:
    """The predicted costs of an architecture, with their 95 % intervals."""
    found = {}
    for cost, predictor in predictors.items():
        prediction = predictor.predict(architecture.space.encode([architecture]))
        value, half = float(prediction.mean[0]), NORMAL_975 * float(prediction.std[0])
        found[cost] = Estimate(value, value - half, value + half, unit_of(cost), source="predicted")
    return found
