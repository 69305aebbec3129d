"""GDAS computes one operation of each edge in a step, at the temperature of the epoch, and resumes to the bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from chronas.errors import UsageError
from chronas.search import Objective, Task, make_searcher
from chronas.search.gradient.gdas import GdasConfig, GdasLoop
from chronas.spaces import NOTHING

MakeTask = Callable[..., Task]
SMALL = GdasConfig(epochs=4, width=4, depth=1, alphas_learning_rate=0.1, crop_padding=1, flip=False)


def a_descent(task: Task, **settings: Any) -> GdasLoop:
    config = GdasConfig.model_validate({**SMALL.model_dump(), **settings})
    return GdasLoop(task, config, Objective(task.objective, task.costs))


def spied(loop: GdasLoop, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Tensor, Tensor | None]]:
    """The operation weights of each pass through the supernet, and which operations it was told to compute."""
    seen: list[tuple[Tensor, Tensor | None]] = []
    forward = loop.supernet.forward

    def spy(images: Tensor, operations: Tensor, edges: Tensor | None = None, *, computed: Tensor | None) -> Tensor:
        seen.append((operations.detach().clone(), computed))
        return forward(images, operations, edges, computed=computed)

    monkeypatch.setattr(loop.supernet, "forward", spy)
    return seen


@pytest.mark.parametrize("space", ["darts", "nasbench201", "fbnet"])
def test_each_step_takes_a_path_of_its_own_with_one_operation_an_edge(
    make_task: MakeTask, monkeypatch: pytest.MonkeyPatch, space: str
) -> None:
    loop = a_descent(make_task(space))
    seen = spied(loop, monkeypatch)
    loop.begin_epoch()
    loop.step()
    loop.step()
    assert len(seen) == 4
    for weights, computed in seen:
        assert computed is None
        assert set(weights.unique().tolist()) == {0.0, 1.0}
        assert bool((weights.sum(dim=1) == 1).all())
    assert not any(torch.equal(seen[0][0], other) for other, _ in seen[1:])


def test_reinmax_computes_all_operations_for_the_logits_and_the_path_alone_for_the_weights(
    make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = a_descent(make_task("nasbench201"), estimator="reinmax")
    seen = spied(loop, monkeypatch)
    loop.begin_epoch()
    loop.step()
    (_, for_logits), (_, for_weights) = seen
    assert for_logits is not None
    assert bool(for_logits.all())
    assert for_weights is None


def test_both_looks_of_second_order_see_the_path_of_the_step(
    make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = a_descent(make_task("nasbench201"), order=2)
    seen = spied(loop, monkeypatch)
    loop.begin_epoch()
    loop.step()
    assert len(seen) == 5
    assert all(torch.equal(seen[0][0], weights) for weights, _ in seen[1:4])


@pytest.mark.parametrize("order", [1, 2])
def test_a_path_that_lets_no_image_through_moves_no_logit(make_task: MakeTask, order: int) -> None:
    loop = a_descent(make_task("nasbench201"), order=order, alphas_weight_decay=0.0)
    assert loop.task.space.decisions[0].options[0] == NOTHING
    with torch.no_grad():
        loop.alphas[0][:, 0] = 50.0  # so each edge is sampled to be nothing
    before = loop.alphas[0].detach().clone()
    loop.begin_epoch()
    loop.step()
    assert torch.equal(loop.alphas[0], before)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        pytest.param({}, [10.0, 6.7, 3.4, 0.1], id="published"),
        pytest.param({"temperatures": (5.0, 2.0)}, [5.0, 4.0, 3.0, 2.0], id="given"),
        pytest.param({"estimator": "reinmax"}, [1.0, 1.0, 1.0, 1.0], id="reinmax"),
    ],
)
def test_the_temperature_falls_linearly_with_the_epochs(
    make_task: MakeTask, settings: dict[str, Any], expected: list[float]
) -> None:
    loop = a_descent(make_task("nasbench201"), **settings)
    found = []
    for _ in range(4):
        found.append(loop.temperature)
        loop.history.append({})
    assert found == pytest.approx(expected)


def test_the_estimator_and_its_temperature_change_what_the_logits_learn(make_task: MakeTask) -> None:
    """A setting that acted on nothing would pass every other test."""
    task = make_task("nasbench201")
    variants = [
        {},
        {"temperatures": (1.0, 1.0)},
        {"estimator": "reinmax"},
        {"estimator": "reinmax", "temperatures": (3.0, 3.0)},
    ]
    alphas = []
    for settings in variants:
        loop = a_descent(task, **settings)
        loop.begin_epoch()
        for _ in range(2):
            loop.step()
        alphas.append(loop.alphas[0].detach())
    assert len({tuple(each.flatten().tolist()) for each in alphas}) == len(variants)


def test_temperatures_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UsageError, match="reinmax needs temperatures of at least 1, got 10 and 0.1"):
        make_searcher("gdas", GdasConfig(estimator="reinmax", temperatures=(10.0, 0.1)))
    for wrong in ({"temperatures": (1.0, 0.0)}, {"temperatures": (float("inf"), 1.0)}, {"estimator": "exact"}):
        with pytest.raises(ValidationError):
            GdasConfig.model_validate(wrong)


def test_the_authors_settings_are_the_defaults() -> None:
    """configs/nas-benchmark/algos/GDAS.config and scripts-search/NAS-Bench-201-algos/GDAS.sh of AutoDL-Projects."""
    config = GdasConfig()
    assert (config.epochs, config.batch, config.width, config.depth) == (240, 64, 16, 5)
    assert (config.learning_rate, config.final_learning_rate, config.weight_decay) == (0.025, 0.001, 5e-4)
    assert (config.alphas_learning_rate, config.alphas_weight_decay) == (3e-4, 1e-3)
    assert config.estimator == "straight-through"


@pytest.mark.parametrize("estimator", ["straight-through", "reinmax"])
def test_a_search_that_was_stopped_takes_the_same_paths(make_task: MakeTask, estimator: str) -> None:
    """Bit for bit: the noise is drawn by the generator that the checkpoint holds."""

    class Stopped(Exception):
        pass

    def stop(step: str, done: int, total: int, note: str) -> None:
        if done > 7:
            raise Stopped

    searcher = make_searcher("gdas", SMALL.model_copy(update={"estimator": estimator, "edge_normalisation": True}))
    straight = searcher.search(make_task("nasbench201", folder="straight", weight=1.0, limit_ms=4.0))
    stopped = make_task("nasbench201", folder="stopped", weight=1.0, limit_ms=4.0)
    with pytest.raises(Stopped):
        searcher.search(stopped, stop)
    resumed = searcher.search(stopped)
    assert resumed.history == straight.history
    architectures = stopped.space.sample(2, seed=3)
    assert resumed.score(architectures) == straight.score(architectures)
