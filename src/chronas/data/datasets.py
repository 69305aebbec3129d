"""Data sets from a name in `DATASETS`, a folder, an .npz file, or an object."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from sklearn.datasets import load_digits
from torch.utils.data import Dataset as TorchDataset

from chronas.arguments import checked, path_of, seed_of, whole
from chronas.data.archive import read_archive
from chronas.data.decoding import decode, resized
from chronas.data.folder import read_folder
from chronas.data.images import Dataset, Images, RawDataset, equal_images, limited, read_torch, split
from chronas.data.parquet import find, read_parquet
from chronas.errors import DataError, MissingExtraError, unknown_name
from chronas.progress import Progress, silent
from chronas.registry import Registry

DATASETS = Registry(
    "dataset",
    {
        "digits": "chronas.data.datasets:read_digits",
        "shapes": "chronas.data.shapes:read_shapes",
        "cifar10": "chronas.data.datasets:read_cifar10",
        "cifar100": "chronas.data.datasets:read_cifar100",
    },
)
TEST_SEED = 0  # seed of the test splits that we make: the same images in every run


@checked
def load_dataset(
    source: str | Path | Dataset | TorchDataset[Any],
    *,
    test: TorchDataset[Any] | None = None,
    test_share: float = 0.2,
    limit: int | None = None,
    image_size: int | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Dataset:
    """Load a data set and set its test images apart.

    Args:
        source: a name in `DATASETS`; a folder of images, see `data.folder`; a folder of Parquet files, see
            `data.parquet`; an .npz file, see `data.archive`; or, from Python, a `Dataset`, or a
            `torch.utils.data.Dataset` of images and labels, which is read once into memory (see `read_torch`).
        test: the test images of a `torch.utils.data.Dataset`.
        test_share: share of the images set apart for testing if the source has no test split; the same images in every
            run.
        limit: largest number of training images to keep, in equal proportions of the classes as before; None keeps all.
            All test images are kept.
        image_size: pixels of a side: the shorter side of each image is scaled to it, and the middle square is kept.
            None: images of one size stay as they are.
        seed: selects the training images that `limit` keeps.
        progress: called with the step "read" or "decode".

    Raises:
        UsageError: an unknown name, a share outside 0..1, or a limit that leaves a class empty.
        DataError: files that are missing, damaged, or do not hold images of one size in at least two classes.
        MissingExtraError: the source needs a package that is not installed.
    """
    limit = None if limit is None else whole(limit, "limit", 1)
    seed = seed_of(seed)
    side = None if image_size is None else whole(image_size, "image_size", 4, 1024)
    if isinstance(source, Dataset):
        return limited_dataset(_resized(source, side), limit, seed)
    if isinstance(source, TorchDataset):
        found, name = read_torch(source, test, progress=progress), type(source).__name__
    else:
        source = str(source)
        entry = DATASETS.get(source)
        if isinstance(entry, Dataset):
            return limited_dataset(_resized(entry, side), limit, seed)
        found, name = _read(source, progress, side) if entry is None else entry(progress), source
    train, kept, notes = found.train, found.test, list(found.notes)
    if found.validation is not None:
        notes.append("the validation images choose the checkpoints of trainings")
    if kept is None:
        train, kept = split(train, test_share, seed=TEST_SEED)
        notes.append(f"there is no test split: {test_share:.0%} of the training images are set apart for testing")
    shared = equal_images(train, kept)
    if shared:
        notes.append(f"{shared} of {len(kept)} test images are also among the training images")
    dataset = Dataset(name, train, kept, found.class_names, found.validation, tuple(notes))
    return limited_dataset(_resized(dataset, side), limit, seed)


def _resized(dataset: Dataset, side: int | None) -> Dataset:
    """The data set with square images of a side, or unchanged."""
    if side is None or dataset.shape[1:] == (side, side):
        return dataset
    given = (dataset.train, dataset.test, dataset.validation)
    train, test, validation = (
        None if images is None else Images(resized(images.pixels, side), images.labels) for images in given
    )
    assert train is not None and test is not None
    return replace(dataset, train=train, test=test, validation=validation)


def limited_dataset(dataset: Dataset, limit: int | None, seed: int = 0) -> Dataset:
    """A data set with at most `limit` training images, with unchanged class proportions; None keeps all.

    Raises:
        UsageError: the limit leaves a class empty.
    """
    if limit is None or limit >= len(dataset.train):
        return dataset
    return replace(dataset, train=limited(dataset.train, limit, seed=seed))


def _read(source: str, progress: Progress, side: int | None) -> RawDataset:
    path = path_of(source, "the data set")
    if path.is_dir():
        read = read_parquet if find(path) else read_folder
        return read(path, progress, side=side)
    if path.is_file():
        return read_archive(path, progress, side=side)
    if len(path.parts) > 1 or path.suffix:
        raise DataError(f"there is no data set {source}: give a folder, an .npz file or one of {', '.join(DATASETS)}")
    raise unknown_name("data set", source, DATASETS)


# ----
# Published data sets: CIFAR-10 and CIFAR-100 from the Hugging Face hub, and scikit-learn's handwritten digits.
#
# CIFAR needs the package `datasets` (extra `hub`). The 1,797 digits of 8x8 grey pixels come with scikit-learn (UCI ML
# repository, CC BY 4.0).


def read_cifar10(progress: Progress) -> RawDataset:
    """CIFAR-10 from uoft-cs/cifar10; raises as `_read`."""
    return _download("uoft-cs/cifar10", "img", "label", progress)


def read_cifar100(progress: Progress) -> RawDataset:
    """CIFAR-100 with its 100 fine classes, from uoft-cs/cifar100; raises as `_read`."""
    return _download("uoft-cs/cifar100", "img", "fine_label", progress)


def _download(repository: str, image: str, label: str, progress: Progress) -> RawDataset:
    """Both splits of a repository on the hub; the hub's own cache keeps the download.

    Raises:
        MissingExtraError: the package `datasets` is not installed.
        DataError: the hub cannot be reached.
    """
    try:
        import datasets
    except ImportError as error:
        what = f"{repository} from the hub needs the package datasets"
        advice = "pip install 'chronas[hub]', or give a folder with train.parquet and test.parquet"
        raise MissingExtraError(f"{what}: {advice}") from error
    try:
        found = datasets.load_dataset(repository)
    except OSError as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(
            f"cannot get {repository} from the hub ({reason}): check the network, or give a folder"
        ) from error
    parts = {part: found[part].cast_column(image, datasets.Image(decode=False)) for part in ("train", "test")}
    names = tuple(parts["train"].features[label].names)
    return RawDataset(
        _images(parts["train"], image, label, progress), _images(parts["test"], image, label, progress), names
    )


def _images(part: Any, image: str, label: str, progress: Progress) -> Images:
    rows = list(part[image])
    names = [f"{image} of row {number}" for number in range(len(rows))]
    pixels = decode(names, [row["bytes"] for row in rows], progress).pixels
    return Images(pixels, torch.tensor(list(part[label]), dtype=torch.int64))


HIGHEST = 16  # ink levels are 0..16


def read_digits(progress: Progress) -> RawDataset:
    """The digits as 1x8x8 images with ink levels spread over 0..255; they have no test split."""
    bunch = load_digits()
    levels = torch.from_numpy(bunch.images).unsqueeze(1)
    images = Images((levels * 255 / HIGHEST).round().to(torch.uint8), torch.from_numpy(bunch.target).long())
    progress("read", len(images), len(images), "digits")
    return RawDataset(images, None, tuple(str(name) for name in bunch.target_names))
