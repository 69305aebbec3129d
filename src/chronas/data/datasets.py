"""Data sets from a name in `DATASETS`, a folder, an .npz file, or an object."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch.utils.data import Dataset as TorchDataset

from chronas.data.archive import read_archive
from chronas.data.folder import read_folder
from chronas.data.images import Dataset, RawDataset, limited, split
from chronas.data.parquet import find, read_parquet
from chronas.data.torch_dataset import read_torch
from chronas.errors import DataError, unknown_name
from chronas.progress import Progress, silent
from chronas.registry import Registry

DATASETS = Registry(
    "dataset",
    {
        "digits": "chronas.data.published:read_digits",
        "cifar10": "chronas.data.published:read_cifar10",
        "cifar100": "chronas.data.published:read_cifar100",
    },
)
TEST_SEED = 0  # seed of the test splits that we make: the same images in every run


def load_dataset(
    source: str | Dataset | TorchDataset[Any],
    *,
    test: TorchDataset[Any] | None = None,
    test_share: float = 0.2,
    limit: int | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Dataset:
    """Load a data set and set its test images apart.

    Args:
        source: a name in `DATASETS`; a folder with `train*.parquet` and `test*.parquet` as Hugging Face lays them out;
            a folder with one folder of images for each class, optionally below `train/` and `test/`; or an .npz file
            with `x_train`, `y_train`, `x_test`, `y_test` or `images`, `labels`; or, from Python, a `Dataset`, or a
            `torch.utils.data.Dataset` of images and labels, which is read once into memory (see `read_torch`).
        test: the test images of a `torch.utils.data.Dataset`.
        test_share: share of the images set apart for testing if the source has no test split; the same images in every
            run.
        limit: largest number of training images to keep, in equal proportions of the classes as before; None keeps all.
            All test images are kept.
        seed: selects the training images that `limit` keeps.
        progress: called with the step "read" or "decode".

    Raises:
        UsageError: an unknown name, a share outside 0..1, or a limit that leaves a class empty.
        DataError: files that are missing, damaged, or do not hold images of one size in at least two classes.
        MissingExtraError: the source needs a package that is not installed.
    """
    if isinstance(source, Dataset):
        return limited_dataset(source, limit, seed)
    if isinstance(source, TorchDataset):
        found, name = read_torch(source, test, progress=progress), type(source).__name__
    else:
        entry = DATASETS.get(source)
        if isinstance(entry, Dataset):
            return limited_dataset(entry, limit, seed)
        found, name = _read(source, progress) if entry is None else entry(progress), source
    train, kept = found.train, found.test
    if kept is None:
        train, kept = split(train, test_share, seed=TEST_SEED)
    return limited_dataset(Dataset(name, train, kept, found.class_names), limit, seed)


def limited_dataset(dataset: Dataset, limit: int | None, seed: int = 0) -> Dataset:
    """A data set with at most `limit` training images, with unchanged class proportions; None keeps all.

    Raises:
        UsageError: the limit leaves a class empty.
    """
    if limit is None or limit >= len(dataset.train):
        return dataset
    return Dataset(dataset.name, limited(dataset.train, limit, seed=seed), dataset.test, dataset.class_names)


def _read(source: str, progress: Progress) -> RawDataset:
    path = Path(source)
    if source and path.is_dir():
        return read_parquet(path, progress) if find(path, "train") else read_folder(path, progress)
    if path.is_file():
        return read_archive(path, progress)
    if len(path.parts) > 1 or path.suffix:
        raise DataError(f"there is no data set {source}: give a folder, an .npz file or one of {', '.join(DATASETS)}")
    raise unknown_name("data set", source, DATASETS)
