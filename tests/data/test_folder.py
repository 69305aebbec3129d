"""Folders of images, one a class."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from chronas.data import load_dataset
from chronas.errors import DataError
from chronas.names import printable


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


def test_photos_of_several_sizes_are_read_and_it_is_said(parted: Path) -> None:
    put(parted / "train" / "dog" / "large.png", 0, side=9)
    dataset = load_dataset(str(parted))
    assert dataset.shape == (1, 4, 4)
    assert "images have several sizes (12 of 4x4, 1 of 9x9)" in dataset.notes[0]
    assert load_dataset(str(parted), image_size=8).shape == (1, 8, 8)


@pytest.mark.parametrize("names", [("Training", "Testing"), ("TRAIN", "Test"), ("train", "test")])
@pytest.mark.parametrize("validation", ["", "val", "Valid", "validation"])
def test_splits_are_known_by_their_names(names: tuple[str, str], validation: str, tmp_path: Path) -> None:
    for number, part in enumerate([*names, *([validation] if validation else [])]):
        for image in range(3):
            put(tmp_path / part / "cat" / f"{image}.png", 10 * number + image)
            put(tmp_path / part / "dog" / f"{image}.png", 100 + 10 * number + image)
    dataset = load_dataset(str(tmp_path))
    assert (dataset.class_names, len(dataset.train), len(dataset.test)) == (("cat", "dog"), 6, 6)
    assert (dataset.validation is not None) is bool(validation)
    assert ("the validation images choose the checkpoints of trainings" in dataset.notes) is bool(validation)


def test_a_class_that_is_called_train_is_a_class(tmp_path: Path) -> None:
    for name in ("train", "car"):
        for image in range(5):
            put(tmp_path / name / f"{image}.png", image)
    assert load_dataset(str(tmp_path)).class_names == ("car", "train")


def test_labels_may_lie_in_a_file_beside_the_images(tmp_path: Path) -> None:
    for part, count in (("train", 6), ("test", 2)):
        rows = ["file_name,label"]
        for image in range(count):
            put(tmp_path / part / f"{image}.png", image)
            rows.append(f"{image}.png,{('vertical', 'horizontal')[image % 2]}")
        (tmp_path / part / "metadata.csv").write_text("\n".join(rows) + "\n")
    put(tmp_path / "train" / "unlisted.png", 9)
    dataset = load_dataset(str(tmp_path))
    assert dataset.class_names == ("horizontal", "vertical")
    assert dataset.train.labels.tolist() == [1, 0] * 3 and dataset.test.labels.tolist() == [1, 0]
    assert "left out: 1 images that train/metadata.csv does not list" in dataset.notes


def test_one_file_may_list_all_splits(tmp_path: Path) -> None:
    rows = ["file_name;class;split"]
    for image in range(8):
        put(tmp_path / "images" / f"{image}.png", image)
        rows.append(f"images/{image}.png;{image % 2 + 9};{'test' if image > 5 else 'train'}")
    (tmp_path / "metadata.csv").write_text("\n".join(rows) + "\n")
    dataset = load_dataset(str(tmp_path))
    assert (dataset.class_names, len(dataset.train), len(dataset.test)) == (("9", "10"), 6, 2)


@pytest.mark.parametrize("name", ["../outside.png", "/etc/passwd", "absent.png"])
def test_a_list_of_labels_does_not_leave_its_folder(name: str, tmp_path: Path) -> None:
    put(tmp_path / "outside.png", 1)
    for image in range(4):
        put(tmp_path / "data" / f"{image}.png", image)
    rows = [f"{image}.png,{image % 2}" for image in range(4)]
    (tmp_path / "data" / "metadata.csv").write_text("\n".join(["file_name,label", *rows, f"{name},1"]))
    with pytest.raises(DataError, match="no image in its folder"):
        load_dataset(str(tmp_path / "data"))


def test_hidden_things_are_left_out_at_every_depth(parted: Path) -> None:
    put(parted / "train" / "cat" / ".ipynb_checkpoints" / "0-checkpoint.png", 0)
    put(parted / "train" / "dog" / "old" / ".thumbs" / "1.png", 0)
    put(parted / "train" / "dog" / "._1.png", 0)
    put(parted / "__MACOSX" / "cat" / "1.png", 0)
    dataset = load_dataset(str(parted))
    assert (len(dataset.train), len(dataset.test)) == (8, 4)
    assert {"left out: 3 hidden folders", "left out: 1 hidden files"} <= set(dataset.notes)


def test_other_files_are_counted_by_their_ending(parted: Path) -> None:
    for number in range(3):
        (parted / "train" / "cat" / f"{number}.heic").write_bytes(b"photo")
    Image.new("L", (4, 4)).save(parted / "train" / "cat" / "old.jfif", "JPEG")
    dataset = load_dataset(str(parted))
    assert len(dataset.train) == 9
    assert "left out: 3 files that end in .heic" in dataset.notes


def test_linked_folders_are_read_once(parted: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    put(elsewhere / "5.png", 5)
    (parted / "train" / "cat" / "more").symlink_to(elsewhere, target_is_directory=True)
    (parted / "train" / "cat" / "self").symlink_to(parted / "train" / "cat", target_is_directory=True)
    assert len(load_dataset(str(parted)).train) == 9


def test_equal_images_in_two_splits_are_told(parted: Path) -> None:
    assert "4 of 4 test images are also among the training images" in load_dataset(str(parted)).notes


def test_images_without_a_class_are_told(parted: Path) -> None:
    for child in ("cat", "dog"):
        for path in (parted / "test" / child).iterdir():
            path.rename(parted / "test" / f"{child}-{path.name}")
        (parted / "test" / child).rmdir()
    dataset = load_dataset(str(parted))
    assert (len(dataset.train), len(dataset.test)) == (6, 2)
    assert dataset.notes == (
        "test has 4 images that lie in no folder of a class: they have no labels and are not read",
        "there is no test split: 20% of the training images are set apart for testing",
    )


def test_a_name_that_is_no_utf8_is_refused_when_the_data_is_read(tmp_path: Path) -> None:
    for name in (b"caf\xe9", b"th\xe9"):
        for image in range(4):
            put(tmp_path / os.fsdecode(name) / f"{image}.png", image)
    with pytest.raises(DataError, match="a class's name should be up to 120 printable characters") as caught:
        load_dataset(str(tmp_path))
    printable(str(caught.value)).encode()


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
