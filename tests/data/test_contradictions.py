"""Folders whose splits or labels contradict themselves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from chronas.data import load_dataset
from chronas.errors import DataError


def image(path: Path, number: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(number).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def metadata(folder: Path, rows: list[tuple[str, str, str]]) -> Path:
    for number in range(8):
        image(folder / f"{number}.png", number)
    lines = ["file_name,label,split", *(",".join(row) for row in rows)]
    (folder / "metadata.csv").write_text("\n".join(lines) + "\n")
    return folder


def test_an_unknown_split_is_no_training_image(tmp_path: Path) -> None:
    rows = [(f"{number}.png", "ab"[number % 2], "train" if number < 6 else "holdout") for number in range(8)]
    with pytest.raises(DataError, match="has the split 'holdout', which is none of"):
        load_dataset(str(metadata(tmp_path, rows)))


def test_one_file_of_two_classes_is_refused(tmp_path: Path) -> None:
    rows = [(f"{number}.png", "ab"[number % 2], "train") for number in range(8)]
    with pytest.raises(DataError, match="gives '3.png' the classes b and a: keep one"):
        load_dataset(str(metadata(tmp_path, [*rows, ("3.png", "a", "train")])))


def test_two_folders_of_one_split_are_refused(tmp_path: Path) -> None:
    for number, name in enumerate(("train/a", "train/b", "Training/b", "Training/c")):
        image(tmp_path / name / "x.png", number)
    with pytest.raises(DataError, match="Training and train, which both are its train split"):
        load_dataset(str(tmp_path))


@pytest.mark.parametrize("labels", [[0, 1, 0, 1], ["a", "b", "a", "b"]], ids=["numbers", "texts"])
def test_shards_with_labels_of_two_kinds_are_refused(labels: list[object], tmp_path: Path) -> None:
    for number in range(4):
        image(tmp_path / "raw" / f"{number}.png", number)
    images = [{"bytes": (tmp_path / "raw" / f"{n}.png").read_bytes(), "path": f"{n}.png"} for n in range(4)]
    (tmp_path / "hub").mkdir()
    other = ["a", "b", "a", "b"] if isinstance(labels[0], int) else [0, 1, 0, 1]
    for name, kind in (("train", labels), ("test", other)):
        pl.DataFrame({"image": images, "label": kind}).write_parquet(tmp_path / "hub" / f"{name}.parquet")
    with pytest.raises(DataError, match="have both texts and numbers as label"):
        load_dataset(str(tmp_path / "hub"))


def test_a_turned_png_is_read_upright_and_dark_16_bits_are_refused(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    for number in range(20):
        pixels = np.random.default_rng(number).integers(0, 255, (8, 12, 3), dtype=np.uint8)
        path = tmp_path / "turned" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path, exif=exif)
    assert load_dataset(str(tmp_path / "turned")).shape == (3, 12, 8)
    for number in range(4):
        path = tmp_path / "dark" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((np.arange(64).reshape(8, 8) + number).astype(np.uint16)).save(path)
    with pytest.raises(DataError, match="no level above 255, so it would be black"):
        load_dataset(str(tmp_path / "dark"))
