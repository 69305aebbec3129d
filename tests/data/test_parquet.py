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
    assert (60000, 60000) in seen
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
        (frame([0, 1], image="photo"), "column img or image or .*, it has photo, label"),
        (frame([0, 1], label="y"), "column label or labels"),
        (frame([0, 1])[:0], "no rows"),
        (frame([0, None]), "lacks 1 values"),
        (frame([0.5, 1.5]), "must hold integers or texts, got Float64"),
        (polars.DataFrame({"img": ["x", "y"], "label": [0, 1]}), "must be binary, or a struct with binary"),
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


@pytest.mark.parametrize(
    ("layout", "counts"),
    [
        (("default/train/0000", "default/test/0000"), (6, None, 2)),
        (("train/part", "test/part"), (6, None, 2)),
        (("data/train-00000-of-00001", "data/validation-00000-of-00001"), (5, 2, 1)),
        (("data/train-00000-of-00001", "data/val-0", "data/test-0"), (6, 2, 2)),
        (("Training", "Testing"), (6, None, 2)),
    ],
    ids=["converted by the hub", "split folders", "validation", "all three", "long names"],
)
def test_layouts_of_the_hub_are_read(
    tmp_path: Path, layout: tuple[str, ...], counts: tuple[int, int | None, int]
) -> None:
    for number, name in enumerate(layout):
        path = tmp_path / f"{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        frame([0, 1] * 3 if number == 0 else [0, 1], "image", "labels").write_parquet(path)
    dataset = load_dataset(str(tmp_path), test_share=0.34)
    validation = None if dataset.validation is None else len(dataset.validation)
    expected = (4, counts[1], 2) if counts[2] == 1 else counts
    assert (len(dataset.train), validation, len(dataset.test)) == expected
    assert ("the validation images choose the checkpoints of trainings" in dataset.notes) is (validation is not None)


def test_several_configurations_are_told_apart(tmp_path: Path) -> None:
    for name in ("large", "small"):
        write(tmp_path / name / "train", part=frame([0, 1]))
    with pytest.raises(DataError, match=r"several configurations \(large, small\): give one of these folders"):
        load_dataset(str(tmp_path))


def test_labels_may_be_texts_and_images_plain_bytes(tmp_path: Path) -> None:
    rows = polars.DataFrame({"image": [picture(n) for n in range(4)], "label": ["dog", "cat", "dog", "cat"]})
    dataset = load_dataset(write(tmp_path, train=rows), test_share=0.5)
    assert dataset.class_names == ("cat", "dog")


@pytest.mark.parametrize("names", [[1, None], ["a", ""], ["a", "b\x1b[2J"], ["x" * 200, "b"]])
def test_class_names_that_cannot_be_are_refused_when_the_data_is_read(tmp_path: Path, names: list[Any]) -> None:
    metadata = {"huggingface": json.dumps({"info": {"features": {"label": {"names": names}}}})}
    frame([0, 1] * 3).write_parquet(tmp_path / "train.parquet", metadata=metadata)
    with pytest.raises(DataError, match="a class"):
        load_dataset(str(tmp_path))


def test_metadata_that_is_too_deep_is_no_fault(tmp_path: Path) -> None:
    frame([0, 1] * 6).write_parquet(tmp_path / "train.parquet", metadata={"huggingface": "[" * 200_000})
    assert load_dataset(str(tmp_path)).class_names == ("0", "1")


def test_a_test_label_that_training_lacks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="label 2, which the training images lack"):
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
