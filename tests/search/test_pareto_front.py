"""Fronts out of one search: what is chosen of contenders, the levels, and searches that keep their weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from chronas.errors import OutOfReachError, UsageError
from chronas.records import Trial
from chronas.runs import searcher_settings
from chronas.search import (
    Cost,
    ObjectiveConfig,
    TableEvaluator,
    Task,
    find_front,
    make_searcher,
)
from chronas.search.derive import choose_front
from chronas.search.gradient.darts import Darts
from chronas.search.gradient.descend import limit_levels
from chronas.search.searcher import SearchResult
from chronas.spaces import Architecture, Space, make_space

SPACE = make_space("nasbench201")
NETWORKS = SPACE.sample(12, 0)
COST = "latency_ms"
MakeTask = Callable[..., Task]


def additive(space: Space) -> Callable[[Tensor], Tensor]:
    """The predictor of the tasks that `make_task` makes."""
    slope = 0.1 + torch.rand(space.encoding_length, generator=torch.Generator().manual_seed(0))
    return lambda codes: codes @ slope + 1.0


def contenders(points: Sequence[tuple[float, float]]) -> list[Trial]:
    """Of (latency, accuracy) each."""
    return [Trial(NETWORKS[n], {COST: ms}, score=acc, quality=acc) for n, (ms, acc) in enumerate(points)]


def chosen(points: Sequence[tuple[float, float]], *limits_ms: float) -> list[tuple[float, float]]:
    front = choose_front(contenders(points), COST, [{COST: limit} for limit in limits_ms])
    return [(each.costs[COST], each.score) for each in front]


def test_each_level_takes_the_most_accurate_within_it() -> None:
    points = [(1.0, 50.0), (2.0, 70.0), (3.0, 60.0), (4.0, 80.0), (9.0, 90.0)]
    assert chosen(points, 2.5, 5.0) == [(2.0, 70.0), (4.0, 80.0)]


def test_none_of_the_chosen_beats_another_and_equals_are_taken_once() -> None:
    points = [(3.0, 60.0), (2.0, 70.0), (2.0, 70.0), (2.0, 65.0), (1.0, 70.0)]
    assert chosen(points, 1.0, 2.0, 3.0) == [(1.0, 70.0)]


def test_levels_that_take_the_same_one_leave_room_for_the_farthest_of_the_front() -> None:
    points = [(1.0, 10.0), (1.1, 11.0), (5.0, 50.0), (9.0, 90.0)]
    assert chosen(points, 9.0, 10.0, 11.0) == [(1.0, 10.0), (5.0, 50.0), (9.0, 90.0)]


def test_a_level_that_nothing_is_within_takes_nothing_worse() -> None:
    assert chosen([(5.0, 50.0)], 1.0, 2.0) == [(5.0, 50.0)]
    assert chosen([], 1.0) == []


def test_levels_let_in_equal_shares_of_random_architectures_and_keep_the_tasks_limits(make_task: MakeTask) -> None:
    task = make_task("nasbench201")
    costs = np.array([row[COST] for row in task.predict(list(SPACE.sample(2000, seed=5)))])
    levels = limit_levels(task, COST, 4)
    shares = [float((costs <= limits[COST]).mean()) for limits in levels[:-1]]
    assert shares == pytest.approx([0.25, 0.5, 0.75], abs=0.05)
    assert levels[-1] == {}
    limit = float(np.quantile(costs, 0.3))
    inside = [limits[COST] for limits in limit_levels(make_task("nasbench201", limit_ms=limit), COST, 4)]
    assert inside == sorted(inside)
    assert inside[-1] == limit
    assert inside[0] < float(np.quantile(costs, 0.1))


def found_by(name: str, task: Task, **settings: object) -> SearchResult:
    searcher = make_searcher(name)
    config = searcher_settings("digits-cpu", type(searcher)).model_copy(update=settings)
    return make_searcher(name, config).search(task)


def slow_and_good(architectures: Sequence[Architecture]) -> list[float]:
    """A truth in which what is slow by the task's predictor is good."""
    codes = torch.from_numpy(SPACE.encode(architectures))
    return [float(10.0 * value) for value in additive(SPACE)(codes)]


