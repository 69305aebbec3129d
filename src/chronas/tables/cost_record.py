"""Cost records: one cost of one architecture on one device, with everything known about its measurement.

Columns of N records give single records or a whole frame. Null stands for an unknown value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from chronas.tables.block_table import BlockTable
from chronas.tables.provenance import COST_COLUMNS, Provenance
from chronas.tables.table import MEASURED_AS, CostTable
from chronas.units import unit_of

Fact = str | int | float | None
FEWEST = 2  # least number of rounds for an interval
FACTS = ("hardware", "batch", "threads", "dtype", "runtime", "version")
TYPES: dict[str, pl.DataType] = {
    **dict.fromkeys(("value", "low", "high"), pl.Float64()),
    **dict.fromkeys(("rounds", "runs", "batch", "threads"), pl.Int64()),
}


@dataclass(frozen=True)
class CostRecord:
    """One cost of one architecture on one device. None stands for an unknown value.

    Attributes:
        device: name of the device, with a number if several tables have the same name.
        cost: a key of `COST_UNITS`, or a user's own cost.
        value: the cost in `unit`; None if the table does not have the architecture.
        unit: ms, mJ, MiB, or the last part of the cost's name.
        low: lower end of the 95 % interval: over rounds or, for sums of blocks, of whole networks around sums.
        high: upper end of it.
        rounds: number of rounds of the value.
        runs: number of timed runs in all rounds.
        batch: images in a run.
        threads: threads of the runtime.
        dtype: number format of the computation.
        runtime: name of the runtime.
        version: its version.
        hardware: name of the hardware.
        date: date, or date and time (UTC, ISO 8601), of the measurement.
        source: "measured", or a paper or file with its licence.
        missing: reason why there is no value, if known.
        measured_as: the measured architecture, if it was another one with the same graph.
    """

    device: str
    cost: str
    value: float | None
    unit: str
    low: float | None
    high: float | None
    rounds: int | None
    runs: int | None
    batch: Fact
    threads: Fact
    dtype: Fact
    runtime: Fact
    version: Fact
    hardware: Fact
    date: str | None
    source: str
    missing: str | None
    measured_as: str | None


@dataclass(frozen=True)
class RecordColumn:
    """One cost on one device for N architectures; NaN and 0 stand for null inside.

    Attributes:
        facts: the fields of a `CostRecord` that all rows share.
        missing: reason why rows have no value.
        values: [N], as are `low`, `high`, `rounds`, `runs` and `measured_as`.
    """

    facts: Mapping[str, Fact]
    missing: str | None
    values: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    rounds: NDArray[np.int64]
    runs: NDArray[np.int64]
    measured_as: pl.Series

    @property
    def name(self) -> str:
        """`<device>.<cost>`."""
        return f"{self.facts['device']}.{self.facts['cost']}"

    def answer(self, row: int) -> CostRecord:
        """The record of one row."""
        value = _number(self.values[row])
        numbers = {"value": value, "low": _number(self.low[row]), "high": _number(self.high[row])}
        counts = {"rounds": int(self.rounds[row]) or None, "runs": int(self.runs[row]) or None}
        missing = self.missing if value is None else None
        measured_as = self.measured_as[row]
        return CostRecord(**self.facts, **numbers, **counts, missing=missing, measured_as=measured_as)  # type: ignore[arg-type]

    def frame(self, rows: NDArray[np.int64], keys: pl.DataFrame) -> pl.DataFrame:
        """The records of rows; the fields of `CostRecord` are columns after those of `keys`."""
        numbers = {"value": self.values, "low": self.low, "high": self.high, "rounds": self.rounds, "runs": self.runs}
        columns = {}
        for name in CostRecord.__dataclass_fields__:
            if name in numbers:
                series = pl.Series(numbers[name][rows], dtype=TYPES[name], nan_to_null=True)
                columns[name] = pl.lit(series.replace(0, None) if name in {"rounds", "runs"} else series)
            elif name in self.facts:
                columns[name] = pl.lit(self.facts[name], TYPES.get(name, pl.String()))
        missing = pl.when(pl.col("value").is_null()).then(pl.lit(self.missing, pl.String()))
        return keys.with_columns(**columns).with_columns(missing=missing, measured_as=self.measured_as[rows])


def block_records(table: BlockTable, choices: Sequence[int]) -> list[CostRecord]:
    """All costs of an architecture, as sums of its blocks.

    Raises:
        UsageError: the choices do not fit the table's layers and operations.
    """
    origin, sums = table.origin, table.sums([choices])
    answers = []
    for name in table.costs:
        device, _, cost = name.rpartition(".")
        facts: dict[str, Fact] = {fact: origin.devices.get(device, {}).get(fact) for fact in FACTS}
        shared = {"device": device, "cost": cost, "unit": unit_of(cost), **facts, "date": origin.created or None}
        unknown = dict.fromkeys(("rounds", "runs", "missing", "measured_as"))
        value, quality = sums[name][0], origin.quality.get(device)
        low, high = (None, None) if quality is None else quality.interval(value)
        source = f"sum of blocks, {origin.source}"
        answers.append(CostRecord(**shared, **unknown, value=value, low=low, high=high, source=source))  # type: ignore[arg-type]
    return answers


def record_columns(table: CostTable, device: str, rows: pl.DataFrame) -> list[RecordColumn]:
    """The costs of a table, for all rows of a frame.

    Args:
        table: the table.
        device: name for its device.
        rows: a frame with the column `architecture`.
    """
    provenance = table.provenance
    known = table.frame.with_columns(table.measured_as())
    spread = rows.join(known, on="architecture", how="left", maintain_order="left")
    shared: dict[str, Fact] = {fact: provenance.device.get(fact) for fact in FACTS}
    shared |= {"device": device, "date": provenance.created or None, "source": provenance.source}
    columns = [(cost, shared | {"cost": cost, "unit": unit_of(cost)}) for cost in table.costs_known]
    return [_column(spread, provenance, facts, cost) for cost, facts in columns]


def _column(spread: pl.DataFrame, provenance: Provenance, facts: Mapping[str, Fact], cost: str) -> RecordColumn:
    """The records of one cost; the rounds of a table without a plan are placeholders and are left out."""
    columns = COST_COLUMNS.get(cost)
    values = spread[cost].to_numpy()
    unknown, none = np.full(len(spread), np.nan), np.zeros(len(spread), dtype=np.int64)
    low, high, rounds, runs = unknown, unknown, none, none
    if columns is not None and provenance.plan and columns.rounds in spread.columns:
        rounds = spread[columns.rounds].list.len().fill_null(0).to_numpy().astype(np.int64)
        repeats = int(provenance.plan.get("repeats", 0)) if cost == "latency_ms" else 0
        runs = rounds * repeats
        low, high = (np.where(rounds >= FEWEST, spread[end].to_numpy(), np.nan) for end in (columns.low, columns.high))
    elif provenance.runs is not None:
        runs = np.where(np.isnan(values), 0, provenance.runs)
    return RecordColumn(facts, provenance.missing or None, values, low, high, rounds, runs, spread[MEASURED_AS])


def _number(value: np.float64) -> float | None:
    return None if np.isnan(value) else float(value)
