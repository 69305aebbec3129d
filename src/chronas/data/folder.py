"""A folder of images, one folder a class, optionally below `train/` and `test/`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from chronas.data.decode import decode
from chronas.data.images import Images
from chronas.data.sources import Source
from chronas.errors import DataError
from chronas.progress import Progress

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")


def read_folder(folder: Path, progress: Progress) -> Source:
    """Read images that are sorted into folders named after their classes; other files are left alone.

    Raises:
        DataError: fewer than two classes, a class without images, a test class that training lacks, an image that
            cannot be read, or images of several sizes.
    """
    parted = bool(_folders(folder / "train"))
    train = folder / "train" if parted else folder
    names = [path.name for path in _folders(train)]
    if len(names) < 2:
        got = f"one ({names[0]})" if names else "none"
        raise DataError(f"{train} must hold one folder of images for each of at least two classes, got {got}")
    test = folder / "test"
    tested = parted and test.is_dir()
    return Source(
        _read_part(train, names, progress), _read_part(test, names, progress) if tested else None, tuple(names)
    )


def _folders(folder: Path) -> list[Path]:
    """The visible folders in a folder, sorted; none where it does not exist."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _read_part(folder: Path, names: Sequence[str], progress: Progress) -> Images:
    files: list[Path] = []
    labels: list[int] = []
    for child in _folders(folder):
        if child.name not in names:
            raise DataError(f"{child} is a class that the training images lack; they have {', '.join(names)}")
        found = sorted(path for path in child.rglob("*") if path.suffix.lower() in SUFFIXES)
        if not found:
            raise DataError(f"{child} holds no image ({', '.join(SUFFIXES)}): add some or remove the folder")
        files.extend(found)
        labels.extend([names.index(child.name)] * len(found))
    if not files:
        raise DataError(f"{folder} holds no images: a split must not be empty")
    pixels = decode([str(file) for file in files], files, progress)
    return Images(pixels, torch.tensor(labels, dtype=torch.int64))
