"""Images in Parquet files in the layouts of Hugging Face.

train.parquet, test-00000-of-00002.parquet    in the folder, or one level below it
train/part.parquet, default/train/0000.parquet    splits are folders, also those of a configuration

This is the only file of `data` that uses polars. It imports polars when it runs (0.15 s, once). No other dependency of
chronas reads Parquet, and our own reader would take several hundred lines.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from chronas.data.decoding import decode, divided
from chronas.data.folder import SPLITS, split_of
from chronas.data.images import Images, RawDataset, numbered_classes
from chronas.errors import DataError
from chronas.names import checked_name
from chronas.progress import Progress, silent
from chronas.reading import LARGEST, parse_json, readable, require_file

if TYPE_CHECKING:
    import polars

IMAGE_COLUMNS = ("img", "image", "images", "jpg", "png")
LABEL_COLUMNS = ("label", "labels", "fine_label", "class", "target")
SPLIT_OF_FILE = re.compile(rf"({'|'.join(SPLITS)})([-_.\d].*)?", re.IGNORECASE)
DEEPEST = 3  # folders below the given one
MOST_ROWS = 10_000_000


def find(folder: Path) -> dict[str, list[Path]]:
    """The Parquet files of each part, sorted: "train", "validation", "test"; empty if there are none.

    Raises:
        DataError: there are several configurations, each in a folder of its own.
    """
    found: dict[str, list[Path]] = {}
    configurations: set[Path] = set()
    for depth in range(DEEPEST):
        for path in sorted(folder.glob("/".join(["*"] * depth + ["*.parquet"]))):
            inside = path.relative_to(folder)
            if any(part.startswith(".") for part in inside.parts):
                continue
            named = SPLIT_OF_FILE.fullmatch(path.stem)
            part = split_of(named[1]) if named else split_of(path.parent.name)
            if part is not None:
                found.setdefault(part, []).append(path)
                configurations.add(path.parent if named else path.parent.parent)
        if "train" in found:
            break
    if len(configurations) > 1 and "train" in found:
        names = ", ".join(sorted(str(path.relative_to(folder)) for path in configurations))
        raise DataError(f"{folder} has Parquet files of several configurations ({names}): give one of these folders")
    return found if "train" in found else {}


def read_parquet(folder: Path, progress: Progress = silent, *, side: int | None = None) -> RawDataset:
    """Read a folder of Parquet files with an image column (a struct of `bytes`, or binary) and a label column.

    Labels are whole numbers, whose names Hugging Face's metadata may give, or texts.

    Args:
        folder: the folder.
        progress: called with the step "decode".
        side: as for `decode`.

    Raises:
        DataError: a damaged file, a missing column, a missing value, or an image that cannot be read.
    """
    files = find(folder)
    encoded: dict[str, list[bytes]] = {}
    labels: dict[str, list[Any]] = {}
    names: list[str] = []
    label = ""
    for part, paths in files.items():
        encoded[part], labels[part] = [], []
        for path in paths:
            rows, values, label = _rows(path)
            encoded[part] += rows
            labels[part] += values
            names += [f"{row} of {path}" for row in range(len(rows))]
    decoded = decode(names, [image for part in encoded.values() for image in part], progress, side=side)
    pixels = divided(decoded.pixels, {part: len(images) for part, images in encoded.items()})
    classes, numbers = _classes(files["train"][0], label, labels)
    images = {part: Images(pixels[part], numbers[part]) for part in files}
    found = (images["train"], images.get("test"), classes, images.get("validation"))
    return RawDataset(*found, tuple(decoded.notes))


def _classes(file: Path, label: str, labels: dict[str, list[Any]]) -> tuple[tuple[str, ...], dict[str, torch.Tensor]]:
    """The classes, and the number of each image's class by part."""
    parts = ["train", *(part for part in labels if part != "train")]
    kinds = {str if isinstance(each, str) else int for part in parts for each in labels[part]}
    if len(kinds) > 1:
        raise DataError(f"{file} and the files beside it have both texts and numbers as {label}: write one kind")
    if kinds == {int} and any(each is None or not -(2**63) <= each < 2**63 for part in parts for each in labels[part]):
        raise DataError(f"{file}: {label} has numbers that are no classes, such as those above 2^63")
    if isinstance(labels["train"][0], str):
        names = tuple(sorted({checked_name(text, "class") for text in labels["train"]}))
        strange = next((text for part in parts for text in labels[part] if text not in set(names)), None)
        if strange is not None:
            raise DataError(f"an image has label {strange!r}, which the training images lack: they have {names[:5]}")
        numbers = {name: number for number, name in enumerate(names)}
        return names, {part: torch.tensor([numbers[text] for text in labels[part]]) for part in parts}
    tensors = [torch.tensor(labels[part], dtype=torch.int64) for part in parts]
    known = _class_names(file, label)
    if known is not None:
        return known, dict(zip(parts, tensors, strict=True))
    names, numbered = numbered_classes(*tensors)
    return names, dict(zip(parts, numbered, strict=True))


def _rows(file: Path) -> tuple[list[bytes], list[Any], str]:
    """The encoded images and the labels of a file, and the name of the label column."""
    import polars

    require_file(file, LARGEST["table"])
    with readable(file, "Parquet file", "get it again"):
        rows = polars.scan_parquet(file, glob=False).select(polars.len()).collect().item()
        if rows > MOST_ROWS:
            raise DataError(f"{file} has {rows:,} rows, at most {MOST_ROWS:,} are read")
        frame = polars.read_parquet(file, glob=False)
    image, label = _column(frame, IMAGE_COLUMNS, file), _column(frame, LABEL_COLUMNS, file)
    if not len(frame):
        raise DataError(f"{file} holds no rows: a split must not be empty")
    dtype = frame.schema[image]
    fields = {each.name: each.dtype for each in dtype.fields} if isinstance(dtype, polars.Struct) else {}
    if dtype != polars.Binary and fields.get("bytes") != polars.Binary:
        raise DataError(f"column {image} of {file} must be binary, or a struct with binary `bytes`, got {dtype}")
    if not frame.schema[label].is_integer() and frame.schema[label] != polars.String:
        raise DataError(f"column {label} of {file} must hold integers or texts, got {frame.schema[label]}")
    encoded = frame[image] if dtype == polars.Binary else frame[image].struct.field("bytes")
    missing = frame[label].null_count() + encoded.null_count()
    if missing:
        raise DataError(f"{file} lacks {missing} values in {image} or {label}: remove those rows")
    return encoded.to_list(), frame[label].to_list(), label


def _column(frame: polars.DataFrame, names: Sequence[str], file: Path) -> str:
    """The first of `names` that is a column of the table."""
    for name in names:
        if name in frame.columns:
            return name
    raise DataError(f"{file} must have a column {' or '.join(names)}, it has {', '.join(frame.columns)}")


def _class_names(file: Path, label: str) -> tuple[str, ...] | None:
    """The class names in Hugging Face's metadata, or None without such metadata.

    Raises:
        DataError: the metadata has names that are no texts.
    """
    import polars

    text = polars.read_parquet_metadata(file).get("huggingface")
    if text is None:
        return None
    try:
        names = parse_json(text)["info"]["features"][label]["names"]
    except (ValueError, KeyError, TypeError, IndexError):
        return None
    if not isinstance(names, list):
        return None
    if len(set(map(str, names))) < len(names):
        raise DataError(f"{file} names a class twice in its metadata: give each class its own name")
    return tuple(checked_name(name, "class") for name in names)
