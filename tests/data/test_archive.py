"""NumPy archives of images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chronas.data import load_dataset
from chronas.errors import DataError

IMAGES = np.random.default_rng(0).integers(0, 256, (12, 5, 6, 3), dtype=np.uint8)
LABELS = np.arange(12) % 3


def save(folder: Path, **arrays: Any) -> str:
    path = folder / "images.npz"
    np.savez(path, **arrays)
    return str(path)


@pytest.mark.parametrize(
    ("images", "shape"),
    [(IMAGES, (3, 5, 6)), (IMAGES.transpose(0, 3, 1, 2), (3, 5, 6)), (IMAGES[..., 0], (1, 5, 6))],
)
def test_all_three_layouts_are_read(tmp_path: Path, images: np.ndarray, shape: tuple[int, int, int]) -> None:
    source = save(tmp_path, x_train=images, y_train=LABELS[:, None], x_test=images[:3], y_test=LABELS[:3])
    dataset = load_dataset(source)
    assert (dataset.shape, dataset.classes, len(dataset.test)) == (shape, 3, 3)
    assert np.array_equal(dataset.train.pixels[7, 0].numpy(), IMAGES[7, :, :, 0])
    assert dataset.train.labels.tolist() == LABELS.tolist()


def test_images_and_labels_alone_are_split(tmp_path: Path) -> None:
    dataset = load_dataset(save(tmp_path, images=IMAGES, labels=LABELS), test_share=0.25)
    assert (len(dataset.train), len(dataset.test)) == (9, 3)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            {"images": IMAGES},
            "must hold the arrays x_train, y_train, x_test, y_test or images, labels, it holds images",
        ),
        ({"images": IMAGES / 255, "labels": LABELS}, "must be uint8"),
        ({"images": IMAGES[..., :2], "labels": LABELS}, "must be uint8"),
        ({"images": IMAGES, "labels": LABELS / 2}, "must be integers"),
        ({"images": IMAGES, "labels": LABELS[:5]}, "one an image"),
        ({"images": IMAGES[:0], "labels": LABELS[:0]}, "empty"),
        ({"images": IMAGES, "labels": LABELS * 0}, "at least two classes"),
        ({"images": IMAGES, "labels": LABELS * 2}, "no training image of class 1"),
    ],
)
def test_wrong_arrays_are_refused(tmp_path: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_dataset(save(tmp_path, **arrays), test_share=0.5)


def test_pickled_objects_are_refused(tmp_path: Path) -> None:
    source = save(tmp_path, images=np.array([{"a": 1}, None], dtype=object), labels=LABELS[:2])
    with pytest.raises(DataError, match="pickled objects, which could run code"):
        load_dataset(source)


def test_a_single_array_is_no_archive(tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", IMAGES)
    with pytest.raises(DataError, match="archive of named arrays"):
        load_dataset(str(tmp_path / "one.npy"))


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_a_damaged_archive_gives_one_line(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.mktemp("damaged") / "images.npz"
    np.savez_compressed(path, images=IMAGES, labels=LABELS)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(0, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        load_dataset(str(path))
    except DataError as error:
        assert "\n" not in str(error)
