"""Reading of Parquet files with clear errors: polars panics on a truncated file instead of raising."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from chronas.arguments import path_of
from chronas.errors import DataError, MissingExtraError
from chronas.reading import LARGEST, read_within, readable, require_file

if TYPE_CHECKING:
    import pandas

LARGEST_CELLS = 50_000_000


def read_parquet(path: Path) -> tuple[pl.DataFrame, dict[str, str]]:
    """The frame of a file, and its metadata.

    Raises:
        DataError: the file is missing, truncated or not a Parquet file.
    """
    path = path_of(path)
    content = read_within(path, LARGEST["table"])
    with readable(path, "Parquet file", "make it again or use a copy"):
        require_fitting(pl.scan_parquet(io.BytesIO(content)), path)
        return pl.read_parquet(io.BytesIO(content)), pl.read_parquet_metadata(io.BytesIO(content))


def require_fitting(lazy: pl.LazyFrame, path: Path) -> None:
    """Check that a frame has at most `LARGEST_CELLS` cells, before it is read.

    Raises:
        DataError: it has more; a few kilobytes of a Parquet file can stand for any number of equal values.
    """
    rows, columns = lazy.select(pl.len()).collect().item(), len(lazy.collect_schema())
    if rows * columns > LARGEST_CELLS:
        raise DataError(f"{path} has {rows:,} rows of {columns} columns, and at most {LARGEST_CELLS:,} cells are read")


def has_metadata(path: Path, key: str) -> bool:
    """Whether a file is a Parquet file whose metadata has a key."""
    path = path_of(path)
    try:
        require_file(path, LARGEST["table"])
        with readable(path, "Parquet file", ""):
            return key in pl.read_parquet_metadata(path)
    except DataError:
        return False


def to_pandas(frame: pl.DataFrame) -> pandas.DataFrame:
    """A polars frame as a pandas frame.

    Raises:
        MissingExtraError: pandas is not installed.
    """
    try:
        import pandas
    except ImportError as error:
        raise MissingExtraError("frames for pandas need the package pandas: pip install pandas") from error
    return pandas.DataFrame(frame.to_dict(as_series=False))
