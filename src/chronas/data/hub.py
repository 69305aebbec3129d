"""CIFAR-10 and CIFAR-100 from the Hugging Face hub, through the package `datasets` (extra `hub`)."""

from __future__ import annotations

from typing import Any

import torch

from chronas.data.decode import decode
from chronas.data.images import Images
from chronas.data.sources import Source
from chronas.errors import DataError, MissingExtraError
from chronas.progress import Progress


def read_cifar10(progress: Progress) -> Source:
    """CIFAR-10 as uoft-cs/cifar10; raises as `_read`."""
    return _read("uoft-cs/cifar10", "img", "label", progress)


def read_cifar100(progress: Progress) -> Source:
    """CIFAR-100 with its 100 fine classes, as uoft-cs/cifar100; raises as `_read`."""
    return _read("uoft-cs/cifar100", "img", "fine_label", progress)


def _read(repository: str, image: str, label: str, progress: Progress) -> Source:
    """Both splits of a repository on the hub; the download is kept in the hub's own cache.

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
    return Source(
        _images(parts["train"], image, label, progress), _images(parts["test"], image, label, progress), names
    )


def _images(part: Any, image: str, label: str, progress: Progress) -> Images:
    rows = list(part[image])
    names = [f"{image} of row {number}" for number in range(len(rows))]
    pixels = decode(names, [row["bytes"] for row in rows], progress)
    return Images(pixels, torch.tensor(list(part[label]), dtype=torch.int64))
