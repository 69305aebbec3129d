"""A nested supernet's search that begins with given weights, is killed, and goes on."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from chronas.data import load_dataset
from chronas.errors import MismatchError, UsageError
from chronas.networks import GivenWeights, load_state
from chronas.search import SearchImages, Task, make_searcher, searcher_class
from chronas.spaces import NetworkSize, make_space
from chronas.supernets import ElasticSupernet, build_supernet

SPACE = make_space("efficientnet-lite")
SIZE = NetworkSize(input_shape=(1, 8, 8), outputs=10, width=8, depth=1, stem="small")
CONFIG = searcher_class("elastic").Config.model_validate(
    {"epochs": 2, "batch": 40, "architectures": 2, "population": 2, "sample": 1}
)
FILE = "elastic.safetensors"


class Killed(BaseException):
    """What ends a search in the middle of an epoch."""


def given(seed: int) -> GivenWeights:
    supernet = build_supernet(SPACE, SIZE, seed=seed)
    assert isinstance(supernet, ElasticSupernet)
    return GivenWeights(f"{seed}.pth", str(seed), supernet.network.state_dict())


def task(folder: Path, init: GivenWeights | None) -> Task:
    images = SearchImages.of(load_dataset("digits", limit=160).train)
    return Task(space=SPACE, size=SIZE, folder=folder, images=images, init=init)


def test_a_killed_search_goes_on_with_the_same_bits_and_only_from_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chronas.search.blackbox.elastic.SAVE_EVERY_S", 0.0)

    def kill(_: str, done: int, __: int, note: str) -> None:
        if "supernet, epoch 2" in note:
            raise Killed

    searcher = make_searcher("elastic", CONFIG)
    searcher.search(task(tmp_path / "whole", given(1)))
    with pytest.raises(Killed):
        searcher.search(task(tmp_path / "killed", given(1)), kill)
    for other in (given(2), None):
        with pytest.raises(MismatchError, match="init = 1, but"):
            searcher.search(task(tmp_path / "killed", other))
    searcher.search(task(tmp_path / "killed", given(1)))
    whole, killed = (load_state(tmp_path / name / FILE)[0] for name in ("whole", "killed"))
    assert whole.keys() == killed.keys()
    assert all(torch.equal(tensor, killed[name]) for name, tensor in whole.items())


def test_a_searcher_that_begins_with_random_weights_refuses_given_ones(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"searcher random begins with random weights, so 1.pth does nothing"):
        make_searcher("random").search(task(tmp_path, given(1)))
