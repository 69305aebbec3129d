"""Where images come from: a name in `SOURCES`, a folder, or an .npz file."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

from chronas.data.archive import read_archive
from chronas.data.folder import read_folder
from chronas.data.images import Dataset, RawDataset, limited, split
from chronas.data.parquet import find, read_parquet
from chronas.errors import DataError, unknown_name
from chronas.progress import Progress, silent

SOURCES = {
    "digits": "chronas.data.published:read_digits",
    "cifar10": "chronas.data.published:read_cifar10",
    "cifar100": "chronas.data.published:read_cifar100",
}
TEST_SEED = 0  # of test splits that we make: the same images in every run, whatever the run's seed


def load_dataset(
    source: str,
    *,
    test_share: float = 0.2,
    limit: int | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Dataset:
    """Load a data set with its test images set apart.

    Args:
        source: a name in `SOURCES`; a folder with `train*.parquet` and `test*.parquet` as Hugging Face lays them out;
            a folder with one folder of images a class, optionally below `train/` and `test/`; or an .npz file with
            `x_train`, `y_train`, `x_test`, `y_test` or `images`, `labels`.
        test_share: share of the images set apart where the source has no test split; the same ones in every run.
        limit: the most training images to keep, each class in its share; None keeps all. The test images stay whole.
        seed: of the training images that `limit` keeps.
        progress: called with the step "read" or "decode".

    Raises:
        UsageError: an unknown name, a share outside 0..1, or a limit that leaves a class empty.
        DataError: files that are missing, damaged, or do not hold images of one size in at least two classes.
        MissingExtraError: the source needs a package that is not installed.
    """
    found = _read(source, progress)
    train, test = found.train, found.test
    if test is None:
        train, test = split(train, test_share, seed=TEST_SEED)
    whole = Dataset(source, train, test, found.class_names)
    if limit is None or limit >= len(train):
        return whole
    return Dataset(source, limited(train, limit, seed=seed), test, found.class_names)


def _read(source: str, progress: Progress) -> RawDataset:
    if source in SOURCES:
        module, _, attribute = SOURCES[source].partition(":")
        read: Callable[[Progress], RawDataset] = getattr(importlib.import_module(module), attribute)
        return read(progress)
    path = Path(source)
    if source and path.is_dir():
        return read_parquet(path, progress) if find(path, "train") else read_folder(path, progress)
    if path.is_file():
        return read_archive(path, progress)
    if len(path.parts) > 1 or path.suffix:
        raise DataError(f"there is no data set {source}: give a folder, an .npz file or one of {', '.join(SOURCES)}")
    raise unknown_name("data set", source, SOURCES)
