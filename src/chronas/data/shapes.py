"""Images of five classes, made on the spot: textured shapes on textured ground.

write_photos(Path("photos"), train=600, test=120, seed=0)  # photos/train/CLASS/*.jpg and photos/test/CLASS/*.jpg

The data set `shapes` has them in 32x32 pixels; `write_photos` writes JPEGs of 80 to 130 pixels. A class has an outline,
and a texture and a hue that most of its shapes have. Shapes have any place, size and turn; the ground has clouds of any
colour. Clutter of lines and spots lies on all of it.
"""

from __future__ import annotations

import colorsys
import math
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from chronas.data.images import Images, RawDataset
from chronas.progress import Progress

CLASSES = ("circle", "cross", "heart", "star", "triangle")
SMALLEST, LARGEST = 80, 130  # pixels of a side
QUALITY = 85
CLOUDS = 4  # number of the texture of the ground
HUES = 0.06  # standard deviation of a class's hues, in turns of the colour circle
USUAL = 0.9  # share of shapes with the texture of their class


SIDE, TRAIN, TEST = 32, 2000, 4000  # of the data set `shapes`


def read_shapes(progress: Progress) -> RawDataset:
    """The data set `shapes`: 2,000 training and 4,000 test images of 3x32x32, equally many of each class.

    They are the same in every run with one version of Pillow.
    """
    parts = [_images(count, stream, progress) for stream, count in enumerate((TRAIN, TEST))]
    return RawDataset(parts[0], parts[1], CLASSES)


def _images(count: int, stream: int, progress: Progress) -> Images:
    generator = np.random.default_rng([0, stream])
    pixels = np.empty((count, SIDE, SIDE, 3), dtype=np.uint8)
    for number in range(count):
        image = photo(CLASSES[number % len(CLASSES)], generator)
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        square = image.crop((left, top, left + side, top + side))
        pixels[number] = np.asarray(square.resize((SIDE, SIDE), Image.Resampling.BOX))
        if number % 100 == 0:
            progress("read", number, count, "shapes")
    labels = torch.arange(count) % len(CLASSES)
    return Images(torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous(), labels)


def write_photos(folder: Path, *, train: int, test: int, seed: int) -> None:
    """Write `train` and `test` photos, equally many of each class."""
    for part, count, stream in (("train", train, 0), ("test", test, 1)):
        generator = np.random.default_rng([seed, stream])
        for number in range(count):
            name = CLASSES[number % len(CLASSES)]
            path = folder / part / name / f"{number:04d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            photo(name, generator).save(path, quality=QUALITY)


