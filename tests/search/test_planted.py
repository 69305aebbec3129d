"""Every method on the bilevel loop finds a choice that is planted, and gives it up where costs press enough."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from chronas.data import load_dataset, split
from chronas.search import Task, make_searcher, searcher_class
from parallel_cell import PARALLEL_CELL

MakeTask = Callable[..., Task]
SMALL = {
    "epochs": 10,
    "batch": 64,
    "width": 8,
    "depth": 1,
    "warmup_epochs": 1,
    "learning_rate": 0.1,
    "alphas_learning_rate": 0.1,
    "crop_padding": 1,
    "flip": False,
}
WIDER = {"partial_channels": 2, "later_partial_channels": (1,), "later_operations": (2,)}
METHODS = [
    pytest.param("darts", {}, id="darts"),
    pytest.param("pc-darts", {"partial_channels": 2}, id="pc-darts"),
    pytest.param("gdas", {}, id="gdas"),
    pytest.param("gdas", {"estimator": "reinmax"}, id="gdas-reinmax"),
    pytest.param("drnas", WIDER, id="drnas"),
    pytest.param("drnas", {**WIDER, "regulariser": "kl"}, id="drnas-kl"),
]


@pytest.fixture
def task(make_task: MakeTask) -> Callable[..., Task]:
    train, validation = split(load_dataset("digits").train, 0.4, seed=0)

    def make(**objective: float) -> Task:
        made = make_task(PARALLEL_CELL, **objective)
        parts = [each.subset(torch.arange(512)) for each in (train, validation)]
        return replace(made, images=replace(made.images, train=parts[0], validation=parts[1]))

    return make


@pytest.mark.parametrize(("name", "settings"), METHODS)
def test_edges_that_must_be_convolutions_become_convolutions(
    task: Callable[..., Task], name: str, settings: dict[str, Any]
) -> None:
    """With `none` on all edges nothing but a stem is left; chance is 10 %."""
    config = searcher_class(name).Config.model_validate({**SMALL, **settings})
    found = make_searcher(name, config).search(task())
    best = next(found.candidates({}))
    assert str(best.architecture) == "1111"
    assert best.log_probability > -1.0  # that of sixteen as likely is -2.8
    first, last = found.history[1]["validation_accuracy"], found.history[-1]["validation_accuracy"]
    assert last > max(20, first)
    scores = found.score([best.architecture, PARALLEL_CELL.parse("0000")])
    assert scores is not None
    assert scores[0] > scores[1] + 10


@pytest.mark.parametrize(("name", "settings"), METHODS)
def test_a_weight_that_outweighs_the_images_finds_the_cheapest(
    task: Callable[..., Task], name: str, settings: dict[str, Any]
) -> None:
    config = searcher_class(name).Config.model_validate({**SMALL, **settings})
    pressed = task(weight=100.0)
    best = next(make_searcher(name, config).search(pressed).candidates({}))
    connected = [each for each in PARALLEL_CELL.every() if each.connected()]
    assert len(connected) == PARALLEL_CELL.cardinality - 1
    everything = torch.from_numpy(PARALLEL_CELL.encode(connected))
    cheapest = float(pressed.costs["latency_ms"].predict(everything).min())
    assert best.costs["latency_ms"] == pytest.approx(cheapest)
