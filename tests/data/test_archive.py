"""NumPy archives of images."""

from __future__ import annotations

import io
import zipfile
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
            "must hold the arrays x_train, y_train or train_images, train_labels or images, labels, it holds images",
        ),
        ({"images": IMAGES / 100, "labels": LABELS}, "must be uint8"),
        ({"images": IMAGES.astype(float) - 3, "labels": LABELS}, "from -3 to"),
        (
            {"images": IMAGES[:, :3, :, :3].transpose(0, 1, 2, 3), "labels": LABELS},
            "may be .N, C, H, W. or .N, H, W, C.",
        ),
        ({"x_train": IMAGES, "y_train": LABELS, "x_test": IMAGES}, "x_test without the array that belongs to it"),
        ({"images": IMAGES[..., :2], "labels": LABELS}, "must be uint8"),
        ({"images": IMAGES, "labels": LABELS / 2}, "must be integers .N. or one-hot"),
        ({"images": IMAGES, "labels": LABELS[:5]}, "one an image"),
        ({"images": IMAGES[:0], "labels": LABELS[:0]}, "empty"),
        ({"images": IMAGES, "labels": LABELS * 0}, "at least two classes"),
        ({"x_train": IMAGES, "y_train": LABELS, "x_test": IMAGES, "y_test": LABELS + 1}, "label 3, which the training"),
    ],
)
def test_wrong_arrays_are_refused(tmp_path: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_dataset(save(tmp_path, **arrays), test_share=0.5)


@pytest.mark.parametrize(
    ("images", "labels", "names"),
    [
        (IMAGES, LABELS + 1, ("1", "2", "3")),
        (IMAGES, LABELS - 1, ("-1", "0", "1")),
        (IMAGES, LABELS * 1_000_000_000, ("0", "1000000000", "2000000000")),
        (IMAGES, np.eye(3, dtype=np.uint8)[LABELS], ("0", "1", "2")),
        (IMAGES, LABELS.astype(">i8"), ("0", "1", "2")),
        ((IMAGES / 255).astype(np.float32), LABELS, ("0", "1", "2")),
        (IMAGES.astype(np.int64), LABELS, ("0", "1", "2")),
        (np.asfortranarray(IMAGES), LABELS, ("0", "1", "2")),
    ],
    ids=["from 1", "from -1", "far apart", "one-hot", "big-endian", "floats", "integers", "fortran"],
)
def test_what_is_plainly_meant_is_read(
    tmp_path: Path, images: np.ndarray, labels: np.ndarray, names: tuple[str, ...]
) -> None:
    dataset = load_dataset(save(tmp_path, images=images, labels=labels), test_share=0.25)
    plain = load_dataset(save(tmp_path, images=IMAGES, labels=LABELS), test_share=0.25)
    assert dataset.class_names == names
    assert dataset.train.checksum() == plain.train.checksum()


def test_medmnist_is_read_with_its_validation_images(tmp_path: Path) -> None:
    parts = {"train": slice(0, 6), "val": slice(6, 9), "test": slice(9, 12)}
    arrays = {f"{part}_images": IMAGES[rows] for part, rows in parts.items()}
    arrays |= {f"{part}_labels": LABELS[rows, None] for part, rows in parts.items()}
    dataset = load_dataset(save(tmp_path, **arrays))
    assert dataset.validation is not None
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (6, 3, 3)
    assert "the validation images choose the checkpoints of trainings" in dataset.notes
    assert np.array_equal(dataset.validation.pixels[0, 0].numpy(), IMAGES[6, :, :, 0])


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": (10**7, 100, 100, 3)}
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("images.npy", header.getvalue())
    with pytest.raises(DataError, match="unpacks to 279 GiB, at most 16 are read"):
        load_dataset(str(path))


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
