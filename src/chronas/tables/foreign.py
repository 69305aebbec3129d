"""Tables from other sources, as CSV or Parquet: a row for each architecture, a column for each device and cost.

Architectures are given as text or by official index. The name of a column ends in its unit, such as `raspi4_ms` or
`eyeriss_energy_mj`; the part before is the device. Other columns are read if the user says what they are.

`read_accuracies` reads a user's facts about architectures, such as NAS-Bench-201's accuracies (Dong and Yang,
https://arxiv.org/abs/2001.00326), to be joined with costs. Accuracies are in percent. Validation and test accuracies
are different columns; the user chooses which one a search uses.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from polars.exceptions import PanicException, PolarsError

from chronas.errors import ChronasError, DataError, UsageError, excerpt, reason
from chronas.spaces import NetworkSize, Space
from chronas.tables.provenance import Provenance
from chronas.tables.table import CostTable
from chronas.units import LATENCY, unit_of

TEXTS = ("architecture", "arch_str", "arch")
UNITS = {"ms": (LATENCY, 1.0), "us": (LATENCY, 1e-3), "mj": ("energy_mj", 1.0), "mib": ("peak_memory_mib", 1.0)}
KINDS = {LATENCY: "latency", "energy_mj": "energy", "peak_memory_mib": "peak_memory"}
DEVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")
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
        if not name or not DEVICE.fullmatch(device):
            raise UsageError(f"expected COLUMN=DEVICE.COST like co2=raspi4.carbon_g, got {excerpt(text)}")
        unit_of(cost)
        return cls(name, device, cost)

    @classmethod
    def of_name(cls, name: str, device: str) -> ForeignColumn | None:
        """The column for a name that ends in a unit; `device` if the name has no device. None for other names."""
        before, _, unit = f"_{name}".rpartition("_")
        if unit.lower() not in UNITS:
            return None
        cost, factor = UNITS[unit.lower()]
        named = before.removesuffix(f"_{KINDS[cost]}").strip("_")
        return cls(name, named or device, cost, factor)


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


def read_foreign(path: Path, space: Space, columns: Sequence[ForeignColumn] = ()) -> ForeignTable:
    """Read a CSV (`.csv`) or a Parquet file.

    Args:
        path: the file.
        space: space of the architectures.
        columns: columns to read; by default all whose names end in ms, us, mJ or MiB.

    Raises:
        DataError: the file is missing or damaged, has no architectures or no costs, has an architecture that is not in
            the space or whose text and index differ, or has one twice with different costs.
        UsageError: two columns are the same cost of one device, or the file lacks a column.
    """
    content = _content(path)
    frame = _frame(path, content)
    names = [name for name, kind in frame.schema.items() if kind.is_numeric() and name not in INDICES]
    found = columns or [column for name in names if (column := ForeignColumn.of_name(name, path.stem)) is not None]
    _check_columns(path, frame, found)
    architectures = _architectures(path, frame, space)
    known = frame.with_columns(architecture=architectures).select("architecture", *(c.name for c in found))
    known = _once(path, known)
    if space.index(space.parse(known["architecture"][0])) is not None:
        known = known.with_columns(index=pl.Series([space.index(space.parse(text)) for text in known["architecture"]]))
    source = f"{path.name}, sha256 {hashlib.sha256(content).hexdigest()[:16]}"
    return ForeignTable(known, tuple(found), [name for name in names if name not in {c.name for c in found}], source)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error


def _frame(path: Path, content: bytes) -> pl.DataFrame:
    is_csv = path.suffix.lower() == ".csv"
    try:
        file = io.BytesIO(content)
        frame = pl.read_csv(file, infer_schema_length=None) if is_csv else pl.read_parquet(file)
    except (PolarsError, PanicException) as error:
        kind, why = "CSV" if is_csv else "Parquet", reason(error)
        raise DataError(f"{path} is cut off or no {kind} file ({why}): write it again or use a copy") from error
    if frame.is_empty():
        raise DataError(f"{path} should have a row for each architecture, got none")
    return frame


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
    by_text = None if text is None else _parsed(path, frame[text], space.parse)
    by_index = None
    if index is not None and (by_text is None or space.index(space.parse(by_text[0])) is not None):
        by_index = _parsed(path, frame[index], space.from_index)
    for row, (one, two) in enumerate(zip(by_text or (), by_index or (), strict=False), start=1):
        if one != two:
            raise DataError(f"{path}: row {row} has {index} of {two}, but {text} of {one}: correct one of them")
    found = by_text or by_index
    if found is None:
        names = " or ".join((*TEXTS, *INDICES))
        raise DataError(f"{path} should give architectures by {names}, got {', '.join(frame.columns)}")
    return pl.Series("architecture", found, dtype=pl.String())


def _parsed(path: Path, values: pl.Series, parse: object) -> list[str]:
    assert callable(parse)
    found = []
    for row, value in enumerate(values, start=1):
        if value is None:
            raise DataError(f"{path}: row {row} has no {values.name}: leave the row out")
        try:
            found.append(str(parse(value)))
        except ChronasError as error:
            raise DataError(f"{path}: row {row}: {error}") from error
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
            if rows[name].null_count() or values["high"] - values["low"] > SAME * abs(values["high"]):
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


TEXT_COLUMNS = ("architecture", "arch_str")  # names of these columns in chronas, and in published files
INDICES = ("index", "arch_idx")


def read_accuracies(path: Path, space: Space) -> pl.DataFrame:
    """A frame of `architecture` and all other numeric columns, as Float64 with null for missing values.

    Architectures are given as text (`architecture` or `arch_str`) or by official index (`index` or `arch_idx`). A
    column with "acc" in its name is an accuracy in percent.

    Args:
        path: a Parquet file.
        space: space of the architectures.

    Raises:
        DataError: the file is missing or damaged, has no architectures, has one twice, has one that is not in the
            space, has no numbers, or has an accuracy outside 0..100.
    """
    try:
        frame = pl.read_parquet(io.BytesIO(path.read_bytes()))
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    except (PolarsError, PanicException) as error:
        why = reason(error)
        raise DataError(f"{path} is cut off or no Parquet file ({why}): use a copy") from error
    names = [name for name, kind in frame.schema.items() if kind.is_numeric() and name not in INDICES]
    texts = _texts(frame, path, space)
    numbers = frame.select(pl.col(names).cast(pl.Float64).fill_nan(None))
    if not names or texts.is_duplicated().any() or texts.null_count():
        raise DataError(
            f"{path} should have each architecture once, and numbers beside it, got {', '.join(frame.columns)}"
        )
    for name in (name for name in names if "acc" in name):
        wrong = numbers.filter(~pl.col(name).is_between(0, 100))
        if len(wrong):
            raise DataError(f"{path}: {name} should be percent from 0 to 100, got {wrong[name][0]} ({len(wrong)} such)")
    return numbers.select(texts, *names)


def _texts(frame: pl.DataFrame, path: Path, space: Space) -> pl.Series:
    """The text form of each row's architecture."""
    text = next((name for name in TEXT_COLUMNS if frame.schema.get(name) == pl.String()), None)
    index = next((name for name in INDICES if name in frame.columns and frame.schema[name].is_integer()), None)
    try:
        if text is not None:
            if len(frame):
                space.parse(frame[text][0] or "")  # the rest is matched by text
            return frame[text].alias("architecture")
        if index is not None:
            return pl.Series(
                "architecture", [str(space.from_index(number)) for number in frame[index]], dtype=pl.String
            )
    except (ChronasError, TypeError) as error:
        raise DataError(f"{path} is not of {space.name}: {error}") from error
    raise DataError(
        f"{path} should give architectures by {' or '.join((*TEXT_COLUMNS, *INDICES))}, got {', '.join(frame.columns)}"
    )
