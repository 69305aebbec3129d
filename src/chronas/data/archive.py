"""Images in a NumPy archive (.npz): `x_train`, `y_train`, `x_test`, `y_test`, or `images`, `labels`."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from chronas.data.images import Images, RawDataset, numbered_classes
from chronas.errors import DataError
from chronas.progress import Progress

LAYOUTS = (("x_train", "y_train", "x_test", "y_test"), ("images", "labels"))
CHANNELS = (1, 3)
DAMAGED = (OSError, ValueError, EOFError, KeyError, NotImplementedError, zipfile.BadZipFile, zlib.error)
UNREADABLE = (*DAMAGED, RuntimeError, MemoryError)  # an encrypted member, or a shape that a flipped bit made huge


def read_archive(path: Path, progress: Progress) -> RawDataset:
    """Read uint8 images [N, H, W], [N, H, W, C] or [N, C, H, W] and integer labels [N] or [N, 1].

    Raises:
        DataError: the archive is damaged, holds pickled objects, lacks an array, or has an array of another type or
            shape.
    """
    arrays = _arrays(path)
    layout = next((names for names in LAYOUTS if set(names) <= arrays.keys()), None)
    if layout is None:
        wanted = " or ".join(", ".join(names) for names in LAYOUTS)
        raise DataError(f"{path} must hold the arrays {wanted}, it holds {', '.join(arrays) or 'none'}")
    pairs = [layout[start : start + 2] for start in range(0, len(layout), 2)]
    parts = [Images(_pixels(arrays[x], x, path), _labels(arrays[y], y, path)) for x, y in pairs]
    progress("read", len(parts[0]), len(parts[0]), path.name)
    train, test = parts[0], parts[1] if len(parts) > 1 else None
    return RawDataset(train, test, numbered_classes(train.labels))


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    wanted = {name for names in LAYOUTS for name in names}
    try:
        with path.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise DataError(f"{path} must be an .npz archive of named arrays, got one array")
            return {name: archive[name] for name in archive.files if name in wanted}
    except UNREADABLE as error:
        pickled = "allow_pickle" in str(error)
        if pickled and not zipfile.is_zipfile(path):
            raise DataError(f"{path} is no .npz archive of arrays: give one, a folder of images, or a name") from error
        why = "it holds pickled objects, which could run code" if pickled else str(error)
        advice = "save plain arrays" if pickled else "get it again"
        raise DataError(f"{path} cannot be read as an .npz archive ({why}): {advice}") from error


def _pixels(array: NDArray[Any], name: str, path: Path) -> Tensor:
    """uint8 [N, C, H, W] from any of the three layouts."""
    if array.ndim == 3:
        array = array[:, None]
    elif array.ndim == 4 and array.shape[3] in CHANNELS:
        array = array.transpose(0, 3, 1, 2)
    if array.dtype != np.uint8 or array.ndim != 4 or array.shape[1] not in CHANNELS:
        got = f"{array.dtype} {list(array.shape)}"
        raise DataError(f"{name} in {path} must be uint8 [N, H, W], [N, H, W, C] or [N, C, H, W], got {got}")
    return torch.from_numpy(np.ascontiguousarray(array))


def _labels(array: NDArray[Any], name: str, path: Path) -> Tensor:
    """int64 [N] from integer labels [N] or [N, 1]."""
    flat = array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array
    if flat.ndim != 1 or flat.dtype.kind not in "iu":
        raise DataError(f"{name} in {path} must be integers [N], got {array.dtype} {list(array.shape)}")
    return torch.from_numpy(flat.astype(np.int64))