def photo(name: str, generator: np.random.Generator) -> Image.Image:
    """One photo of a class."""
    width, height = (int(side) for side in generator.integers(SMALLEST, LARGEST + 1, 2))
    usual = CLASSES.index(name) if generator.uniform() < USUAL else int(generator.integers(len(CLASSES)))
    ground = _texture(width, height, CLOUDS, generator)
    hue = generator.normal(CLASSES.index(name) / len(CLASSES), HUES) % 1.0
    figure = _texture(width, height, usual, generator, hue)
    mask = Image.new("L", (2 * width, 2 * height))
    radius = min(width, height) * generator.uniform(0.28, 0.46)
    centre = [2 * generator.uniform(radius, side - radius) for side in (width, height)]
    turn = generator.uniform(0, 2 * math.pi) if name != "heart" else generator.uniform(-0.6, 0.6)
    outline = [
        (centre[0] + 2 * radius * (x * math.cos(turn) - y * math.sin(turn)),
         centre[1] + 2 * radius * (x * math.sin(turn) + y * math.cos(turn)))
        for x, y in _outline(name)
    ]  # fmt: skip
    ImageDraw.Draw(mask).polygon(outline, fill=255)
    mask = mask.resize((width, height), Image.Resampling.BOX)
    image = Image.composite(figure, ground, mask)
    _clutter(image, generator)
    image = image.filter(ImageFilter.GaussianBlur(generator.uniform(0, 1.2)))
    noise = generator.normal(0, 10, (height, width, 3))
    pixels = np.asarray(image, dtype=np.float64) * generator.uniform(0.6, 1.1) + noise
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def _outline(name: str) -> list[tuple[float, float]]:
    """The corners of a shape within a circle of radius 1."""
    if name == "triangle":
        return [(math.sin(2 * math.pi * k / 3), -math.cos(2 * math.pi * k / 3)) for k in range(3)]
    if name == "star":
        radii = [1.0 if k % 2 == 0 else 0.42 for k in range(10)]
        return [(r * math.sin(math.pi * k / 5), -r * math.cos(math.pi * k / 5)) for k, r in enumerate(radii)]
    if name == "cross":
        arm = 0.3
        return [
            (-arm, -0.95), (arm, -0.95), (arm, -arm), (0.95, -arm), (0.95, arm), (arm, arm),
            (arm, 0.95), (-arm, 0.95), (-arm, arm), (-0.95, arm), (-0.95, -arm), (-arm, -arm),
        ]  # fmt: skip
    angles = [2 * math.pi * k / 60 for k in range(60)]
    if name == "heart":
        return [
            (math.sin(a) ** 3, -(13 * math.cos(a) - 5 * math.cos(2 * a) - 2 * math.cos(3 * a) - math.cos(4 * a)) / 16)
            for a in angles
        ]
    return [(math.cos(a), math.sin(a)) for a in angles]


def _texture(
    width: int, height: int, kind: int, generator: np.random.Generator, hue: float | None = None
) -> Image.Image:
    """Stripes, checks, spots, rings or clouds of two colours, both random or of about one hue."""
    y, x = np.mgrid[:height, :width]
    angle, period = generator.uniform(0, math.pi), generator.uniform(5, 22)
    along = x * math.cos(angle) + y * math.sin(angle)
    across = -x * math.sin(angle) + y * math.cos(angle)
    waves = (np.sin(2 * math.pi * along / period), np.sin(2 * math.pi * across / period))
    shade: NDArray[np.float64]
    if kind == 0:
        shade = (waves[0] + 1) / 2
    elif kind == 1:
        shade = ((waves[0] > 0) ^ (waves[1] > 0)).astype(np.float64)
    elif kind == 2:
        shade = ((waves[0] + waves[1]) > 0.9).astype(np.float64)
    elif kind == 3:
        shade = (np.sin(2 * math.pi * np.hypot(x - width / 2, y - height / 2) / period) + 1) / 2
    else:
        small = Image.fromarray(generator.integers(0, 256, (6, 6), dtype=np.uint8))
        shade = np.asarray(small.resize((width, height), Image.Resampling.BICUBIC), dtype=np.float64) / 255
    first, second = generator.uniform(0, 255, (2, 3))
    if hue is not None:
        tones = [colorsys.hsv_to_rgb(hue, *generator.uniform((0.3, 0.3), 1.0)) for _ in range(2)]
        first, second = 255 * np.array(tones)
    mixed = first + (second - first) * shade[..., None] * generator.uniform(0.4, 1.0)
    return Image.fromarray(mixed.clip(0, 255).astype(np.uint8))


def _clutter(image: Image.Image, generator: np.random.Generator) -> None:
    draw = ImageDraw.Draw(image)
    for _ in range(int(generator.integers(1, 5))):
        colour = tuple(int(value) for value in generator.integers(0, 256, 3))
        ends = [(float(generator.uniform(0, image.width)), float(generator.uniform(0, image.height))) for _ in range(2)]
        if generator.uniform() < 0.5:
            draw.line(ends, fill=colour, width=int(generator.integers(1, 4)))
        else:
            size = generator.uniform(1, 5)
            (left, top), _ = ends
            draw.ellipse((left, top, left + size, top + size), fill=colour)
