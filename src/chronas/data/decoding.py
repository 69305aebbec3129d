"""Decodes images into one uint8 tensor: formats, orientation, transparency, depth, and one size.

Pillow decodes each image (JPEG, PNG, ...) once; 50,000 CIFAR images take 3 to 4 s. If all images are grey they keep one
channel; otherwise all become RGB.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from chronas.errors import DataError
from chronas.progress import Progress, silent
from chronas.reading import LARGEST, require_file

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "PPM", "TIFF", "WEBP")  # others may start programs, such as EPS
SUFFIXES = (
    *(".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff"),
    ".webp",
)
GREY = {"1", "L", "LA", "I;16", "I;16B", "I"}
KNOWN = {*GREY, "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr"}
TRANSPARENT = {"LA", "PA", "RGBA"}
UNREADABLE = (
    *(OSError, SyntaxError, ValueError, EOFError, OverflowError, TypeError, KeyError, IndexError, AttributeError),
    *(struct.error, zlib.error, MemoryError, RuntimeError, Image.DecompressionBombError),
)
MOST_PIXELS = 64_000_000  # of one image
MOST_BYTES = 16 * 1024**3  # of all images in memory
DEFAULT_SIDE = 96  # pixels, of images of several sizes: a search on a CPU takes hours with much larger ones
WHITE = 255
EVERY = 500  # images between two calls of `progress`


@dataclass
class Decoded:
    """Decoded images.

    Attributes:
        pixels: uint8 [N, C, H, W] with C 1 or 3.
        notes: sentences about changes that were made to images.
    """

    pixels: Tensor
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Header:
    size: tuple[int, int]  # width and height, upright
    grey: bool


def decode(
    names: Sequence[str],
    sources: Sequence[bytes | Path],
    progress: Progress = silent,
    *,
    side: int | None = None,
    grey: bool | None = None,
) -> Decoded:
    """Decode images to one size.

    Args:
        names: name of each image in error messages.
        sources: the encoded bytes of each image, or its file.
        progress: called with the step "decode".
        side: scale each image so that its shorter side has this many pixels, and keep its middle square. None: images
            of one size stay as they are; of several sizes, the same is done with `DEFAULT_SIDE`, or with the shortest
            side if that is smaller.
        grey: whether all images become grey, or none; None: grey if all are.

    Raises:
        DataError: there are no images, one is unreadable or too large (its name is given), or all of them need more
            than `MOST_BYTES`.
    """
    if not sources:
        raise DataError("there are no images to decode: check the folder or file")
    Image.init()  # loads all of `FORMATS`
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's warnings are about metadata, not pixels
        headers = [_header(name, source) for name, source in zip(names, sources, strict=True)]
        grey = all(header.grey for header in headers) if grey is None else grey
        notes: list[str] = []
        side = side or _common_side(headers, notes)
        width, height = (side, side) if side else headers[0].size
        channels = 1 if grey else 3
        needed = len(headers) * channels * width * height
        if needed > MOST_BYTES:
            raise DataError(
                f"{len(headers):,} images of {width}x{height} need {needed / 1024**3:.0f} GiB, at most "
                f"{MOST_BYTES // 1024**3} are held: make them smaller by --image-size"
            )
        pixels = np.empty((len(headers), channels, height, width), dtype=np.uint8)
        transparent = 0
        for done, (name, source) in enumerate(zip(names, sources, strict=True)):
            array, seen_through = _decode_one(name, source, side, grey=grey)
            if array.shape[:2] != (height, width):
                raise DataError(f"image {name} is damaged: it has another size than its header says")
            pixels[done] = array.reshape(height, width, channels).transpose(2, 0, 1)
            transparent += seen_through
            if done % EVERY == 0 or done + 1 == len(sources):
                progress("decode", done + 1, len(sources), "")
    if transparent:
        notes.append(f"{transparent} images have transparent pixels: they are laid over white")
    return Decoded(torch.from_numpy(pixels), notes)


def divided(pixels: Tensor, counts: Mapping[str, int]) -> dict[str, Tensor]:
    """Consecutive parts of images [N, ...] by name, with these numbers of images."""
    parts: list[Tensor] = []
    for count in counts.values():
        parts.append(pixels[sum(map(len, parts)) :][:count])
    return dict(zip(counts, parts, strict=True))


def resized(pixels: Tensor, side: int) -> Tensor:
    """Images uint8 [N, C, H, W] whose shorter side is scaled to `side` pixels, and their middle square."""
    if pixels.shape[2:] == (side, side):
        return pixels
    parts = []
    for start in range(0, len(pixels), EVERY):
        chunk = pixels[start : start + EVERY]
        height, width = chunk.shape[2:]
        scale = side / min(height, width)
        size = (max(side, round(height * scale)), max(side, round(width * scale)))
        scaled = torch.nn.functional.interpolate(chunk.float(), size, mode="bilinear", antialias=True)
        top, left = (size[0] - side) // 2, (size[1] - side) // 2
        parts.append(scaled[:, :, top : top + side, left : left + side].round().clamp(0, 255).to(torch.uint8))
    return torch.cat(parts)


def _header(name: str, source: bytes | Path) -> _Header:
    """The size and kind of an image, without decoding it."""
    if isinstance(source, Path):
        require_file(source, LARGEST["image"])
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=FORMATS) as image:
            width, height = image.size
            has_exif = image.format in ("JPEG", "MPO", "TIFF", "WEBP") or (
                image.format == "PNG" and "exif" in image.info
            )
            turned = has_exif and image.getexif().get(ORIENTATION, 1) in SIDEWAYS
            mode = image.mode
    except UNREADABLE as error:
        raise DataError(f"image {name} cannot be read ({_why(error)}): replace or remove it") from error
    if mode not in KNOWN:
        raise DataError(f"image {name} has mode {mode}: convert it to 8-bit grey or RGB first")
    if width * height > MOST_PIXELS:
        raise DataError(f"image {name} has {width}x{height} pixels, at most {MOST_PIXELS:,} are read: make it smaller")
    return _Header((height, width) if turned else (width, height), mode in GREY)


ORIENTATION = 0x0112  # the Exif tag
SIDEWAYS = (5, 6, 7, 8)


def _why(error: BaseException) -> str:
    text = str(error).partition("\n")[0] or type(error).__name__
    return "it is no image of a known format" if "cannot identify" in text else text


def _common_side(headers: Sequence[_Header], notes: list[str]) -> int | None:
    """The side to scale images of several sizes to; None for images of one size."""
    sizes = Counter(header.size for header in headers)
    if len(sizes) == 1:
        return None
    shortest = min(min(size) for size in sizes)
    side = min(DEFAULT_SIDE, shortest)
    common = ", ".join(f"{count} of {width}x{height}" for (width, height), count in sizes.most_common(3))
    more = f" and {len(sizes) - 3} more sizes" if len(sizes) > 3 else ""
    notes.append(
        f"images have several sizes ({common}{more}): the shorter side of each is scaled to {side} pixels, and the "
        f"middle {side}x{side} is kept; --image-size changes that"
    )
    return side


def _decode_one(name: str, source: bytes | Path, side: int | None, *, grey: bool) -> tuple[NDArray[np.uint8], bool]:
    """One image as [H, W] or [H, W, 3], and whether it has transparent pixels."""
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=FORMATS) as opened:
            image: Image.Image = opened
            if side is not None and image.format == "JPEG":
                image.draft(None, (2 * side, 2 * side))  # decodes at a part of the size, which is still large enough
            image = ImageOps.exif_transpose(image)
            if image.mode in ("I;16", "I;16B", "I"):
                image = _eight_bits(name, image)
            transparent = image.mode in TRANSPARENT or "transparency" in image.info
            if transparent:
                layer = image.convert("RGBA")
                transparent = bool((np.asarray(layer)[..., 3] < WHITE).any())
                below = Image.new("RGBA", layer.size, (WHITE, WHITE, WHITE, WHITE))
                image = Image.alpha_composite(below, layer)
            image = image if image.mode == ("L" if grey else "RGB") else image.convert("L" if grey else "RGB")
            if side is not None:
                image = ImageOps.fit(image, (side, side), Image.Resampling.BILINEAR)
            return np.asarray(image), transparent
    except UNREADABLE as error:
        raise DataError(f"image {name} cannot be read ({_why(error)}): replace or remove it") from error


def _eight_bits(name: str, image: Image.Image) -> Image.Image:
    """A grey image of 16 bits as one of 8; the lower bits are dropped."""
    levels = np.asarray(image).astype(np.int64)
    if levels.min() < 0 or levels.max() > 65_535:
        raise DataError(f"image {name} has levels outside 0..65535: convert it to 8-bit grey first")
    if 0 < levels.max() < 256:
        raise DataError(f"image {name} has 16 bits, but no level above 255, so it would be black: save it with 8 bits")
    return Image.fromarray((levels >> 8).astype(np.uint8))
