"""Images with labels, data sets, normalisation, and splits that keep the class proportions.

Letters in shapes: `N` images, `B` images of a batch, `C` channels, `H` height, `W` width.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sized
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from chronas.errors import DataError, UsageError
from chronas.progress import Progress, silent
from chronas.spaces import NetworkSize

LEVELS = 256  # values of an 8-bit pixel
MOST_CLASSES = 100_000


@dataclass(frozen=True, eq=False)
class Images:
    """Decoded images and their labels.

    Attributes:
        pixels: uint8 [N, C, H, W].
        labels: int64 [N], the class number of each image.
    """

    pixels: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        pixels, labels = self.pixels, self.labels
        if pixels.dtype != torch.uint8 or pixels.ndim != 4:
            raise DataError(f"pixels must be uint8 [N, C, H, W], got {_kind(pixels)}: convert them to 0..255 first")
        if labels.dtype != torch.int64 or labels.shape != pixels.shape[:1]:
            raise DataError(f"labels must be int64 [{len(pixels)}], one an image, got {_kind(labels)}")
        if not pixels.numel():
            raise DataError(f"a set of images must not be empty, got {_kind(pixels)}: check the files or the share")

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of one image, in pixels."""
        channels, height, width = self.pixels.shape[1:]
        return channels, height, width

    def subset(self, indices: Tensor) -> Images:
        """A copy of the images with these indices, in this order."""
        return Images(self.pixels[indices], self.labels[indices])

    def checksum(self) -> str:
        """16 hexadecimal digits that change with any pixel, label, shape or order; takes a second for about 1 GB."""
        digest = hashlib.blake2b(repr(tuple(self.pixels.shape)).encode(), digest_size=8)
        for tensor in (self.pixels, self.labels):
            digest.update(np.ascontiguousarray(tensor.numpy()).data)
        return digest.hexdigest()


