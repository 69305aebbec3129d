"""The hub's names, against a stand-in for the package `datasets` (there is no network in tests)."""

from __future__ import annotations

import io
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from chronas.data import load_dataset
from chronas.errors import DataError, MissingExtraError


class Part:
    """One split, of which the image column is decoded until it is cast."""

    def __init__(self, label: str) -> None:
        self.label, self.decoded = label, True
        self.features = {label: SimpleNamespace(names=["apple", "pear"])}

    def cast_column(self, name: str, feature: SimpleNamespace) -> Part:
        assert name == "img"
        self.decoded = feature.decode
        return self

    def __getitem__(self, name: str) -> list[Any]:
        if name == self.label:
            return [0, 1]
        assert not self.decoded
        buffer = io.BytesIO()
        Image.fromarray(np.zeros((4, 4, 3), dtype=np.uint8)).save(buffer, "PNG")
        return [{"bytes": buffer.getvalue(), "path": None}] * 2


def stand_in(monkeypatch: pytest.MonkeyPatch, load: Any) -> None:
    module = ModuleType("datasets")
    module.load_dataset = load  # type: ignore[attr-defined]
    module.Image = lambda decode: SimpleNamespace(decode=decode)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "datasets", module)


@pytest.mark.parametrize(("name", "label"), [("cifar10", "label"), ("cifar100", "fine_label")])
def test_both_splits_come_from_the_named_repository(monkeypatch: pytest.MonkeyPatch, name: str, label: str) -> None:
    asked: list[str] = []
    stand_in(monkeypatch, lambda repository: asked.append(repository) or {"train": Part(label), "test": Part(label)})
    dataset = load_dataset(name)
    assert asked == [f"uoft-cs/{name}"]
    assert (dataset.class_names, dataset.shape, len(dataset.test)) == (("apple", "pear"), (3, 4, 4), 2)


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'chronas\[hub\]'"):
        load_dataset("cifar10")


def test_a_hub_out_of_reach_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(repository: str) -> None:
        raise ConnectionError("no route\nmore lines")

    stand_in(monkeypatch, unreachable)
    with pytest.raises(DataError, match=r"cannot get uoft-cs/cifar10 from the hub \(no route\)"):
        load_dataset("cifar10")
