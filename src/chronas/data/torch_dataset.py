"""Images of a `torch.utils.data.Dataset`, such as torchvision's or a user's own, read once into memory."""

from __future__ import annotations

from collections.abc import Sized
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from chronas.data.images import LEVELS, Images, RawDataset
from chronas.errors import DataError
from chronas.progress import Progress, silent


def read_torch(
    train: TorchDataset[Any],
    test: TorchDataset[Any] | None = None,
    class_names: tuple[str, ...] | None = None,
    progress: Progress = silent,
) -> RawDataset:
    """The images of a dataset that can be indexed.

    Args:
        train: gives (image, label) for each number below its length. An image is a PIL image, uint8 [H, W, C] as a
            numpy array, uint8 [C, H, W] as a tensor, or floats of these shapes in 0..1; all are of one size. A label is
            the number of a class. Leave random augmentation to chronas.
        test: the same for test images; None: some training images are set apart for testing.
        class_names: names of the classes in order; None: the dataset's `classes` if it has them, else the numbers.
        progress: called with the step "read".

    Raises:
        DataError: an item has another form, images have several sizes, or labels are not integers.
    """
    parts = [
        None if each is None else _images(each, what, progress) for each, what in ((train, "train"), (test, "test"))
    ]
    names = class_names or tuple(map(str, getattr(train, "classes", ())))
    if not names:
        highest = max(int(images.labels.max()) for images in parts if images is not None)
        names = tuple(map(str, range(highest + 1)))
    assert parts[0] is not None
    return RawDataset(parts[0], parts[1], names)


def _images(dataset: TorchDataset[Any], what: str, progress: Progress) -> Images:
    if not isinstance(dataset, Sized):
        raise DataError(f"the {what} dataset should have a length and items by number, got {type(dataset).__name__}")
    pixels: list[Tensor] = []
    labels: list[int] = []
    for number in range(len(dataset)):
        item = dataset[number]
        if not isinstance(item, tuple | list) or len(item) != 2:
            raise DataError(f"item {number} of the {what} dataset should be (image, label), got {type(item).__name__}")
        image, label = item
        if isinstance(label, bool) or not isinstance(label, int | np.integer | Tensor) or int(label) != label:
            raise DataError(
                f"the label of item {number} of the {what} dataset should be a class's number, got {label!r}"
            )
        pixels.append(_pixels(image, number, what))
        labels.append(int(label))
        if pixels[-1].shape != pixels[0].shape:
            raise DataError(
                f"images should be of one size, but item {number} of the {what} dataset is {tuple(pixels[-1].shape)} "
                f"and the first {tuple(pixels[0].shape)}: resize them in the dataset"
            )
        progress("read", number + 1, len(dataset), f"{what} images")
    if not pixels:
        raise DataError(f"the {what} dataset is empty")
    return Images(torch.stack(pixels), torch.tensor(labels, dtype=torch.int64))


def _pixels(image: Any, number: int, what: str) -> Tensor:
    """uint8 [C, H, W]."""
    if isinstance(image, Image.Image):
        image = np.asarray(image if image.mode in ("L", "RGB") else image.convert("RGB"))
    if isinstance(image, np.ndarray):
        array = torch.from_numpy(np.ascontiguousarray(image))
        image = array.unsqueeze(0) if array.ndim == 2 else array.permute(2, 0, 1) if array.ndim == 3 else array
    if not isinstance(image, Tensor) or image.ndim != 3:
        got = tuple(image.shape) if isinstance(image, Tensor) else type(image).__name__
        raise DataError(f"item {number} of the {what} dataset should be one image [C, H, W], got {got}")
    if image.dtype == torch.uint8:
        return image.clone()
    if image.is_floating_point() and float(image.min()) >= 0 and float(image.max()) <= 1:
        return (image * (LEVELS - 1)).round().to(torch.uint8)
    raise DataError(
        f"item {number} of the {what} dataset should be uint8 or floats in 0..1, got {image.dtype} from "
        f"{float(image.min()):g} to {float(image.max()):g}: leave normalising to chronas"
    )
