"""Random search draws distinct networks inside the limit, keeps budget and results, and returns the best first."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from scipy import stats

from chronas.errors import MismatchError, UsageError
from chronas.search import ObjectiveConfig, SearchCost, Task, make_searcher
from chronas.search.random import RandomConfig, _draw
from toy_space import ToySpace

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
        if note.startswith("network 2"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_searcher("random", SMALL).search(task, stop)
    resumed = make_searcher("random", SMALL).search(task)
    untimed = [[{**row, "seconds": 0} for row in found.history] for found in (straight, resumed)]
    assert untimed[0] == untimed[1]
    with pytest.raises(MismatchError, match="config.epochs"):
        make_searcher("random", SMALL.model_copy(update={"epochs": 2})).search(task)


def test_only_networks_inside_the_limit_are_trained(make_task: MakeTask) -> None:
    found = make_searcher("random", SMALL).search(make_task("nasbench201", limit_ms=3.5))
    assert all(row["expected_latency_ms"] <= 3.5 for row in found.history)
    assert list(found.candidates({"latency_ms": 3.5})) == list(found.candidates({}))
    fastest_ms = min(row["expected_latency_ms"] for row in found.history)
    with pytest.raises(UsageError, match=f"nearest is predicted at {fastest_ms:.4g} ms"):
        next(found.candidates({"latency_ms": fastest_ms - 0.01}))
    with pytest.raises(UsageError, match="predicted within 1 ms; the nearest that was found"):
        make_searcher("random", SMALL).search(make_task("nasbench201", folder="tight", limit_ms=1.0))


def test_what_is_drawn_is_uniform_over_what_is_inside_the_limit(make_task: MakeTask) -> None:
    """The first draw of 1,500 seeds, over the architectures of a small space that a limit leaves."""
    space = ToySpace(((3, 2), (2, 1)), options=2, with_none=False)
    slope = torch.linspace(0.1, 1.0, space.width)
    costs = torch.from_numpy(space.encode(space.everything())) @ slope
    limit_ms = float(costs.median())
    latency = SearchCost(lambda codes: codes @ slope, limit_ms)
    objective = ObjectiveConfig(limits={"latency_ms": limit_ms})
    task = replace(make_task(), space=space, costs={"latency_ms": latency}, objective=objective)
    inside = {
        each: n for n, each in enumerate(a for a, c in zip(space.everything(), costs, strict=True) if c <= limit_ms)
    }
    first = [inside[next(_draw(replace(task, seed=seed))).architecture] for seed in range(1500)]
    assert stats.chisquare(torch.bincount(torch.tensor(first), minlength=len(inside)).numpy()).pvalue > 1e-3
    drawn = itertools.islice(_draw(task), len(inside))
    assert {candidate.architecture for candidate in drawn} == set(inside)


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
    latencies_ms = [candidate.predicted["latency_ms"] for candidate in heavy.candidates({})]
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
    task = make_task("darts")
    drawn = {each.architecture for each in itertools.islice(_draw(task), 200)}
    assert drawn.isdisjoint(task.space.sample(200, task.seed))
