"""Random search draws distinct networks inside the limit, keeps budget and results, and returns the best first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from chronas.errors import MismatchError, OutOfReachError, UsageError
from chronas.search import Task, make_searcher
from chronas.search.blackbox.proxy_training import ProxyTraining
from chronas.search.blackbox.random_search import RandomConfig
from chronas.spaces import Architecture

MakeTask = Callable[..., Task]
SMALL = RandomConfig(architectures=3, epochs=1, batch=64, learning_rate=0.1, crop_padding=0, flip=False)


def test_the_most_accurate_comes_first_and_a_finished_search_is_only_loaded(make_task: MakeTask) -> None:
    task = make_task("nasbench201")
    found = make_searcher("random", SMALL).search(task)
    modes = [row["mode"] for row in found.history]
    assert len(set(modes)) == 3
    best = max(found.history, key=lambda row: float(row["validation_accuracy"]))
    assert str(next(found.candidates({})).architecture) == best["mode"]
    again = make_searcher("random", SMALL).search(task)
    assert again.history == found.history
    assert list(again.candidates({})) == list(found.candidates({}))


def test_a_stopped_search_trains_what_is_missing(make_task: MakeTask) -> None:
    straight = make_searcher("random", SMALL).search(make_task("nasbench201", folder="straight"))
    task = make_task("nasbench201", folder="stopped")

    def stop(step: str, done: int, total: int, note: str) -> None:
        if note.startswith("architecture 2, epoch"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_searcher("random", SMALL).search(task, stop)
    resumed = make_searcher("random", SMALL).search(task)
    untimed = [[{**row, "seconds": 0} for row in found.history] for found in (straight, resumed)]
    assert untimed[0] == untimed[1]
    with pytest.raises(MismatchError, match="config.epochs"):
        make_searcher("random", SMALL.model_copy(update={"epochs": 2})).search(task)


def test_as_many_networks_are_begun_with_as_there_are_workers_and_they_are_the_same_ones(make_task: MakeTask) -> None:
    """Its workers once had nothing to do, as networks came one by one."""
    asked: list[int] = []

    class Counted:
        def __call__(self, architectures: Sequence[Architecture]) -> list[float]:
            asked.append(len(architectures))
            return [float(len(str(each))) for each in architectures]

    found = []
    for workers in (1, 3):
        task = replace(make_task("nasbench201", folder=str(workers)), evaluate=Counted())
        config = SMALL.model_copy(update={"workers": workers, "architectures": 7})
        found.append([row["mode"] for row in make_searcher("random", config).search(task).history])
    assert found[0] == found[1]
    assert asked == [1] * 7 + [3, 3, 1]


def test_only_networks_inside_the_limit_are_trained(make_task: MakeTask) -> None:
    found = make_searcher("random", SMALL).search(make_task("nasbench201", limit_ms=3.5))
    assert all(row["expected_latency_ms"] <= 3.5 for row in found.history)
    assert list(found.candidates({"latency_ms": 3.5})) == list(found.candidates({}))
    fastest_ms = min(row["expected_latency_ms"] for row in found.history)
    with pytest.raises(OutOfReachError, match=f"nearest is predicted at {fastest_ms:.4g} ms"):
        next(found.candidates({"latency_ms": fastest_ms - 0.01}))
    with pytest.raises(OutOfReachError, match="predicted within 1 ms; the nearest that was found"):
        make_searcher("random", SMALL).search(make_task("nasbench201", folder="tight", limit_ms=1.0))


def test_a_budget_in_seconds_ends_the_search_after_at_least_one(make_task: MakeTask) -> None:
    found = make_searcher("random", SMALL.model_copy(update={"seconds": 1e-3})).search(make_task("nasbench201"))
    assert len(found.history) == 1


def test_a_latency_weight_ranks_by_errors_and_latency_together(make_task: MakeTask) -> None:
    task = make_task("nasbench201", weight=3.0)
    median_ms = task.costs["latency_ms"].median
    found = make_searcher("random", SMALL).search(task)
    ranked = [str(candidate.architecture) for candidate in found.candidates({})]
    values = {
        row["mode"]: 1 - row["validation_accuracy"] / 100 + 3.0 * row["expected_latency_ms"] / median_ms
        for row in found.history
    }
    assert ranked == sorted(values, key=values.__getitem__)
    heavy = make_searcher("random", SMALL).search(make_task("nasbench201", folder="heavy", weight=1e6))
    latencies_ms = [candidate.costs["latency_ms"] for candidate in heavy.candidates({})]
    assert latencies_ms == sorted(latencies_ms)
    assert {row["mode"] for row in heavy.history} == set(values), "the weight ranks, it does not draw"


def test_another_predictor_does_not_inherit_the_accuracies_of_other_networks(make_task: MakeTask) -> None:
    """A limit decides what is drawn, so with another predictor the third network would be another one."""
    task = make_task("nasbench201", limit_ms=3.9)
    latency = task.costs["latency_ms"]
    other = replace(latency, predict=lambda codes: latency.predict(codes.flip(1)))
    make_searcher("random", SMALL).search(task)
    with pytest.raises(MismatchError, match="costs.latency_ms.mean"):
        make_searcher("random", SMALL).search(replace(task, costs={"latency_ms": other}))


def test_without_a_predictor_there_is_no_latency_and_no_limit(make_task: MakeTask) -> None:
    config = SMALL.model_copy(update={"architectures": 1})
    found = make_searcher("random", config).search(replace(make_task("nasbench201"), costs={}))
    assert "expected_latency_ms" not in found.history[0]
    with pytest.raises(UsageError, match="needs a fitted predictor"):
        next(found.candidates({"latency_ms": 3.0}))


def test_the_drawn_networks_are_not_those_that_a_table_of_the_same_seed_measures(make_task: MakeTask) -> None:
    task = replace(make_task("darts"), evaluate=lambda architectures: [50.0] * len(architectures))
    found = make_searcher("random", SMALL.model_copy(update={"architectures": 200})).search(task)
    drawn = {row["mode"] for row in found.history}
    assert len(drawn) == 200
    assert drawn.isdisjoint(map(str, task.space.sample(200, task.seed)))


def test_a_brief_training_is_resumed_and_may_serve_another_search(make_task: MakeTask) -> None:
    task = make_task("nasbench201", folder="first")
    trained = make_searcher("random", SMALL).search(task)
    evaluator = ProxyTraining(task, SMALL)
    best = next(trained.candidates({})).architecture
    rows = {row["mode"]: row for row in trained.history}
    assert evaluator([best]) == [rows[str(best)]["validation_accuracy"]]
    assert rows[str(best)]["train_loss"] > 0
    other = replace(make_task("nasbench201", folder="second"), evaluate=evaluator)
    again = make_searcher("random", SMALL).search(other)
    assert [row["validation_accuracy"] for row in again.history] == [
        row["validation_accuracy"] for row in trained.history
    ]
    assert again.score([best]) is None
    assert evaluator.identity() == ProxyTraining(other, SMALL).identity()
    longer = SMALL.model_copy(update={"epochs": 2})
    assert evaluator.identity() != ProxyTraining(task, longer).identity()
