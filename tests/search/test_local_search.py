"""Local search climbs to what no neighbour beats, then starts anew."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from chronas.search import Task, make_searcher
from chronas.search.blackbox.local_search import LocalSearchConfig
from chronas.search.feasible import neighbours
from chronas.spaces import Architecture

MakeTask = Callable[..., Task]


def hills(architectures: Sequence[Architecture]) -> list[float]:
    """Each edge has its own best operation, so there is one top."""
    return [100.0 - sum(abs((choice or 0) - d % 5) for d, choice in enumerate(each.choices)) for each in architectures]


@pytest.mark.parametrize("whole", [False, True], ids=["first better", "best of all"])
def test_a_climb_takes_single_steps_to_the_top_and_then_starts_anew(make_task: MakeTask, *, whole: bool) -> None:
    """Followed by what it asks for: three to start from, then what is around where it stands."""
    asked: list[list[Architecture]] = []

    def evaluate(architectures: Sequence[Architecture]) -> list[float]:
        asked.append(list(architectures))
        return hills(architectures)

    task = replace(make_task("nasbench201"), evaluate=evaluate)
    config = LocalSearchConfig(architectures=250, starts=3, whole_neighbourhood=whole)
    make_searcher("local-search", config).search(task)
    known: set[Architecture] = set()
    tops: list[float] = []
    place = None
    for batch in asked[:-1]:  # the last one may be cut by the budget
        around = set() if place is None else {each for each in neighbours(place) if each.connected()} - known
        if place is None or not around & set(batch):
            assert len(batch) == 3, "a start"
            tops += [] if place is None else hills([place])
            place = batch[0]
        assert len(batch) == 3 or set(batch) == around or (not whole and len(batch) == 1)
        known.update(batch)
        place = max([place, *batch], key=lambda each: hills([each])[0])
    assert tops[0] == 100.0, "there is one top, and the first climb finds it"
    assert len(tops) > 1


def test_neighbours_outside_a_limit_are_passed_over(make_task: MakeTask) -> None:
    task = make_task("nasbench201")
    limit_ms = 0.9 * task.costs["latency_ms"].median
    task = replace(make_task("nasbench201", limit_ms=limit_ms), evaluate=hills)
    found = make_searcher("local-search", LocalSearchConfig(architectures=200, starts=5)).search(task)
    inside = [each for each in task.space.every() if task.predict([each])[0]["latency_ms"] <= limit_ms]
    assert all(row["expected_latency_ms"] <= limit_ms for row in found.history)
    assert next(found.candidates({})).architecture in inside
    assert max(row["validation_accuracy"] for row in found.history) >= max(hills(inside)) - 1
