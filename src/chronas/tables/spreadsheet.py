"""Reads a CSV or Parquet file as a frame: which columns are numbers, and whether more of them is better."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl

from chronas.arguments import path_of
from chronas.errors import DataError, excerpt
from chronas.names import checked_name
from chronas.reading import read_csv
from chronas.tables.parquet import read_parquet

WHOLE = re.compile(r"[-+]?\d{1,18}")
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?|nan|[-+]?inf(inity)?", re.IGNORECASE)
DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+([eE][-+]?\d+)?")
THOUSANDS = re.compile(r"[-+]?\d{1,3},\d{3}")
ACCURACIES = {"acc", "accuracy", "accuracies", "top1", "top5", "acc1", "acc5"}  # words of names, in lower case
MORE = {*ACCURACIES, "f1", "auc", "map", "miou", "precision", "recall", "throughput", "fps", "ips", "kendall"}
LESS = {
    *("error", "err", "loss", "latency", "energy", "memory", "params", "parameters", "flops", "macs", "size", "bytes"),
    *("ms", "us", "ns", "s", "seconds", "mj", "j", "mib", "mb", "kb"),
}


def read_frame(path: Path) -> pl.DataFrame:
    """The content of a file: CSV if its name ends in `.csv`, `.tsv` or `.txt`, else Parquet.

    In a CSV file, a column whose cells are all numbers is one of integers or floats. An empty cell is null. Commas as
    decimal signs are understood where the file says so: by another separator, or by quotes.

    Raises:
        DataError: the file is missing, damaged or empty, or a column has numbers like 1,234 alone, which may be
            thousands or decimals.
    """
    path = path_of(path)
    if path.suffix.lower() in (".csv", ".tsv", ".txt"):
        columns = read_csv(path)
        frame = pl.DataFrame([_series(path, name, cells) for name, cells in columns.items()])
    else:
        frame, _ = read_parquet(path)
    for name in frame.columns:
        checked_name(name, "column")
        if name == "*" or (name.startswith("^") and name.endswith("$")):  # polars takes them as patterns
            raise DataError(f"{path} has the column {excerpt(name)}, which stands for others: rename it")
    if frame.is_empty():
        raise DataError(f"{path} should have a row for each architecture, got none")
    return frame


def _series(path: Path, name: str, cells: list[str]) -> pl.Series:
    known = [cell for cell in cells if cell]
    commas = [cell for cell in known if DECIMAL_COMMA.fullmatch(cell)]
    if known and commas and all(cell in commas or NUMBER.fullmatch(cell) for cell in known):
        if all(THOUSANDS.fullmatch(cell) for cell in commas):
            raise DataError(f"{path}: {name} has numbers like {commas[0]}, which may be thousands: write them with .")
        cells = [cell.replace(",", ".") for cell in cells]
        known = [cell for cell in cells if cell]
    if known and all(map(WHOLE.fullmatch, known)):
        return pl.Series(name, [int(cell) if cell else None for cell in cells], dtype=pl.Int64)
    if known and all(map(NUMBER.fullmatch, known)):
        return pl.Series(name, [float(cell) if cell else None for cell in cells], dtype=pl.Float64)
    return pl.Series(name, [cell or None for cell in cells], dtype=pl.String)


SPREAD = {"std", "stdev", "stddev", "sd", "sem", "stderr", "var", "variance", "ci"}  # of repeated numbers
WRONG = {"error", "err", "loss"}


def words_of(name: str) -> list[str]:
    """The words of a column's name in lower case: `Val_Acc (%)` has val and acc, `valAcc` too."""
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z0-9]+|[A-Z0-9]+", name)]


def is_accuracy(name: str) -> bool:
    """Whether a column's name says that it is an accuracy."""
    words = set(words_of(name))
    return not words.isdisjoint(ACCURACIES) and words.isdisjoint(SPREAD | WRONG)


def more_is_better(name: str) -> bool | None:
    """Whether more of a column is better, by its name: True for accuracies, None if the name does not say."""
    words = set(words_of(name))
    if not words.isdisjoint(SPREAD):
        return None
    if not words.isdisjoint(WRONG):
        return False
    if not words.isdisjoint(MORE):
        return True
    return None if words.isdisjoint(LESS) or "per" in words or "/" in name else False  # images per second
