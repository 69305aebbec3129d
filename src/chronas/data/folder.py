"""Reads a folder of images, one folder for each class, optionally below `train/` and `test/`.

Pillow decodes the images (JPEG, PNG, ...) once into one uint8 tensor; 50,000 CIFAR images take 3 to 4 s. If all images
are grey they keep one channel; otherwise all become RGB. An alpha channel is dropped.
"""

from __future__ import annotations

import io
import struct
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from chronas.data.images import Images, RawDataset
from chronas.errors import DataError
from chronas.progress import Progress, silent

MODES = {"1": "L", "L": "L", "LA": "L", "P": "RGB", "RGB": "RGB", "RGBA": "RGB", "CMYK": "RGB", "YCbCr": "RGB"}
UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, Image.DecompressionBombError)
EVERY = 500  # images between two calls of `progress`


def decode(names: Sequence[str], sources: Sequence[bytes | Path], progress: Progress = silent) -> Tensor:
    """Decode images of one size.

    Args:
        names: name of each image in error messages.
        sources: the encoded bytes of each image, or its file.
        progress: called with the step "decode".

    Returns:
        uint8 [N, C, H, W] with C 1 or 3.

    Raises:
        DataError: there are no images, one is unreadable (its name is given), pixels have 16 bits, or sizes differ.
    """
    if not sources:
        raise DataError("there are no images to decode: check the folder or file")
    arrays = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's warnings are about metadata, not pixels
        for done, (name, source) in enumerate(zip(names, sources, strict=True)):
            arrays.append(_decode_one(name, source))
            if done % EVERY == 0 or done + 1 == len(sources):
                progress("decode", done + 1, len(sources), "")
    sizes = Counter(array.shape[:2] for array in arrays)
    if len(sizes) > 1:
        raise DataError(_mixed(sizes, names, arrays))
    channels = max(array.shape[2] for array in arrays)
    height, width = arrays[0].shape[:2]
    pixels = np.empty((len(arrays), channels, height, width), dtype=np.uint8)
    for row, array in enumerate(arrays):
        pixels[row] = array.transpose(2, 0, 1)
    return torch.from_numpy(pixels)


def _decode_one(name: str, source: bytes | Path) -> NDArray[np.uint8]:
    """One image as [H, W, C], C 1 or 3."""
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
            if image.mode not in MODES:
                raise DataError(f"image {name} has mode {image.mode}: convert it to 8-bit grey or RGB first")
            wanted = MODES[image.mode]
            array = np.asarray(image if image.mode == wanted else image.convert(wanted))
    except UNREADABLE as error:
        raise DataError(f"image {name} cannot be read ({error}): replace or remove it") from error
    return array.reshape(*array.shape[:2], -1)


def _mixed(sizes: Counter[tuple[int, ...]], names: Sequence[str], arrays: Sequence[NDArray[np.uint8]]) -> str:
    """The message for images of several sizes: the most frequent ones, and one image that differs."""
    common = sizes.most_common()
    counts = ", ".join(f"{count} of {height}x{width}" for (height, width), count in common[:4])
    more = f" and {len(common) - 4} more sizes" if len(common) > 4 else ""
    odd = next(name for name, array in zip(names, arrays, strict=True) if array.shape[:2] == common[-1][0])
    return f"all images must have one size, got {counts}{more} (height x width; see {odd}): resize them first"


SUFFIXES = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")


def read_folder(folder: Path, progress: Progress) -> RawDataset:
    """Read images that are sorted into folders named after their classes; other files are ignored.

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
    return RawDataset(
        _read_part(train, names, progress), _read_part(test, names, progress) if tested else None, tuple(names)
    )


def _folders(folder: Path) -> list[Path]:
    """The visible folders in a folder, sorted; empty if the folder does not exist."""
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


# ----
# Images in a NumPy archive (.npz): `x_train`, `y_train`, `x_test`, `y_test`, or `images`, `labels`.

LAYOUTS = (("x_train", "y_train", "x_test", "y_test"), ("images", "labels"))
CHANNELS = (1, 3)
DAMAGED = (OSError, ValueError, EOFError, KeyError, NotImplementedError, zipfile.BadZipFile, zlib.error)
UNREADABLE_ARCHIVE = (
    *DAMAGED,
    RuntimeError,
    MemoryError,
)  # an encrypted member, or a shape that a flipped bit made huge


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
    return RawDataset(train, test, tuple(str(label) for label in range(int(train.labels.max()) + 1)))


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    wanted = {name for names in LAYOUTS for name in names}
    try:
        with path.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise DataError(f"{path} must be an .npz archive of named arrays, got one array")
            return {name: archive[name] for name in archive.files if name in wanted}
    except UNREADABLE_ARCHIVE as error:
        pickled = "allow_pickle" in str(error)
        advice = "it holds pickled objects, which are refused: save plain arrays" if pickled else "get it again"
        raise DataError(f"{path} cannot be read as an .npz archive ({error}): {advice}") from error


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
