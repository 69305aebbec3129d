"""Published data sets: CIFAR-10 and CIFAR-100 from the Hugging Face hub, and scikit-learn's handwritten digits.

CIFAR needs the package `datasets` (extra `hub`). The 1,797 digits of 8x8 grey pixels come with scikit-learn (UCI ML
repository, CC BY 4.0).
"""

from __future__ import annotations

from typing import Any

import torch
from sklearn.datasets import load_digits

from chronas.data.folder import decode
from chronas.data.images import Images, RawDataset
from chronas.errors import DataError, MissingExtraError
from chronas.progress import Progress


def read_cifar10(progress: Progress) -> RawDataset:
    """CIFAR-10 from uoft-cs/cifar10; raises as `_read`."""
    return _read("uoft-cs/cifar10", "img", "label", progress)


def read_cifar100(progress: Progress) -> RawDataset:
    """CIFAR-100 with its 100 fine classes, from uoft-cs/cifar100; raises as `_read`."""
    return _read("uoft-cs/cifar100", "img", "fine_label", progress)


def _read(repository: str, image: str, label: str, progress: Progress) -> RawDataset:
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
    pixels = decode(names, [row["bytes"] for row in rows], progress)
    return Images(pixels, torch.tensor(list(part[label]), dtype=torch.int64))


HIGHEST = 16  # ink levels are 0..16


def read_digits(progress: Progress) -> RawDataset:
    """The digits as 1x8x8 images with ink levels spread over 0..255; they have no test split."""
    bunch = load_digits()
    levels = torch.from_numpy(bunch.images).unsqueeze(1)
    images = Images((levels * 255 / HIGHEST).round().to(torch.uint8), torch.from_numpy(bunch.target).long())
    progress("read", len(images), len(images), "digits")
    return RawDataset(images, None, tuple(str(name) for name in bunch.target_names))
