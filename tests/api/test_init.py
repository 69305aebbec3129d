"""`init=` in Python: trainings of modules and architectures, searches, and what they refuse."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import chronas
from chronas.data import Dataset, load_dataset
from chronas.errors import MismatchError, UsageError
from chronas.networks import build
from chronas.spaces import NetworkSize, make_space
from short_training import network

CELL = make_space("nasbench201").sample(1, 3)[0]
SIZE = NetworkSize(input_shape=(1, 8, 8), outputs=10, width=4, depth=1)
SLOW = chronas.Recipe(epochs=1, learning_rate=1e-12, auxiliary_weight=0.0, drop_path=0.0, weight_decay=0.0)


@pytest.fixture(scope="module")
def data() -> Dataset:
    return load_dataset("digits", limit=100)


def test_a_training_begins_with_the_file(data: Dataset, tmp_path: Path) -> None:
    told: list[str] = []
    for start, size in ((network(seed=3), None), (build(CELL, SIZE, seed=3), SIZE)):
        torch.save(start.state_dict(), tmp_path / "w.pth")
        given = network(seed=1) if size is None else CELL
        found = chronas.train(
            given, data, size=size, recipe=SLOW, steps=1, init=tmp_path / "w.pth",
            progress=lambda step, done, total, note: told.append(f"{step}: {note}"),
        )  # fmt: skip
        for name, weight in start.named_parameters():
            assert torch.allclose(found.network.get_parameter(name), weight, atol=1e-6)
    assert "init: 9 of 9 tensors from w.pth" in told


def test_a_training_of_another_module_is_refused(data: Dataset, tmp_path: Path) -> None:
    torch.save(build(CELL, SIZE).state_dict(), tmp_path / "w.pth")
    with pytest.raises(MismatchError, match="this network has '0.weight', '0.bias'"):
        chronas.train(network(), data, recipe=SLOW, steps=1, init=tmp_path / "w.pth", progress=False)


def test_a_search_begins_with_the_file_if_it_can(data: Dataset, tmp_path: Path) -> None:
    space = make_space("efficientnet-lite")
    size = NetworkSize(input_shape=(1, 8, 8), outputs=10, width=8, depth=1, stem="small")
    _, largest = space.topology.ends(space)  # type: ignore[attr-defined]
    torch.save(build(largest, size, seed=1).state_dict(), tmp_path / "w.pth")
    settings = {"epochs": 1, "architectures": 2, "population": 2, "sample": 1}
    found = chronas.search(
        space, data, size=size, searcher="elastic", init=tmp_path / "w.pth", progress=False, **settings
    )
    assert found.task.init is not None and found.task.init.name == "w.pth"
    with pytest.raises(UsageError, match="searcher bayesian begins with random weights"):
        chronas.search(space, data, size=size, init=tmp_path / "w.pth", progress=False)
