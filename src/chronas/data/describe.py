"""Facts about a data set before any work is done with it, and a picture of some images of each class."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from chronas.data.images import Dataset
from chronas.names import printable

PER_CLASS = 8  # images in a row of the sheet
MOST_ROWS = 100
SIDE = 48  # pixels of an image on the sheet
MARGIN = 4
LABEL = 160  # pixels of a row's name


@dataclass(frozen=True)
class ClassCounts:
    """One class of a data set, with its numbers of images.

    Attributes:
        name: its name.
        train: training images.
        validation: images of the data's own validation split.
        test: test images.
    """

    name: str
    train: int
    validation: int
    test: int


def class_counts(dataset: Dataset) -> list[ClassCounts]:
    """The classes with their numbers of images, in the order of the classes."""
    parts = [None if part is None else part.labels for part in (dataset.train, dataset.validation, dataset.test)]
    counts = [_counts(labels, dataset.classes) for labels in parts]
    return [ClassCounts(name, *(each[k] for each in counts)) for k, name in enumerate(dataset.class_names)]


def largest_share(labels: Tensor) -> float:
    """The share of the largest class in labels [N], in percent: the accuracy of always naming that class."""
    return 100.0 * int(torch.bincount(labels).max()) / len(labels)


def _counts(labels: Tensor | None, classes: int) -> list[int]:
    return [0] * classes if labels is None else torch.bincount(labels, minlength=classes).tolist()


def contact_sheet(dataset: Dataset, rows: int = MOST_ROWS) -> bytes:
    """A PNG image with a row for each class: its name, and its first `PER_CLASS` training images.

    Args:
        dataset: the images; of those with neither one channel nor three, the first channel is shown.
        rows: number of classes, at most.
    """
    names = dataset.class_names[:rows]
    width, step = LABEL + PER_CLASS * (SIDE + MARGIN), SIDE + MARGIN
    sheet = Image.new("RGB", (width + MARGIN, len(names) * step + MARGIN), "white")
    draw = ImageDraw.Draw(sheet)
    for row, name in enumerate(names):
        top = MARGIN + row * step
        text = printable(name).encode("latin-1", "replace").decode("latin-1")  # the built-in font has no more
        draw.text((MARGIN, top + SIDE // 2 - 6), text[:24], fill="black")
        members = torch.nonzero(dataset.train.labels == row).flatten()[:PER_CLASS]
        for column, image in enumerate(dataset.train.pixels[members]):
            sheet.paste(_picture(image), (LABEL + column * step, top))
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    return buffer.getvalue()


def _picture(pixels: Tensor) -> Image.Image:
    array = pixels.numpy()
    picture = Image.fromarray(np.ascontiguousarray(array.transpose(1, 2, 0)) if len(array) == 3 else array[0])
    picture.thumbnail((SIDE, SIDE))
    enlarged = max(picture.size) < SIDE
    scale = SIDE // max(picture.size) if enlarged else 1
    return picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST)
