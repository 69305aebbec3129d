"""Images in a NumPy archive (.npz): `x_train`, `y_train`, MedMNIST's `train_images`, or `images` and `labels`."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from chronas.data.decoding import resized
from chronas.data.images import Images, RawDataset, numbered_classes
from chronas.errors import DataError
from chronas.progress import Progress, silent
from chronas.reading import LARGEST, readable, require_file

PARTS = ("train", "test", "validation")
LAYOUTS = (  # for each part, the names of the images and of the labels; the training images are needed
    {"train": ("x_train", "y_train"), "test": ("x_test", "y_test"), "validation": ("x_val", "y_val")},
    {
        "train": ("train_images", "train_labels"),  # MedMNIST, https://medmnist.com
        "test": ("test_images", "test_labels"),
        "validation": ("val_images", "val_labels"),
    },
    {"train": ("images", "labels")},
)
CHANNELS = (1, 3)
FORMS = "uint8 [N, H, W], [N, H, W, C] or [N, C, H, W], or floats in 0..1"
MOST_BYTES = 16 * 1024**3  # of all arrays once they are unpacked
HEADER_BYTES = 64 * 1024  # read of each array to know its size


def read_archive(path: Path, progress: Progress = silent, *, side: int | None = None) -> RawDataset:
    """Read images [N, H, W], [N, H, W, C] or [N, C, H, W] and their labels: whole numbers [N] or [N, 1], or one-hot.

    Args:
        path: the archive.
        progress: called with the step "read".
        side: scale images so that the shorter side has this many pixels, and keep their middle square; None: not.

    Raises:
        DataError: the archive is damaged, too large or holds pickled objects, lacks an array, or has an array of
            another type or shape.
    """
    arrays = _arrays(path)
    layout = next((names for names in LAYOUTS if set(names["train"]) <= arrays.keys()), None)
    if layout is None:
        wanted = " or ".join(", ".join(names["train"]) for names in LAYOUTS)
        raise DataError(f"{path} must hold the arrays {wanted}, it holds {', '.join(arrays) or 'none'}")
    found = {part: names for part, names in layout.items() if set(names) <= arrays.keys()}
    lonely = [name for part, names in layout.items() if part not in found for name in names if name in arrays]
    if lonely:
        raise DataError(f"{path} holds {lonely[0]} without the array that belongs to it: add it")
    pixels = {part: _pixels(arrays[x], x, path) for part, (x, _) in found.items()}
    labels = {part: _labels(arrays[y], y, path) for part, (_, y) in found.items()}
    names, numbers = numbered_classes(*(labels[part] for part in PARTS if part in labels))
    by_part = dict(zip([part for part in PARTS if part in labels], numbers, strict=True))
    images = {
        part: Images(each if side is None else resized(each, side), by_part[part]) for part, each in pixels.items()
    }
    progress("read", len(images["train"]), len(images["train"]), path.name)
    unread = sorted(arrays.keys() - {name for names in found.values() for name in names})
    notes = [f"not read: the arrays {', '.join(unread)}"] if unread else []
    return RawDataset(images["train"], images.get("test"), names, images.get("validation"), tuple(notes))


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    """All arrays of the archive, after their sizes were checked."""
    require_file(path, LARGEST["weights"])
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            single = file.read(6) == b"\x93NUMPY"
        if single:
            raise DataError(f"{path} must be an .npz archive of named arrays, got one array")
        raise DataError(f"{path} is no .npz archive of arrays: give one, a folder of images, or a name")
    with readable(path, ".npz archive", "get it again"), zipfile.ZipFile(path) as archive:
        total = 0
        for name in archive.namelist():
            with archive.open(name) as member:
                total += _size_of(member, name, path)
        if total > MOST_BYTES:
            raise DataError(f"{path} unpacks to {total / 1024**3:.0f} GiB, at most {MOST_BYTES // 1024**3} are read")
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}


def _size_of(member: Any, name: str, path: Path) -> int:
    """The bytes of an array in the archive, by its header."""
    version = np.lib.format.read_magic(member)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(member, max_header_size=HEADER_BYTES)
    if dtype.hasobject:
        raise DataError(
            f"{path} cannot be read as an .npz archive ({name} holds pickled objects, which could run code): "
            f"save plain arrays"
        )
    return int(np.prod([int(n) for n in shape], dtype=object)) * dtype.itemsize


def _pixels(array: NDArray[Any], name: str, path: Path) -> Tensor:
    """uint8 [N, C, H, W] from any of the layouts."""
    got = f"{array.dtype} {list(array.shape)}"
    if array.ndim == 3:
        array = array[:, None]
    elif array.ndim == 4 and array.shape[3] in CHANNELS:
        if array.shape[1] in CHANNELS and array.shape[2] != array.shape[3]:
            raise DataError(
                f"{name} in {path} may be [N, C, H, W] or [N, H, W, C], as its shape is {list(array.shape)}"
            )
        array = array.transpose(0, 3, 1, 2)
    if array.ndim != 4 or array.shape[1] not in CHANNELS or array.dtype.kind not in "fui":
        raise DataError(f"{name} in {path} must be {FORMS}, got {got}")
    if array.dtype != np.uint8 and array.size:
        low, high = float(array.min()), float(array.max())
        if array.dtype.kind == "f" and low >= 0 and high <= 1:
            array = np.rint(array * 255)
        elif not (low >= 0 and high <= 255 and high > 1 and bool((array == np.rint(array)).all())):
            raise DataError(f"{name} in {path} must be {FORMS}, got {got} from {low:g} to {high:g}")
    return torch.from_numpy(np.ascontiguousarray(array.astype(np.uint8)))


def _labels(array: NDArray[Any], name: str, path: Path) -> Tensor:
    """int64 [N] from whole numbers [N] or [N, 1], or from one-hot rows [N, K]."""
    if array.ndim == 2 and array.shape[1] > 1 and array.dtype.kind in "uifb" and _one_hot(array):
        return torch.from_numpy(array.argmax(axis=1).astype(np.int64))
    flat = array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array
    if flat.ndim != 1 or flat.dtype.kind not in "iu":
        raise DataError(
            f"{name} in {path} must be integers [N] or one-hot [N, K], got {array.dtype} {list(array.shape)}"
        )
    if flat.dtype.kind == "u" and len(flat) and int(flat.max()) >= 2**63:
        raise DataError(f"{name} in {path} has the label {int(flat.max())}, which is no class")
    return torch.from_numpy(flat.astype(np.int64))


def _one_hot(array: NDArray[Any]) -> bool:
    return bool(((array == 0) | (array == 1)).all() and (array.sum(axis=1) == 1).all())
