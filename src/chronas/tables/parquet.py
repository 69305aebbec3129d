"""Reading of Parquet files with clear errors: polars panics on a truncated file instead of raising."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
from polars.exceptions import PanicException, PolarsError

from chronas.errors import DataError, MissingExtraError, reason

if TYPE_CHECKING:
    import pandas


def read_parquet(path: Path) -> tuple[pl.DataFrame, dict[str, str]]:
    """The frame of a file, and its metadata.

    Raises:
        DataError: the file is missing, truncated or not a Parquet file.
    """
    try:
        content = path.read_bytes()
        return pl.read_parquet(io.BytesIO(content)), pl.read_parquet_metadata(io.BytesIO(content))
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    except (PolarsError, PanicException) as error:
        why = reason(error)
        raise DataError(f"{path} is cut off or no Parquet file ({why}): make it again or use a copy") from error


def has_metadata(path: Path, key: str) -> bool:
    """Whether a file is a Parquet file whose metadata has a key."""
    try:
        return key in pl.read_parquet_metadata(path)
    except (OSError, PolarsError, PanicException):
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
