"""Tables from other sources, as CSV or Parquet: a row for each architecture, a column for each device and cost.

Architectures are given as text or by official index. The name of a column ends in its unit, such as `raspi4_ms` or
`eyeriss_energy_mj`; the part before is the device. Other columns are read if the user says what they are.

`read_accuracies` reads a user's facts about architectures, such as NAS-Bench-201's accuracies (Dong and Yang,
https://arxiv.org/abs/2001.00326), to be joined with costs. Accuracies are in percent. Validation and test accuracies
are different columns; the user chooses which one a search uses.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from chronas.arguments import checked, path_of
from chronas.errors import ChronasError, DataError, UsageError, excerpt
from chronas.names import file_name
from chronas.reading import LARGEST, read_within
from chronas.spaces import Architecture, NetworkSize, Space
from chronas.tables.provenance import Provenance
from chronas.tables.spreadsheet import NUMBER, is_accuracy, read_frame
from chronas.tables.table import CostTable
from chronas.units import LATENCY, unit_of

TEXTS = ("architecture", "arch_str", "arch")  # names of columns in chronas, and in published files
INDICES = ("index", "arch_idx")
UNITS = {"ms": (LATENCY, 1.0), "us": (LATENCY, 1e-3), "mj": ("energy_mj", 1.0), "mib": ("peak_memory_mib", 1.0)}
LONG_UNITS = {"latency_s": (LATENCY, 1e3), "energy_j": ("energy_mj", 1e3)}  # _s or _J alone may be of anything
MEGAJOULES = "MJ"  # is not mJ
KINDS = {LATENCY: "latency", "energy_mj": "energy", "peak_memory_mib": "peak_memory"}
STATISTIC = re.compile(
    r"(.*_)?(std|stdev|stddev|sd|sem|stderr|var|ci|low|high|lower|upper|median|p9[059])", re.IGNORECASE
)
DERIVED = ("latency_low_ms", "latency_high_ms", "latency_median_ms", "latency_p95_ms", "latency_rounds_ms")
SAME = 1e-9  # relative; closer costs of one architecture count as one value written twice


@dataclass(frozen=True)
class ForeignColumn:
    """A column of a file, and the cost that it holds.

    Attributes:
        name: name in the file.
        device: name of the device.
        cost: name of the cost, which ends in the unit.
        factor: conversion from the file's unit to this unit.
    """

    name: str
    device: str
    cost: str
    factor: float = 1.0

    @classmethod
    def parse(cls, text: str) -> ForeignColumn:
        """The column of `COLUMN=DEVICE.COST`, such as `co2=raspi4.carbon_g`.

        Raises:
            UsageError: it has another form, or the cost's name does not end in a unit.
        """
        name, _, target = text.rpartition("=")
        device, _, cost = target.rpartition(".")
        if not name or not device:
            raise UsageError(f"expected COLUMN=DEVICE.COST like co2=raspi4.carbon_g, got {excerpt(text)}")
        unit_of(cost)
        if cost in DERIVED:
            raise UsageError(f"{cost} follows from {LATENCY} and cannot be imported: leave {excerpt(name)} out")
        _, own, factor = _parts(name) or ("", "", 1.0)
        factor = factor if own == cost else 1.0
        try:
            return cls(name, file_name(device, "device"), cost, factor)
        except DataError as error:
            raise UsageError(f"--columns {excerpt(text)}: {error}") from error

    @classmethod
    def of_name(cls, name: str, device: str) -> ForeignColumn | None:
        """The column for a name that ends in a unit; `device` if the name has no device.

        None for other names, and for those of statistics such as `raspi4_std_ms`.

        Raises:
            DataError: the device's name cannot be that of a file.
        """
        parts = _parts(name)
        if parts is None:
            return None
        before, cost, factor = parts
        named = before[: -len(KINDS[cost]) - 1] if before.lower().endswith(f"_{KINDS[cost]}") else before
        if STATISTIC.fullmatch(named.strip("_")):
            return None
        device = named.strip("_") or device
        try:
            return cls(name, file_name(device, "device"), cost, factor)
        except DataError as error:
            advice = f"or name it by --columns {excerpt(f'{name}=NAME.{cost}')}"
            raise DataError(f"{error} in the column {excerpt(name)}, {advice}") from error


def _parts(name: str) -> tuple[str, str, float] | None:
    """The part of a name before its unit, the cost of that unit, and the factor to its standard unit."""
    before, _, unit = f"_{name}".rpartition("_")
    ending = next((one for one in LONG_UNITS if f"_{name}".lower().endswith(f"_{one}")), None)
    if (unit.lower() not in UNITS and ending is None) or unit == MEGAJOULES:
        return None
    return before, *(UNITS[unit.lower()] if ending is None else LONG_UNITS[ending])


@dataclass(frozen=True)
class ForeignTable:
    """A file that was read and checked.

    Attributes:
        frame: `architecture`, `index` if the space has one, and the unchanged columns of the file.
        columns: the columns that are costs.
        left_out: names of other numeric columns.
        source: the file's name and checksum.
    """

    frame: pl.DataFrame
    columns: Sequence[ForeignColumn]
    left_out: Sequence[str]
    source: str

    def tables(self, space: Space, size: NetworkSize, source: str = "") -> dict[str, CostTable]:
        """A table for each device, by its name; architectures without the table's first cost are left out.

        Args:
            space: space of the architectures.
            size: size of the networks.
            source: origin of the numbers, in words; written before the file's name and checksum.

        Raises:
            DataError: a cost is not a finite number above zero, or the same for all architectures.
        """
        words = "; ".join(text for text in (source, self.source) if text)
        found: dict[str, CostTable] = {}
        for device in dict.fromkeys(column.device for column in self.columns):
            columns = sorted((c for c in self.columns if c.device == device), key=lambda c: c.cost != LATENCY)
            found[device] = self._table(columns, Provenance(space.name, size, {"name": device}, source=words))
        return found

    def _table(self, columns: Sequence[ForeignColumn], provenance: Provenance) -> CostTable:
        """The table of one device; its first column is its cost."""
        costs = {column.cost: pl.col(column.name).cast(pl.Float64()) * column.factor for column in columns}
        for column in columns:
            _check(self.frame[column.name], column)
        keys = [name for name in ("architecture", "index") if name in self.frame.columns]
        known = self.frame.select(*keys, **costs).drop_nulls(columns[0].cost)
        missing = "" if len(known) == len(self.frame) else "no value in the file"
        values = {field: getattr(provenance, field) for field in ("space", "size", "device", "source")}
        sources = dict.fromkeys(list(costs)[1:], "imported")
        return CostTable.from_values(
            known, Provenance(**values, cost=columns[0].cost, sources=sources, missing=missing)
        )


@checked
def read_foreign(path: Path, space: Space, columns: Sequence[ForeignColumn] = ()) -> ForeignTable:
    """Read a CSV or a Parquet file, see `read_frame`.

    Args:
        path: the file.
        space: space of the architectures.
        columns: columns to read; by default all whose names end in ms, us, mJ, MiB, latency_s or energy_J.

    Raises:
        DataError: the file is missing or damaged, has no architectures or no costs, has an architecture that is not in
            the space or whose text and index differ, or has one twice with different costs.
        UsageError: two columns are the same cost of one device, or the file lacks a column.
    """
    path = path_of(path)
    content = read_within(path, LARGEST["table"])
    frame = read_frame(path)
    names = [name for name, kind in frame.schema.items() if kind.is_numeric() and name not in INDICES]
    found = columns or [column for name in names if (column := ForeignColumn.of_name(name, path.stem)) is not None]
    if not columns:
        _refuse_words(path, frame, lambda name: ForeignColumn.of_name(name, path.stem) is not None)
    _check_columns(path, frame, found)
    architectures = _architectures(path, frame, space)
    known = frame.with_columns(architecture=architectures).select("architecture", *(c.name for c in found))
    known = _once(path, known)
    if space.index(space.parse(known["architecture"][0])) is not None:
        known = known.with_columns(index=pl.Series([space.index(space.parse(text)) for text in known["architecture"]]))
    source = f"{path.name}, sha256 {hashlib.sha256(content).hexdigest()[:16]}"
    return ForeignTable(known, tuple(found), [name for name in names if name not in {c.name for c in found}], source)


def _refuse_words(path: Path, frame: pl.DataFrame, wanted: Callable[[str], bool]) -> None:
    """Refuse a wanted column that is no numbers because of some cells; it would be missing without a word."""
    for name, kind in frame.schema.items():
        if kind == pl.String() and name not in (*TEXTS, *INDICES) and wanted(name):
            cells = [(row, cell) for row, cell in enumerate(frame[name].to_list(), 1) if cell is not None]
            odd = next(((row, cell) for row, cell in cells if not NUMBER.fullmatch(cell)), None)
            if odd is not None:
                raise DataError(
                    f"{path}: {name} should be numbers, got {excerpt(odd[1])} in row {odd[0]}: empty the cell"
                )


def _check_columns(path: Path, frame: pl.DataFrame, columns: Sequence[ForeignColumn]) -> None:
    if not columns:
        endings = ", ".join(UNITS)
        raise DataError(f"{path} has no column that ends in {endings}: say by --columns what {frame.columns} are")
    absent = [column.name for column in columns if column.name not in frame.columns]
    if absent:
        raise UsageError(f"{path} has no column {', '.join(absent)}, only {', '.join(frame.columns)}")
    words = [column.name for column in columns if not frame.schema[column.name].is_numeric()]
    if words:
        raise DataError(f"{path}: {words[0]} should be numbers, got {frame.schema[words[0]]}: mend the file")
    targets: dict[tuple[str, str], str] = {}
    for column in columns:
        other = targets.setdefault((column.device, column.cost), column.name)
        if other != column.name:
            both = f"{other} and {column.name}"
            raise UsageError(f"{both} are both {column.cost} of {column.device}: choose by --columns")


def _architectures(path: Path, frame: pl.DataFrame, space: Space) -> pl.Series:
    """The text form of each row's architecture."""
    text = next((name for name in TEXTS if frame.schema.get(name) == pl.String()), None)
    index = next((name for name in INDICES if name in frame.columns and frame.schema[name].is_integer()), None)
    by_text = None if text is None else _parsed(path, frame[text], space, space.parse)
    by_index = None
    if index is not None and (by_text is None or space.index(space.parse(by_text[0])) is not None):
        by_index = _parsed(path, frame[index], space, space.from_index)
    for row, (one, two) in enumerate(zip(by_text or (), by_index or (), strict=False), start=1):
        if one != two:
            raise DataError(f"{path}: row {row} has {index} of {two}, but {text} of {one}: correct one of them")
    found = by_text or by_index
    if found is None:
        names = " or ".join((*TEXTS, *INDICES))
        raise DataError(f"{path} should give architectures by {names}, got {', '.join(frame.columns)}")
    return pl.Series("architecture", found, dtype=pl.String())


