"""Accuracies of networks from a Parquet file that the user brings: which network is how accurate, in percent."""

from __future__ import annotations

import io
from pathlib import Path

import polars as pl
from polars.exceptions import PanicException, PolarsError

from chronas.errors import DataError

TEXTS = ("architecture", "arch_str")  # of chronas's tables, and of NAS-Bench-201's


def read_accuracies(path: Path) -> dict[str, dict[str, float]]:
    """For each column of accuracies, by its name for people, the percent of each architecture, by text.

    A column of accuracies is one of numbers whose name has "acc" in it. The text form of architectures is in a column
    `architecture` or `arch_str`. Gaps stay gaps.

    Raises:
        DataError: the file is missing, no Parquet file, has neither column, or numbers outside 0..100.
    """
    try:
        frame = pl.read_parquet(io.BytesIO(path.read_bytes()))
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    except (PolarsError, PanicException) as error:
        why = str(error).splitlines()[0]
        raise DataError(f"{path} is cut off or no Parquet file ({why}): use a copy") from error
    text = next((name for name in TEXTS if frame.schema.get(name) == pl.String()), None)
    columns = [name for name, dtype in frame.schema.items() if "acc" in name and dtype.is_numeric()]
    if text is None or not columns:
        wanted = f"architectures ({' or '.join(TEXTS)}) and numbers with acc in their name"
        raise DataError(f"{path} should have columns of {wanted}, got {', '.join(frame.columns)}")
    return {name.replace("_", " "): column(frame, text, name, path) for name in columns}


def column(frame: pl.DataFrame, text: str, name: str, path: Path) -> dict[str, float]:
    """The percent of each architecture that has one."""
    rows = frame.select(text, pl.col(name).cast(pl.Float64)).drop_nulls()
    wrong = rows.filter(~pl.col(name).is_between(0, 100))
    if len(wrong):
        raise DataError(f"{path}: {name} should be percent from 0 to 100, got {wrong[name][0]} ({len(wrong)} such)")
    return dict(rows.iter_rows())
