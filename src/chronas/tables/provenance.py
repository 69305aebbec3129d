"""Provenance of a table, stored in the file's metadata, and repeatability of its measurements.

No predictor can be expected to exceed the repeatability. The first and last rounds of a campaign share its process and
its hour, although networks are rebuilt in between; a check measures a sample again in new rounds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import ArrayLike
from pydantic import TypeAdapter

from chronas.errors import ChronasError, DataError, reason
from chronas.files import upgraded
from chronas.names import checked_name
from chronas.reading import parse_json
from chronas.spaces import NetworkSize
from chronas.units import LATENCY, unit_of

if TYPE_CHECKING:
    from chronas.records import Estimate

FEWEST = 3


@dataclass(frozen=True)
class Repeatability:
    """The agreement of two measurements of the same networks.

    Attributes:
        kendall: rank correlation tau-b; None if it is not defined (too few networks, or all equal).
        spearman: rank correlation rho; None if it is not defined.
        median_difference_percent: the median over networks of their difference, in percent of their mean; None if no
            network was measured twice.
        networks: number of networks that were measured twice.
    """

    kendall: float | None
    spearman: float | None
    median_difference_percent: float | None
    networks: int

    @classmethod
    def between(cls, first_costs: ArrayLike, second_costs: ArrayLike) -> Repeatability:
        """The agreement of two costs of each network [N]."""
        first, second = np.asarray(first_costs, dtype=np.float64), np.asarray(second_costs, dtype=np.float64)
        if not len(first):
            return cls(None, None, None, 0)
        difference = float(np.median(200 * np.abs(first - second) / (first + second)))
        if len(first) < FEWEST or np.ptp(first) == 0 or np.ptp(second) == 0:
            return cls(None, None, difference, len(first))
        from scipy.stats import kendalltau, spearmanr  # takes a second to import, which queries of a table do not need

        kendall, spearman = float(kendalltau(first, second).statistic), float(spearmanr(first, second).statistic)
        return cls(kendall, spearman, difference, len(first))

    @classmethod
    def of(cls, rounds: Sequence[Sequence[float]]) -> Repeatability:
        """The agreement of the first and the last half of the rounds, from each network's list of rounds.

        Networks with one round are left out.
        """
        repeated = [latencies for latencies in rounds if len(latencies) >= 2]
        first = [np.median(latencies[: len(latencies) // 2]) for latencies in repeated]
        last = [np.median(latencies[len(latencies) // 2 :]) for latencies in repeated]
        return cls.between(first, last)

    def __str__(self) -> str:
        if self.median_difference_percent is None:
            return "unknown"
        kendall = "undefined" if self.kendall is None else f"{self.kendall:.3f}"
        return f"Kendall {kendall}, {self.median_difference_percent:.2g} % apart"


# fields that tables of chronas 0.1.0 lack
LATER = frozenset(
    {"background_cores", "priority", "checks", "sources", "missing", "runs", "additivity", "space_source"}
)


@dataclass(frozen=True)
class Check:
    """A sample of a table's networks measured again in new rounds, in another process.

    Attributes:
        created: date and time (UTC, ISO 8601) at its end.
        hours_after: hours since the table's campaign began.
        agreement: agreement of the table with the new measurement.
        level_percent: median slowdown of the machine since the table, in percent.
        background_cores: mean number of cores used by others; None if unknown.
    """

    created: str
    hours_after: float
    agreement: Repeatability
    level_percent: float
    background_cores: float | None

    def __str__(self) -> str:
        text = f"{self.agreement}, level {self.level_percent:+.2g} %, "
        return f"{text}{self.agreement.networks} networks after {self.hours_after:.1f} h"


@dataclass(frozen=True)
class Additivity:
    """The agreement of sums of single blocks with the costs of whole networks.

    Attributes:
        agreement: agreement of sums with measurements.
        error_percent: mean absolute error of a sum, in percent of the measured cost.
        level_percent: median excess of sums over measurements, in percent.
    """

    agreement: Repeatability
    error_percent: float
    level_percent: float

    @property
    def factor(self) -> float:
        """The factor that makes sums right for the median network."""
        return 1 / (1 + self.level_percent / 100)

    def __str__(self) -> str:
        text = f"{self.agreement}, {self.error_percent:.2g} % mean error, level {self.level_percent:+.2g} %"
        return f"{text}, {self.agreement.networks} networks"


@dataclass(frozen=True)
class Provenance:
    """The origin of the numbers in a table.

    Attributes:
        space: name of the space.
        size: size of the networks.
        device: the device's fingerprint.
        plan: the fields of the measurement's `Plan`; empty if unknown.
        cost: the column that is the table's cost.
        created: date, or date and time (UTC, ISO 8601).
        version: version of chronas.
        source: "measured", or a paper or file with its licence.
        drift_percent: spread of the reference network's latency during the campaign; None if unknown.
        background_cores: mean number of the device's cores used by others; None if unknown.
        priority: the lowest priority of all timings, "real-time", "high" or "normal"; None if unknown.
        checks: checks by measuring samples again, in temporal order.
        sources: source of each other cost than latency, by its name.
        missing: reason why architectures are missing from the table, if known ("does not compile").
        runs: number of timed runs for each value, if there is no plan; None if unknown.
        additivity: accuracy of sums of single blocks; None if the table is not one of single blocks.
        space_source: import path of a user's own space class, "package.module:Class"; empty for built-in spaces.
    """

    space: str
    size: NetworkSize
    device: Mapping[str, bool | str | int | float]
    plan: Mapping[str, Any] = field(default_factory=dict)
    cost: str = "latency_ms"
    created: str = ""
    version: str = ""
    source: str = "measured"
    drift_percent: float | None = None
    background_cores: float | None = None
    priority: str | None = None
    checks: tuple[Check, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)
    missing: str = ""
    runs: int | None = None
    additivity: Additivity | None = None
    space_source: str = ""

    def to_json(self) -> str:
        """The provenance as one line of JSON; `from_json` reads it."""
        return json.dumps(asdict(self) | {"size": self.size.model_dump(mode="json")}, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Provenance:
        """The provenance from the text of `to_json`.

        Raises:
            DataError: the text is not JSON, lacks a field, or has a field of another type.
        """
        needed = [entry.name for entry in fields(cls) if entry.name not in LATER]
        try:
            content = upgraded(parse_json(text))
            missing = [name for name in needed if name not in content]
            if missing:
                raise ValueError(f"it lacks {', '.join(missing)}")
            provenance = TypeAdapter(cls).validate_python(content)
            checked_name(provenance.device.get("name"), "device")
            checked_name(provenance.space, "space")
            for cost in (provenance.cost, *provenance.sources):
                unit_of(cost)
        except (ValueError, TypeError, AttributeError, ChronasError) as error:
            raise DataError(
                f"the provenance should be an object of {[f.name for f in fields(cls)]}: {reason(error)}"
            ) from error
        return provenance


# ----
# The columns of a cost table: their content and their costs. Names of columns end in units.
#
# Other costs than the table's own have their own columns, with gaps for networks without a measurement.

ROUNDS = "round_latencies_ms"
COLUMNS: dict[str, pl.DataType] = {
    "architecture": pl.String(),
    "latency_ms": pl.Float64(),
    "latency_low_ms": pl.Float64(),
    "latency_high_ms": pl.Float64(),
    "latency_median_ms": pl.Float64(),
    "latency_p95_ms": pl.Float64(),
    ROUNDS: pl.List(pl.Float64()),
}


@dataclass(frozen=True)
class CostColumns:
    """The additional columns of a cost.

    Attributes:
        low: lower end of the 95 % interval over rounds.
        high: upper end of it.
        rounds: the value of each round.
        beside: name in `Reading.beside` -> column of the median over rounds of that additional reading.
    """

    low: str
    high: str
    rounds: str
    beside: Mapping[str, str]


COST_COLUMNS = {
    "latency_ms": CostColumns("latency_low_ms", "latency_high_ms", ROUNDS, {}),
    "energy_mj": CostColumns(
        "energy_low_mj",
        "energy_high_mj",
        "round_energies_mj",
        {"idle_mw": "energy_idle_mw", "background_cores": "energy_background_cores"},
    ),
    "peak_memory_mib": CostColumns("peak_memory_low_mib", "peak_memory_high_mib", "round_peak_memories_mib", {}),
}


def with_estimates(frame: pl.DataFrame, cost: str, estimates: Mapping[str, Estimate]) -> pl.DataFrame:
    """The frame with the columns of a cost; null for architectures without an estimate.

    Args:
        frame: with a column `architecture`.
        cost: a key of `COST_COLUMNS`.
        estimates: text form -> estimate.
    """
    columns = COST_COLUMNS[cost]
    texts = frame["architecture"].to_list()

    def series(name: str, dtype: pl.DataType, value: Callable[[Estimate], object]) -> pl.Series:
        return pl.Series(name, [value(estimates[text]) if text in estimates else None for text in texts], dtype=dtype)

    number, numbers = pl.Float64(), pl.List(pl.Float64())
    added = [
        series(cost, number, lambda estimate: estimate.value),
        series(columns.low, number, lambda estimate: estimate.low),
        series(columns.high, number, lambda estimate: estimate.high),
        series(columns.rounds, numbers, lambda estimate: list(estimate.rounds)),
        *(series(column, number, _beside(name)) for name, column in columns.beside.items()),
    ]
    return frame.with_columns(one for one in added if one.null_count() < len(one))


def interval_text(frame: pl.DataFrame, cost: str) -> str:
    """The width of a cost's 95 % interval for the median architecture, as text."""
    columns = COST_COLUMNS.get(cost)
    if columns is None or columns.low not in frame.columns or (frame[columns.rounds].list.len() < 2).all():
        return "unknown"
    percent = np.median((100 * (frame[columns.high] - frame[columns.low]) / 2 / frame[cost]).drop_nulls().to_numpy())
    return f"+-{percent:.2g} % (median architecture, 95 %)"