def _kind(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"


@dataclass(frozen=True)
class Dataset:
    """A data set whose test images are set apart.

    Attributes:
        name: the name that the user gave.
        train: images for search, training and model selection.
        test: images that are used once, at the end.
        class_names: the name of each class, by its number.
        validation: images that choose the checkpoints of trainings; None: a share of the training images does.
        notes: sentences about how the source was read: what was left out or changed.
    """

    name: str
    train: Images
    test: Images
    class_names: tuple[str, ...]
    validation: Images | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.classes < 2:
            raise DataError(f"{self.name} must have at least two classes, got {self.classes}: {self.class_names}")
        for part, images in (("training", self.train), ("test", self.test), ("validation", self.validation)):
            if images is None:
                continue
            if images.shape != self.train.shape:
                raise DataError(f"{self.name} has training images {self.train.shape} but {part} images {images.shape}")
            low, high = int(images.labels.min()), int(images.labels.max())
            if low < 0 or high >= self.classes:
                wrong = low if low < 0 else high
                raise DataError(f"{self.name} has labels 0..{self.classes - 1}, but a {part} image has label {wrong}")
        counts = torch.bincount(self.train.labels, minlength=self.classes)
        if not counts.all():
            missing = self.class_names[int(counts.argmin())]
            raise DataError(f"{self.name} has no training image of class {missing}: use all of 0..classes-1")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of one image, in pixels."""
        return self.train.shape

    @property
    def classes(self) -> int:
        """The number of classes."""
        return len(self.class_names)

    def size(self, width: int, depth: int, stem: str = "cifar") -> NetworkSize:
        """The size of a network for these images.

        Args:
            width: channels of the first cells, or of the stem.
            depth: number of cells, see `NetworkScale`.
            stem: one of the stems that the space has.
        """
        return NetworkSize(input_shape=self.shape, outputs=self.classes, width=width, depth=depth, stem=stem)

    def __repr__(self) -> str:
        shape = "x".join(map(str, self.shape))
        return f"Dataset({self.name}: {len(self.train)} training and {len(self.test)} test images of {shape})"


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation of each channel, for pixels in 0..1.

    Attributes:
        mean: subtracted from each channel.
        std: divisor of each channel.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def of(cls, images: Images) -> Normalisation:
        """The exact mean and standard deviation of each channel; a constant channel is divided by one."""
        levels = np.arange(LEVELS) / (LEVELS - 1)
        means, stds = [], []
        for channel in images.pixels.unbind(dim=1):
            share = torch.bincount(channel.flatten(), minlength=LEVELS).numpy() / channel.numel()
            mean = float(share @ levels)
            means.append(mean)
            stds.append(float(share @ (levels - mean) ** 2) ** 0.5 or 1.0)
        return cls(tuple(means), tuple(stds))

    def __call__(self, pixels: Tensor) -> Tensor:
        """Normalise uint8 `pixels` to float32 [B, C, H, W] with mean 0 and deviation 1."""
        scale = torch.tensor(self.std, dtype=torch.float64, device=pixels.device).reciprocal() / (LEVELS - 1)
        shift = torch.tensor(self.mean, dtype=torch.float64, device=pixels.device) * (LEVELS - 1) * scale
        return pixels.float().mul_(scale.float().view(-1, 1, 1)).sub_(shift.float().view(-1, 1, 1))


def numbered_classes(train: Tensor, *others: Tensor) -> tuple[tuple[str, ...], list[Tensor]]:
    """Classes of labels that are any whole numbers: each different training label is a class, in their order.

    Args:
        train: int64 [N], labels of the training images.
        others: labels of other images, whose classes must be among those.

    Returns:
        The classes' names, which are the labels as texts; and the labels as numbers of classes 0, 1, ..., in order.

    Raises:
        DataError: a label of other images is none of the training images, or there are more than `MOST_CLASSES`.
    """
    values = torch.unique(train)
    if len(values) > MOST_CLASSES:
        raise DataError(
            f"labels have {len(values):,} different values, more than classes can have: they are no classes"
        )
    for labels in others:
        strange = labels[~torch.isin(labels, values)]
        if len(strange):
            known = ", ".join(map(str, values[:5].tolist())) + (", ..." if len(values) > 5 else "")
            raise DataError(f"an image has label {int(strange[0])}, which the training images lack: they have {known}")
    return tuple(map(str, values.tolist())), [torch.searchsorted(values, labels) for labels in (train, *others)]


def stratified_order(labels: Tensor, seed: int) -> NDArray[np.int64]:
    """All image indices [N] in a random order; every prefix keeps the class proportions."""
    generator = np.random.default_rng(seed)
    shuffled = generator.permutation(len(labels))
    drawn = labels.numpy()[shuffled]
    place = np.empty(len(drawn))
    for label in np.unique(drawn):
        members = np.flatnonzero(drawn == label)
        place[members] = (np.arange(len(members)) + 0.5) / len(members)
    return np.asarray(shuffled[np.argsort(place, kind="stable")])


def split(images: Images, share: float, *, seed: int) -> tuple[Images, Images]:
    """Two disjoint parts with each class in both: the rest, and about `share` of the images.

    Raises:
        UsageError: `share` is not between 0 and 1.
        DataError: a class has too few images to be in both parts.
    """
    if not isinstance(share, float | int) or not 0.0 < share < 1.0:
        raise UsageError(f"the share of a split must lie between 0 and 1, got {share}")
    order = torch.from_numpy(stratified_order(images.labels, seed))
    count = round(share * len(images))
    taken, kept = order[:count].sort().values, order[count:].sort().values
    for label, total in zip(*np.unique(images.labels.numpy(), return_counts=True), strict=True):
        inside = int((images.labels[taken] == int(label)).sum())
        if inside in (0, total):
            raise DataError(f"class {label} has {total} images: too few for a split with a share of {share}")
    return images.subset(kept), images.subset(taken)


def limited(images: Images, limit: int, *, seed: int) -> Images:
    """At most `limit` images with unchanged class proportions; with the same seed, a larger limit includes a smaller
    one's.

    Raises:
        UsageError: `limit` leaves a class without an image.
    """
    order = torch.from_numpy(stratified_order(images.labels, seed))
    present, wanted = (len(np.unique(labels)) for labels in (images.labels[order[: max(limit, 0)]], images.labels))
    if present < wanted:
        raise UsageError(f"a limit of {limit} images leaves {wanted - present} of {wanted} classes empty: raise it")
    return images.subset(order[:limit].sort().values)


def equal_images(first: Images, second: Images) -> int:
    """The number of images of `second` that are also in `first`, pixel by pixel."""
    if first.shape != second.shape:
        return 0
    known = {_digest(image) for image in first.pixels}
    return sum(_digest(image) in known for image in second.pixels)


def _digest(image: Tensor) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(image.numpy()).data, digest_size=16).digest()


@dataclass(frozen=True)
class RawDataset:
    """The content of an image source, before the test split is made and checked.

    Attributes:
        train: the training images, or all images if the source has no test split.
        test: the source's own test split, or None.
        class_names: the name of each class, by its number.
        validation: the source's own validation split, or None.
        notes: sentences about how it was read.
    """

    train: Images
    test: Images | None
    class_names: tuple[str, ...]
    validation: Images | None = None
    notes: tuple[str, ...] = ()


# ----
# Images of a `torch.utils.data.Dataset`, such as torchvision's or a user's own, read once into memory.


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
    first, second = parts
    assert first is not None
    names = class_names or tuple(map(str, getattr(train, "classes", ())))
    if not names:
        others = [] if second is None else [second.labels]
        names, labels = numbered_classes(first.labels, *others)
        first = Images(first.pixels, labels[0])
        second = None if second is None else Images(second.pixels, labels[1])
    return RawDataset(first, second, names)


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
        if abs(labels[-1]) >= 2**62:
            raise DataError(f"the label of item {number} of the {what} dataset is no class's number: {labels[-1]}")
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
