"""What the costs of single networks are: measured on the device or, where it is not here, its table's or predicted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from chronas.devices import OfflineConfig, OfflineDevice, device_like
from chronas.errors import DeviceError, UsageError
from chronas.measurement import Latency, read_journal, run_campaign
from chronas.predictors import Predictor
from chronas.progress import Progress, silent
from chronas.reports import NetworkCost, Source
from chronas.runs.cost_model import saved_predictors
from chronas.runs.run import Run
from chronas.spaces import Architecture
from chronas.tables import COST_COLUMNS, CostTable

FEW_NETWORKS_ROUNDS = 10  # rounds of few networks lie close in time, so there must be more of them
MOST_ROUNDS = 40  # a limit is judged by the interval's upper end, so it is worth more rounds where it is wide
NARROW_PERCENT = 1.0
NORMAL_975 = 1.959964  # the normal distribution's 0.975 quantile
SAID = {"measured": "measured up to", "table": "in the table up to", "predicted": "with its error up to"}


def device_of(table: CostTable) -> tuple[str, BaseModel]:
    """The device of this machine that a table is of, with its config; where its hardware is not here, its record.

    A device of the same hardware can still be another one, which `CostTable.require` tells.
    """
    fingerprint = dict(table.provenance.device)
    try:
        device = device_like(fingerprint)
    except (UsageError, DeviceError):
        return OfflineDevice.name, OfflineConfig(fingerprint=fingerprint)
    if device.fingerprint()["hardware"] != fingerprint.get("hardware"):
        return OfflineDevice.name, OfflineConfig(fingerprint=fingerprint)
    return device.name, device.config


@dataclass(frozen=True)
class Interval:
    """A cost with the ends of its 95 % interval, in its unit."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class NetworkCosts:
    """All costs of one network, and how they are known.

    Attributes:
        latency: with its rounds.
        others: by name.
        source: "measured" here, of the "table" of a device that is not here, or "predicted" for one.
    """

    latency: Latency
    others: Mapping[str, Interval]
    source: Source

    def of(self, cost: str) -> Interval:
        """One cost by its name."""
        latency = Interval(self.latency.value_ms, self.latency.low_ms, self.latency.high_ms)
        return {"latency_ms": latency, **self.others}[cost]

    def told(self, predicted: Mapping[str, float]) -> dict[str, NetworkCost]:
        """Each cost for files and reports, beside what was predicted of it."""
        found = {cost: self.of(cost) for cost in ("latency_ms", *self.others)}
        return {cost: NetworkCost(predicted.get(cost), each.value, each.low, each.high) for cost, each in found.items()}


def costs_of(
    run: Run,
    name: str,
    architectures: Sequence[Architecture],
    progress: Progress = silent,
    *,
    weights: Mapping[Architecture, Path] | None = None,
) -> dict[str, NetworkCosts]:
    """Measure these architectures in one campaign of their own, under the run's plan with more rounds.

    The machine at rest is what any earlier campaign in the run's folder has seen of it: load that came later is divided
    out. What a quieter campaign sees later, or another run that this one reuses has seen, does not count.

    Where the device is not here, nothing is measured: an architecture's costs are the table's own or, where the table
    lacks it, predicted.

    Args:
        run: whose device, size, plan and costs are used.
        name: of the journal in the run folder; the same name goes on with the same journal.
        architectures: what to measure.
        progress: told of each round.
        weights: trained weights of those that have them.

    Returns:
        The costs of at least these, by the text of the architecture.
    """
    if run.recorded:
        return recorded(run, architectures)
    plan = run.config.plan
    rounds = max(plan.rounds, FEW_NETWORKS_ROUNDS)
    most = max(plan.max_rounds, MOST_ROUNDS)
    interval = min(plan.interval_percent, NARROW_PERCENT)
    plan = plan.model_copy(update={"rounds": rounds, "max_rounds": most, "interval_percent": interval})
    journal = run.folder / f"{name}.sqlite"
    with run.timed(name, progress) as told:
        run_campaign(
            run.device, run.size, architectures, plan, journal, told,
            weights=weights, costs=run.config.costs, earlier=sorted(run.folder.glob("*.sqlite")),
        )  # fmt: skip
    return measured(journal)


def measured(journal: Path) -> dict[str, NetworkCosts]:
    """The costs of all networks that a journal has wholly, by their text."""
    state = read_journal(journal)
    others = {cost: readings.estimates() for cost, readings in state.readings.items()}
    return {
        text: NetworkCosts(
            latency,
            {cost: Interval(found[text].value, found[text].low, found[text].high) for cost, found in others.items()},
            "measured",
        )
        for text, latency in state.latencies().items()
        if all(text in found for found in others.values())
    }


def recorded(run: Run, architectures: Sequence[Architecture]) -> dict[str, NetworkCosts]:
    """The costs on a device that is not here: the table's own, else predicted with its 95 % interval."""
    table = CostTable.load(run.folder / "costs.parquet")
    predictors = saved_predictors(run)
    rows = {text: number for number, text in enumerate(table.frame["architecture"])}
    found = {}
    for architecture in architectures:
        text = str(architecture)
        known = of_row(table, rows[text], run.config.costs) if text in rows else None
        found[text] = known or predicted(architecture, predictors)
    return found


def of_row(table: CostTable, number: int, costs: Sequence[str]) -> NetworkCosts | None:
    """The latency and these other costs of a table's row; None where it has a gap in one of them."""
    row = table.frame.row(number, named=True)
    if any(row[cost] is None for cost in costs):
        return None
    rounds = tuple(row[COST_COLUMNS["latency_ms"].rounds])
    latency = Latency(
        row["latency_ms"],
        row["latency_low_ms"],
        row["latency_high_ms"],
        row["latency_median_ms"],
        row["latency_p95_ms"],
        rounds,
    )
    others = {cost: Interval(row[cost], row[COST_COLUMNS[cost].low], row[COST_COLUMNS[cost].high]) for cost in costs}
    return NetworkCosts(latency, others, "table")


def predicted(architecture: Architecture, predictors: Mapping[str, Predictor]) -> NetworkCosts:
    """What the predictors say of an architecture, with their 95 % intervals."""
    found = {}
    for cost, predictor in predictors.items():
        prediction = predictor.predict(architecture.space.encode([architecture]))
        value, half = float(prediction.mean[0]), NORMAL_975 * float(prediction.std[0])
        found[cost] = Interval(value, value - half, value + half)
    ms = found.pop("latency_ms")
    return NetworkCosts(Latency(ms.value, ms.low, ms.high, ms.value, ms.high, (ms.value,)), found, "predicted")