def _parsed(path: Path, values: pl.Series, space: Space, parse: Callable[[Any], Architecture]) -> list[str]:
    found = []
    for row, value in enumerate(values, start=1):
        if value is None:
            raise DataError(f"{path}: row {row} has no {values.name}: leave the row out")
        try:
            found.append(str(parse(value)))
        except ChronasError as error:
            raise DataError(f"{path} is not of {space.name}: row {row}: {error}") from error
    return found


def _once(path: Path, frame: pl.DataFrame) -> pl.DataFrame:
    """Each architecture once; duplicates are merged only if all numbers are the same."""
    if frame["architecture"].n_unique() == len(frame):
        return frame
    names = frame.columns[1:]
    numbered = frame.with_row_index("row", offset=1)
    for (text,), rows in numbered.filter(pl.col("architecture").is_duplicated()).group_by("architecture"):
        for name in names:
            values: Mapping[str, float] = {"low": rows[name].min(), "high": rows[name].max()}  # type: ignore[dict-item]
            gaps = rows[name].null_count() or (rows[name].dtype.is_float() and rows[name].is_nan().any())
            if gaps or values["high"] - values["low"] > SAME * abs(values["high"]):
                which = " and ".join(map(str, rows["row"].sort().head(2)))
                got = " and ".join(map(str, rows.sort("row")[name].head(2)))
                raise DataError(f"{path}: rows {which} are one architecture ({text}) but {name} is {got}: keep one")
    return frame.unique("architecture", keep="first", maintain_order=True)


