"""Folders of images, one a class."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from chronas.data import load_dataset
from chronas.errors import DataError


def put(path: Path, level: int, side: int = 4) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((side, side), level, dtype=np.uint8)).save(path)


@pytest.fixture
def parted(tmp_path: Path) -> Path:
    for part, count in (("train", 4), ("test", 2)):
        for number in range(count):
            put(tmp_path / part / "cat" / f"{number}.png", number)
            put(tmp_path / part / "dog" / f"{number}.PNG", 100 + number)
    return tmp_path


def test_train_and_test_folders_are_kept_apart(parted: Path) -> None:
    (parted / "train" / "cat" / "notes.txt").write_text("not an image")
    (parted / "train" / ".cache").mkdir()
    dataset = load_dataset(str(parted))
    assert (dataset.class_names, dataset.shape, len(dataset.train), len(dataset.test)) == (
        ("cat", "dog"),
        (1, 4, 4),
        8,
        4,
    )
    assert ((dataset.train.pixels[:, 0, 0, 0] >= 100) == (dataset.train.labels == 1)).all()


def test_without_train_and_test_a_part_is_set_apart(parted: Path) -> None:
    dataset = load_dataset(str(parted / "train"), test_share=0.25)
    assert (len(dataset.train), len(dataset.test), dataset.test.labels.tolist()) == (6, 2, [0, 1])


def test_one_class_is_refused(tmp_path: Path) -> None:
    put(tmp_path / "cat" / "0.png", 0)
    with pytest.raises(DataError, match=r"at least two classes, got one \(cat\)"):
        load_dataset(str(tmp_path))


def test_an_unreadable_image_is_named(parted: Path) -> None:
    (parted / "train" / "dog" / "bad.jpg").write_bytes(b"\xff\xd8\xff junk")
    with pytest.raises(DataError, match=r"dog/bad\.jpg cannot be read"):
        load_dataset(str(parted))


def test_mixed_sizes_are_counted(parted: Path) -> None:
    put(parted / "train" / "dog" / "large.png", 0, side=9)
    with pytest.raises(DataError, match=r"8 of 4x4, 1 of 9x9 .*large\.png"):
        load_dataset(str(parted))


def test_test_images_of_another_size_are_refused(parted: Path) -> None:
    for path in (parted / "test").rglob("*.*"):
        put(path, 0, side=6)
    with pytest.raises(DataError, match=r"\(1, 4, 4\) but test images \(1, 6, 6\)"):
        load_dataset(str(parted))


def test_a_class_without_images_is_refused(parted: Path) -> None:
    (parted / "train" / "emu").mkdir()
    with pytest.raises(DataError, match="emu holds no image"):
        load_dataset(str(parted))


def test_a_test_class_that_training_lacks_is_refused(parted: Path) -> None:
    put(parted / "test" / "emu" / "0.png", 0)
    with pytest.raises(DataError, match="emu is a class that the training images lack"):
        load_dataset(str(parted))


def test_an_empty_test_folder_is_refused(parted: Path) -> None:
    for path in (parted / "test").rglob("*.*"):
        path.unlink()
    for child in (parted / "test").iterdir():
        child.rmdir()
    with pytest.raises(DataError, match="test holds no images"):
        load_dataset(str(parted))