def test_a_network_slower_than_all_random_ones_is_on_the_front_if_nothing_beats_it(
    make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a large space the best networks are often slower than thousands of random ones: here of twenty."""
    monkeypatch.setattr("chronas.search.gradient.descend.RANDOM", 20)
    task = replace(make_task("nasbench201"), evaluate=slow_and_good)
    slowest = max(row[COST] for row in task.predict(SPACE.sample(20, seed=0)))
    found = found_by("evolution", task, architectures=200)
    best = next(found.candidates({}))
    assert best.costs[COST] > slowest
    front = find_front(found, task, COST, 4)
    assert front[-1].architecture == best.architecture
    assert len([each for each in front if each.costs[COST] <= slowest]) == 3


def test_a_gradient_search_looks_beyond_the_slowest_random_one_as_well(
    make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chronas.search.gradient.descend.RANDOM", 20)
    task = make_task("nasbench201")
    slowest = max(row[COST] for row in task.predict(SPACE.sample(20, seed=0)))
    found = found_by("darts", task, **SMALL["darts"])
    with torch.no_grad():
        found._loop.alphas[0].copy_(50.0 * additive_of_options())  # type: ignore[attr-defined]
    front = find_front(found, task, COST, 4)
    assert front[-1].costs[COST] > slowest


def additive_of_options() -> Tensor:
    """[D, O] what each option of each decision adds to the task's cost."""
    single = torch.eye(SPACE.encoding_length)
    return (additive(SPACE)(single) - additive(SPACE)(torch.zeros(1, SPACE.encoding_length))).view(
        len(SPACE.decisions), -1
    )


SMALL = {
    "darts": {"epochs": 2, "warmup_epochs": 0, "width": 4, "depth": 1},
    "darts, second order": {"epochs": 2, "warmup_epochs": 0, "width": 4, "depth": 1, "order": 2},
    "gdas": {"epochs": 2, "warmup_epochs": 0, "width": 4, "depth": 1},
    "pc-darts": {"epochs": 2, "warmup_epochs": 0, "width": 8, "depth": 1},
    "drnas": {"epochs": 2, "warmup_epochs": 0, "width": 16, "depth": 1},
    "nsga2": {"epochs": 1, "width": 4, "depth": 1, "architectures": 40},
    "random": {"architectures": 6, "epochs": 1},
    "bayesian": {"architectures": 6, "initial_random": 4, "epochs": 1, "width": 4, "depth": 1},
}


@pytest.mark.parametrize("name", SMALL)
def test_a_front_rises_in_cost_and_accuracy_and_is_the_same_after_a_resume(name: str, make_task: MakeTask) -> None:
    task, settings = make_task("nasbench201"), SMALL[name]
    name = name.partition(",")[0]
    found = found_by(name, task, **settings)
    front = find_front(found, task, COST, 4)
    assert find_front(found, task, COST, 4) == front
    assert 1 <= len(front) <= 4
    for cheap, dear in pairwise(front):
        assert cheap.costs[COST] < dear.costs[COST]
        assert cheap.quality < dear.quality
    assert find_front(found_by(name, task, **settings), task, COST, 4) == front


def test_logits_go_down_the_levels_and_weights_and_distribution_stay(make_task: MakeTask) -> None:
    task = make_task("nasbench201")
    found = found_by("darts", task, **SMALL["darts"], alphas_learning_rate=0.3)
    loop = found._loop  # type: ignore[attr-defined]
    weights = [weight.detach().clone() for weight in loop.supernet.parameters()]
    alphas = loop.alphas[0].detach().clone()
    before = [each.architecture for each, _ in zip(found.candidates({}), range(5), strict=False)]
    levels = limit_levels(task, COST, 3)
    heard: list[tuple[int, int]] = []
    moved = found.contenders(levels, lambda _, done, total, __: heard.append((done, total)))
    assert all(map(torch.equal, weights, loop.supernet.parameters()))
    assert torch.equal(alphas, loop.alphas[0])
    assert [each.architecture for each, _ in zip(found.candidates({}), range(5), strict=False)] == before
    assert heard[-1][0] == heard[-1][1]
    assert any(each.violation(levels[0]) == 0 for each in moved)
    assert len({each.architecture for each in moved}) == len(moved)


def test_a_tasks_own_limit_holds_for_the_whole_front(make_task: MakeTask) -> None:
    latencies = [row[COST] for row in make_task("nasbench201").predict(list(SPACE.sample(500, seed=1)))]
    limit = float(np.quantile(latencies, 0.4))
    task = make_task("nasbench201", limit_ms=limit)
    for name in ("darts", "nsga2"):
        front = find_front(found_by(name, replace(task, folder=task.folder / name), **SMALL[name]), task, COST, 4)
        assert all(each.costs[COST] <= limit for each in front), name


def test_a_front_by_a_table_is_the_true_front_of_all_that_was_judged(make_task: MakeTask) -> None:
    known = {
        str(each): 10.0 + len(set(each.choices)) * 7 + sum(filter(None, each.choices))
        for each in SPACE.sample(15_625, 0)
    }
    task = replace(make_task("nasbench201"), evaluate=TableEvaluator(known))
    found = found_by("nsga2", task, architectures=600, population=30)
    front = find_front(found, task, COST, 8)
    points = [
        (row[COST], known[str(each)])
        for row, each in zip(task.predict(SPACE.sample(3000, 3)), SPACE.sample(3000, 3), strict=True)
    ]
    assert len(front) == 8
    for each in front:
        better = [point for point in points if point[0] < each.costs[COST] and point[1] > each.score]
        assert len(better) <= 30, "of 3,000 random ones hardly any beats a member of the front"


def lets_through(codes: Tensor) -> Tensor:
    """Whether images get through each of some cells, by the encoding."""
    choices = codes.detach().unflatten(1, (len(SPACE.decisions), -1)).argmax(2).tolist()
    return torch.tensor([SPACE.architecture(row).connected() for row in choices])


@pytest.mark.parametrize("name", ["darts", "nsga2", "bayesian"])
def test_levels_are_of_cells_that_let_images_through(name: str, make_task: MakeTask) -> None:
    task = make_task("nasbench201")
    slope = task.costs[COST].predict
    cost = Cost(lambda codes: slope(codes) + 2.0 * lets_through(codes), task.costs[COST].median + 2.0)
    codes = torch.from_numpy(SPACE.encode(list(SPACE.every())))
    costs, through = cost.predict(codes), lets_through(codes)
    limit = float(costs[through].quantile(0.02))
    assert float((costs[~through] <= limit).sum()) > float((costs[through] <= limit).sum())
    task = replace(make_task("nasbench201", limit_ms=limit), costs={COST: cost})
    levels = limit_levels(task, COST, 8)
    assert levels[0][COST] >= float(costs[through].min())
    front = find_front(found_by(name, task, **SMALL[name]), task, COST, 8)
    assert front
    assert all(each.architecture.connected() for each in front)


def test_a_level_that_no_cell_is_found_within_leaves_the_others_of_a_gradient_search(
    make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    descents = []

    class Kept(Darts.loop):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments)
            descents.append(self)

    monkeypatch.setattr(Darts, "loop", Kept)
    task = make_task("nasbench201")
    found = found_by("darts", task, **SMALL["darts"])
    tight, loose = {COST: 1.0}, {COST: task.costs[COST].median}
    searched = [each.detach().clone() for each in descents[-1].alphas]
    inside = found.contenders([tight, loose])
    assert inside
    assert all(each.violation(loose) == 0 for each in inside)
    with pytest.raises(OutOfReachError, match="the nearest that was found"):
        found.contenders([tight])
    assert all(map(torch.equal, descents[-1].alphas, searched))  # with and without a network, as the search left them


def test_a_cost_without_a_predictor_is_refused(make_task: MakeTask) -> None:
    task = replace(make_task("nasbench201"), costs={}, objective=ObjectiveConfig())
    with pytest.raises(UsageError, match="needs a fitted predictor of latency_ms, got none"):
        find_front(found_by("random", task, **SMALL["random"]), task, COST, 4)