def _check(values: pl.Series, column: ForeignColumn) -> None:
    numbers = values.drop_nulls().cast(pl.Float64())
    wrong = numbers.filter(~(numbers.is_finite() & (numbers > 0)))
    if len(wrong):
        raise DataError(f"{column.name} should be above zero, got {wrong[0]} ({len(wrong)} such): mend or empty them")
    if numbers.is_empty():
        raise DataError(f"{column.name} has no value: leave the column out")
    if len(numbers) > 1 and numbers.min() == numbers.max():
        raise DataError(f"{column.name} is {numbers[0]} for all {len(numbers)} architectures: it holds no information")


@checked
def read_accuracies(path: Path, space: Space) -> pl.DataFrame:
    """A frame of `architecture` and all other numeric columns, as Float64 with null for missing values.

    Architectures are given as in `read_foreign`. A column whose name has a word such as acc, accuracy or top1 is an
    accuracy in percent; if none of its values is above 1, they are shares, and become percent.

    Args:
        path: a CSV or Parquet file, see `read_frame`.
        space: space of the architectures.

    Raises:
        DataError: the file is missing or damaged, has no architectures, has one twice, has one that is not in the
            space, has no numbers, or has an accuracy outside 0..100.
    """
    path = path_of(path)
    frame = read_frame(path)
    names = [name for name, kind in frame.schema.items() if kind.is_numeric() and name not in (*TEXTS, *INDICES)]
    _refuse_words(path, frame, is_accuracy)
    if not names:
        raise DataError(f"{path} should have numbers beside architectures, got {', '.join(frame.columns)}")
    numbers = frame.select(pl.col(names).cast(pl.Float64).fill_nan(None))
    for name in names:
        infinite = numbers[name].drop_nulls().is_infinite()
        if infinite.any():
            raise DataError(f"{path}: {name} should be finite, got {numbers[name].drop_nulls().filter(infinite)[0]}")
    for name in filter(is_accuracy, names):
        wrong = numbers.filter(~pl.col(name).is_between(0, 100))
        if len(wrong):
            raise DataError(f"{path}: {name} should be percent from 0 to 100, got {wrong[name][0]} ({len(wrong)} such)")
        if (numbers[name].max() or 0.0) <= 1:  # type: ignore[operator]  # a column of floats
            numbers = numbers.with_columns(pl.col(name) * 100)
    texts = _architectures(path, frame, space)
    if texts.is_duplicated().any():
        twice = texts.filter(texts.is_duplicated())[0]
        raise DataError(f"{path} should have each architecture once, but {twice} is in several rows: keep one")
    return numbers.select(texts, *names)