def cost_text(frame: pl.DataFrame, cost: str, source: str) -> str:
    """A summary of another cost than the table's own, as text."""
    values, unit = frame[cost].drop_nulls().to_numpy(), unit_of(cost)
    text = f"{values.min():.4g} min, {np.median(values):.4g} median, {values.max():.4g} max {unit}"
    beside = [
        f"{column} {np.median(frame[column].drop_nulls().to_numpy()):.4g}"
        for column in (COST_COLUMNS[cost].beside.values() if cost in COST_COLUMNS else ())
        if column in frame.columns
    ]
    missing = [f"{len(frame) - len(values)} architectures without"] if len(values) < len(frame) else []
    return "; ".join([text, interval_text(frame, cost), *beside, *missing, source])


def _beside(name: str) -> Callable[[Estimate], float | None]:
    return lambda estimate: estimate.beside.get(name)


MAY_BE_BELOW_ZERO = {"energy_background_cores", *(columns.low for columns in COST_COLUMNS.values())}


def check_columns(frame: pl.DataFrame, cost: str) -> None:
    """Check that the frame of a table has the columns of a cost, without gaps, and each architecture once.

    Raises:
        DataError: it has not.
    """
    every = COLUMNS if cost in COLUMNS or LATENCY in frame.columns else {"architecture": COLUMNS["architecture"]}
    wanted: dict[str, Any] = every | {cost: pl.Float64()}
    wrong = [f"{name} ({dtype})" for name, dtype in wanted.items() if frame.schema.get(name) != dtype]
    if wrong:
        raise DataError(f"a table needs the column(s) {', '.join(wrong)}, got {dict(frame.schema)}")
    empty = [name for name in wanted if frame[name].null_count()]
    if ROUNDS in every and frame[ROUNDS].list.len().min() == 0:
        empty.append(ROUNDS)
    if empty:
        raise DataError(f"a table needs a value everywhere, but {', '.join(empty)} has gaps: leave those rows out")
    if frame["architecture"].n_unique() != len(frame):
        twice = frame["architecture"].filter(frame["architecture"].is_duplicated())[0]
        raise DataError(f"a table has each architecture once, but this one twice: {twice}")


