"""Images in Parquet files in the layout of Hugging Face: `train*.parquet`, `test*.parquet`.

This is the only file of `data` that uses polars. It imports polars when it runs (0.15 s, once). No other dependency of
chronas reads Parquet, and our own reader would take several hundred lines.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from chronas.data.folder import decode
from chronas.data.images import Images, RawDataset, numbered_classes
from chronas.errors import DataError, reason
from chronas.progress import Progress

if TYPE_CHECKING:
    import polars

IMAGE_COLUMNS = ("img", "image")
LABEL_COLUMNS = ("label", "fine_label")


def find(folder: Path, part: str) -> list[Path]:
    """The Parquet files of a part ("train" or "test"), in the folder or one level below, sorted."""
    return sorted(folder.glob(f"{part}*.parquet")) or sorted(folder.glob(f"*/{part}*.parquet"))


def read_parquet(folder: Path, progress: Progress) -> RawDataset:
    """Read a folder of Parquet files with a struct of `bytes` in `img` or `image`, and `label` or `fine_label`.

    Raises:
        DataError: a damaged file, a missing column, a missing value, or an image that cannot be read.
    """
    train_files, test_files = find(folder, "train"), find(folder, "test")
    train, train_label = _read_part(train_files, progress)
    test = _read_part(test_files, progress)[0] if test_files else None
    names = _class_names(train_files[0], train_label) or numbered_classes(train.labels)
    return RawDataset(train, test, names)


def _read_part(files: Sequence[Path], progress: Progress) -> tuple[Images, str]:
    """The images of all files in order, and the name of the label column."""
    names: list[str] = []
    encoded: list[bytes] = []
    labels: list[int] = []
    for file in files:
        frame = _frame(file)
        image, label = _column(frame, IMAGE_COLUMNS, file), _column(frame, LABEL_COLUMNS, file)
        _check(frame, image, label, file)
        encoded.extend(frame[image].struct.field("bytes").to_list())
        labels.extend(frame[label].to_list())
        names.extend(f"{row} of {file}" for row in range(len(frame)))
    return Images(decode(names, encoded, progress), torch.tensor(labels, dtype=torch.int64)), label


def _frame(file: Path) -> polars.DataFrame:
    """The table in a file."""
    import polars

    try:
        return polars.read_parquet(file, glob=False)
    except (polars.exceptions.PolarsError, polars.exceptions.PanicException, OSError) as error:
        raise DataError(
            f"{file} cannot be read as Parquet ({reason(error)}): it may be cut off, get it again"
        ) from error


def _column(frame: polars.DataFrame, names: Sequence[str], file: Path) -> str:
    """The first of `names` that is a column of the table."""
    for name in names:
        if name in frame.columns:
            return name
    raise DataError(f"{file} must have a column {' or '.join(names)}, it has {', '.join(frame.columns)}")


def _check(frame: polars.DataFrame, image: str, label: str, file: Path) -> None:
    """Refuse an empty table, columns of other types, and missing values."""
    import polars

    if not len(frame):
        raise DataError(f"{file} holds no rows: a split must not be empty")
    dtype = frame.schema[image]
    fields = {field.name: field.dtype for field in dtype.fields} if isinstance(dtype, polars.Struct) else {}
    if fields.get("bytes") != polars.Binary:
        raise DataError(f"column {image} of {file} must be a struct with binary `bytes`, got {dtype}")
    if not frame.schema[label].is_integer():
        raise DataError(f"column {label} of {file} must hold integers, got {frame.schema[label]}")
    missing = frame[label].null_count() + frame[image].struct.field("bytes").null_count()
    if missing:
        raise DataError(f"{file} lacks {missing} values in {image} or {label}: remove those rows")


def _class_names(file: Path, label: str) -> tuple[str, ...] | None:
    """The class names in Hugging Face's metadata, or None without such metadata."""
    import polars

    text = polars.read_parquet_metadata(file).get("huggingface")
    if text is None:
        return None
    try:
        return tuple(json.loads(text)["info"]["features"][label]["names"])
    except (ValueError, KeyError, TypeError):
        return None
