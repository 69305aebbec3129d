"""Parquet files as Hugging Face lays them out."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from chronas.data import Normalisation, limited, load_dataset
from chronas.errors import DataError


def picture(level: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((4, 4, 3), level, dtype=np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def frame(labels: list[Any], image: str = "img", label: str = "label") -> polars.DataFrame:
    rows = [{"bytes": picture(20 * number), "path": f"{number}.png"} for number in range(len(labels))]
    return polars.DataFrame({image: rows, label: labels})


def write(folder: Path, **parts: polars.DataFrame) -> str:
    folder.mkdir(exist_ok=True, parents=True)
    for name, part in parts.items():
        part.write_parquet(folder / f"{name.replace('_', '-')}.parquet")
    return str(folder)


def test_cifar10_is_read_as_it_lies_there_and_has_the_statistics_that_darts_uses(shared_data: Path) -> None:
    seen: list[tuple[int, int]] = []
    dataset = load_dataset(str(shared_data / "cifar10"), progress=lambda _, done, total, __: seen.append((done, total)))
    assert (len(dataset.train), len(dataset.test), dataset.shape) == (50000, 10000, (3, 32, 32))
    assert dataset.test.labels.bincount().tolist() == [1000] * 10
    assert (50000, 50000) in seen
    raw = polars.read_parquet(shared_data / "cifar10" / "test.parquet")[77, "img"]["bytes"]
    expected = np.asarray(Image.open(io.BytesIO(raw)))
    assert np.array_equal(dataset.test.pixels[77].numpy().transpose(1, 2, 0), expected)
    some = limited(dataset.train, 5000, seed=0)
    assert some.labels.bincount().tolist() == [500] * 10
    normalisation = Normalisation.of(some)
    assert normalisation.mean == pytest.approx((0.4914, 0.4822, 0.4465), abs=0.01)
    assert normalisation.std == pytest.approx((0.2470, 0.2435, 0.2616), abs=0.01)


def test_shards_are_read_in_order_one_level_below_with_the_hubs_names(tmp_path: Path) -> None:
    folder = tmp_path / "plain_text"
    write(folder, train_0=frame([0, 1], "image", "fine_label"), test_0=frame([1], "image", "fine_label"))
    names = {"info": {"features": {"fine_label": {"names": ["apple", "pear"]}}}}
    frame([1, 1, 0], "image", "fine_label").write_parquet(
        folder / "train-0.parquet", metadata={"huggingface": json.dumps(names)}
    )
    frame([0], "image", "fine_label").write_parquet(folder / "train-1.parquet")
    dataset = load_dataset(str(tmp_path))
    assert dataset.class_names == ("apple", "pear")
    assert dataset.train.labels.tolist() == [1, 1, 0, 0]
    assert dataset.train.pixels[:, 0, 0, 0].tolist() == [0, 20, 40, 0]


def test_without_a_test_file_a_part_is_set_apart(tmp_path: Path) -> None:
    dataset = load_dataset(write(tmp_path, train=frame([0, 1] * 5)), test_share=0.4)
    assert (len(dataset.train), len(dataset.test), dataset.class_names) == (6, 4, ("0", "1"))


@pytest.mark.parametrize(
    ("train", "message"),
    [
        (frame([0, 1], image="photo"), "column img or image, it has photo, label"),
        (frame([0, 1], label="y"), "column label or fine_label"),
        (frame([0, 1])[:0], "no rows"),
        (frame([0, None]), "lacks 1 values"),
        (frame(["cat", "dog"]), "must hold integers, got String"),
        (polars.DataFrame({"img": [b"x", b"y"], "label": [0, 1]}), "must be a struct with binary"),
        (frame([0, -1]), "got -1 to 0"),
        (frame([0, 0, 0, 0]), "at least two classes"),
        (
            polars.DataFrame({"img": [{"bytes": b"junk"}] * 2, "label": [0, 1]}),
            "image 0 of .*train.parquet cannot be read",
        ),
    ],
)
def test_a_wrong_table_is_refused(tmp_path: Path, train: polars.DataFrame, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_dataset(write(tmp_path, train=train), test_share=0.5)


def test_a_test_label_that_training_lacks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="test image has label 2"):
        load_dataset(write(tmp_path, train=frame([0, 1]), test=frame([2])))


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_a_damaged_file_gives_one_line(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    write(folder, train=frame([0, 1, 0, 1]), test=frame([0, 1]))
    path = folder / "train.parquet"
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(0, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        load_dataset(str(folder))
    except DataError as error:
        assert "\n" not in str(error)