def check_numbers(frame: pl.DataFrame, cost: str) -> None:
    """Check that the numbers of a table's frame are finite and, except for some, above zero.

    Raises:
        DataError: one is not.
    """
    numbers = [name for name, dtype in COLUMNS.items() if dtype == pl.Float64() and name in frame.columns]
    known = [name for name in cost_columns(frame) if frame.schema[name] == pl.Float64()]
    lists = [name for name in (ROUNDS, *cost_columns(frame)) if name in frame.columns and name not in known]
    flat = {name: frame[name] for name in {*numbers, *known, cost}} | {name: frame[name].explode() for name in lists}
    for name, values in flat.items():
        array = values.drop_nulls().to_numpy()
        wrong = array[~np.isfinite(array) | ((array <= 0) & (name not in MAY_BE_BELOW_ZERO))]
        if len(wrong):
            raise DataError(
                f"{name} should be finite and above zero, got {wrong[0]} ({len(wrong)} such): measure again"
            )


def cost_columns(frame: pl.DataFrame) -> list[str]:
    """The columns of other costs than latency in the frame, in the order of `COST_COLUMNS`."""
    others = [(name, columns) for name, columns in COST_COLUMNS.items() if name not in COLUMNS]
    every = [(name, c.low, c.high, c.rounds, *c.beside.values()) for name, c in others]
    return [name for names in every for name in names if name in frame.columns]


def device_text(device: Mapping[str, str | int | float]) -> str:
    """The device of a fingerprint, as text."""
    known = {name: device.get(name, "unknown") for name in ("name", "hardware", "threads")}
    return "{name} on {hardware}, {threads} thread(s)".format(**known)


def load_text(provenance: Provenance) -> str:
    """The load of the machine during the campaign and the priority of timing, as text."""
    if provenance.background_cores is None:
        return "unknown"
    cores = f"{provenance.background_cores:.1f} of {provenance.device.get('cores')} cores"
    return f"{cores}, timed at {provenance.priority} priority"
