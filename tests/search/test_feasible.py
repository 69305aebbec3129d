"""A feasible set gives out what is new, inside the limits and uniform; the rest is repaired; an empty one says so."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from chronas.search import Cost, ObjectiveConfig, Task
from chronas.search.feasible import FeasibleSet, mutate, neighbours
from chronas.spaces import make_space
from toy_space import ToySpace

MakeTask = Callable[..., Task]
SPACE = ToySpace(((3, 2), (2, 1)), options=2, with_none=False)
SLOPE = torch.linspace(0.1, 1.0, SPACE.encoding_length)


def toy_task(task: Task, quantile: float | None) -> tuple[Task, set[object]]:
    """A task of a space of 48 architectures, and those of them that a limit at a quantile leaves."""
    costs = torch.from_numpy(SPACE.encode(SPACE.everything())) @ SLOPE
    limits = {} if quantile is None else {"latency_ms": float(costs.quantile(quantile))}
    latency = Cost(lambda codes: codes @ SLOPE, float(costs.median()))
    inside = {a for a, c in zip(SPACE.everything(), costs.tolist(), strict=True) if c <= limits.get("latency_ms", 9)}
    return replace(task, space=SPACE, costs={"latency_ms": latency}, objective=ObjectiveConfig(limits=limits)), inside


def feasible(task: Task, seed: int = 0) -> FeasibleSet:
    return FeasibleSet(task, np.random.default_rng(seed))


def test_what_is_drawn_first_is_uniform_over_what_is_inside(make_task: MakeTask) -> None:
    task, inside = toy_task(make_task(), 0.5)
    numbers = {architecture: n for n, architecture in enumerate(inside)}
    first = [feasible(task, seed).draw() for seed in range(500)]
    counts = np.bincount([numbers[each.architecture] for each in first if each is not None], minlength=len(inside))
    assert counts.sum() == 500
    assert stats.chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize("quantile", [None, 0.5, 0.05])
def test_everything_inside_is_given_out_once_and_then_nothing(make_task: MakeTask, quantile: float | None) -> None:
    task, inside = toy_task(make_task(), quantile)
    there = feasible(task)
    drawn = [each.architecture for _ in inside if (each := there.draw()) is not None]
    assert set(drawn) == inside
    assert len(drawn) == len(inside)
    assert there.draw() is None
    assert there.vary(lambda: drawn[0]) is None
    assert there.around(drawn[0]) == []


def test_what_lets_no_image_through_is_never_given_out(make_task: MakeTask) -> None:
    there = feasible(make_task("nasbench201"))
    dead = make_space("nasbench201").architecture([0] * 6)
    given = [there.draw(), there.vary(lambda: dead), *there.around(dead), there.repair(dead)]
    given += [there.draw() for _ in range(400)]
    assert all(each is not None and each.architecture.connected() for each in given)
    assert len({each.architecture for each in given if each}) > 400
    assert not there.inside(there.known([dead])[0])


def test_variations_are_new_and_inside_and_near_where_they_can_be(make_task: MakeTask) -> None:
    task = make_task("darts", limit_ms=6.5)
    there = feasible(task)
    start = there.draw()
    assert start is not None
    children = [there.vary(functools.partial(mutate, start.architecture, there.generator)) for _ in range(50)]
    found = {each.architecture for each in children if each is not None}
    assert len(found) == 50
    assert start.architecture not in found
    assert all(each.costs["latency_ms"] <= 6.5 for each in children if each is not None)
    near = set(neighbours(start.architecture))
    assert len(found & near) > 10


def test_an_architecture_outside_is_repaired_where_drawing_finds_nothing(make_task: MakeTask) -> None:
    """The limit is so low that 4 million draws would hold about one; a climb down reaches it."""
    task = make_task("fbnet")
    fastest = sum(
        float(task.costs["latency_ms"].predict(torch.eye(task.space.encoding_length)).sub(1)[offset : offset + 9].min())
        for offset in task.space.offsets
    )
    limit_ms = 1.0 + 1.3 * fastest
    there = feasible(replace(task, objective=ObjectiveConfig(limits={"latency_ms": limit_ms})))
    found = [there.draw() for _ in range(3)]
    assert all(each is not None and each.costs["latency_ms"] <= limit_ms for each in found)
    assert len({each.architecture for each in found if each is not None}) == 3


def test_the_last_few_of_a_small_space_are_all_found(make_task: MakeTask) -> None:
    """Random draws hardly meet them, and every climb down ends at a cell that lets no image through."""
    space = make_space("nasbench201")
    every = list(space.every())
    open_ = torch.tensor([each.connected() for each in every])
    costs = torch.where(open_, 10.0, 0.1) + torch.from_numpy(np.random.default_rng(0).random(len(every)))
    by_choices = dict(zip((each.choices for each in every), costs.tolist(), strict=True))

    def looked_up(codes: Tensor) -> Tensor:
        choices = codes.unflatten(1, (len(space.decisions), -1)).argmax(2).tolist()
        return torch.tensor([by_choices[tuple(row)] for row in choices], dtype=torch.float64)

    limit_ms = float(costs[open_].sort().values[4])
    inside = {each for each in every if each.connected() and by_choices[each.choices] <= limit_ms}
    objective = ObjectiveConfig(limits={"latency_ms": limit_ms})
    latency = Cost(looked_up, float(costs.median()))
    there = feasible(replace(make_task("nasbench201"), costs={"latency_ms": latency}, objective=objective))
    drawn = [each.architecture for _ in inside if (each := there.draw()) is not None]
    assert len(drawn) == len(inside)
    assert set(drawn) == inside
    assert there.draw() is None


def test_two_limits_hold_together_and_what_came_nearest_is_told(make_task: MakeTask) -> None:
    task = make_task("nasbench201")
    one = task.costs["latency_ms"]
    two = Cost(lambda codes: 12.0 - one.predict(codes), 12.0 - one.median)
    costs = {"latency_ms": one, "energy_mj": two}
    both = ObjectiveConfig(limits={"latency_ms": one.median, "energy_mj": two.median + 0.2})
    there = feasible(replace(task, costs=costs, objective=both))
    found = [there.draw() for _ in range(20)]
    assert all(each is not None and each.violation(both.limits) == 0 for each in found)
    never = ObjectiveConfig(limits={"latency_ms": one.median, "energy_mj": two.median - 1.0})
    empty = feasible(replace(task, costs=costs, objective=never))
    assert empty.draw() is None
    assert "the nearest that was found is predicted at" in str(empty.out_of_reach())


def test_objectives_are_all_costs_but_those_that_only_have_a_limit(make_task: MakeTask) -> None:
    task = make_task("nasbench201")
    costs = dict.fromkeys(["latency_ms", "energy_mj", "peak_memory_mib"], task.costs["latency_ms"])
    objective = ObjectiveConfig(
        weights={"latency_ms": 1.0, "peak_memory_mib": 0.0}, limits={"latency_ms": 9.0, "peak_memory_mib": 9.0}
    )
    assert feasible(replace(task, costs=costs, objective=objective)).objectives == ["latency_ms", "energy_mj"]
