"""Reads a folder of images, one folder for each class, optionally below `train/` and `test/`.

Pillow decodes the images (JPEG, PNG, ...) once into one uint8 tensor; 50,000 CIFAR images take 3 to 4 s. If all images
are grey they keep one channel; otherwise all become RGB. An alpha channel is dropped.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

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
