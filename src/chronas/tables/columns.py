"""The columns of a cost table: their content and their costs. Names of columns end in units.

Other costs than the table's own have their own columns, with gaps for networks without a measurement.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from chronas.units import unit_of

if TYPE_CHECKING:
    from chronas.records import Estimate

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
