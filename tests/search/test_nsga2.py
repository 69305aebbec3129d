"""Generations: the better half of parents and children lives, and a limited cost is a constraint, not an objective."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from chronas.pareto import non_dominated
from chronas.search import ObjectiveConfig, Task, make_searcher
from chronas.search.blackbox.nsga2 import Nsga2Config, better_first
from chronas.spaces import Architecture

MakeTask = Callable[..., Task]
CONFIG = Nsga2Config(architectures=240, population=20)


def by_convolutions(architectures: Sequence[Architecture]) -> list[float]:
    return [100.0 * str(each).count("conv_3x3") / 6 for each in architectures]


def points(rows: list[dict[str, float]]) -> np.ndarray:
    return np.array([[-row["validation_accuracy"], row["expected_latency_ms"]] for row in rows])


def test_generations_come_nearer_to_the_front_at_both_of_its_ends(make_task: MakeTask) -> None:
    task = replace(make_task("nasbench201"), evaluate=by_convolutions)
    found = make_searcher("nsga2", CONFIG).search(task)
    every = points(
        [
            {"validation_accuracy": accuracy, **{f"expected_{name}": cost for name, cost in costs.items()}}
            for accuracy, costs in zip(
                by_convolutions(list(task.space.every())), task.predict(list(task.space.every())), strict=True
            )
        ]
    )
    true = every[non_dominated(every)]
    rows = points(found.history)
    reached = rows[non_dominated(rows)]
    assert reached[:, 0].min() == true[:, 0].min()
    assert reached[:, 1].min() <= 1.05 * true[:, 1].min()
    first, last = rows[:20].mean(axis=0), rows[-20:].mean(axis=0)
    assert (last < first).any()


def test_children_mix_the_groups_of_their_parents(make_task: MakeTask) -> None:
    task = replace(make_task("darts"), evaluate=by_convolutions)
    config = Nsga2Config(architectures=40, population=20)
    rows = make_searcher("nsga2", config).search(task).history
    parents = [task.space.parse(row["mode"]) for row in rows[:20]]
    new = [
        any(
            all(
                tuple(child.choices[d] for d in group.decisions) != tuple(each.choices[d] for d in group.decisions)
                for each in parents
            )
            for group in task.space.groups
        )
        for child in (task.space.parse(row["mode"]) for row in rows[20:])
    ]
    assert 0 < sum(new) < 20, "some children are mutants, some are mixtures alone"


def test_with_a_limit_alone_it_looks_for_accuracy_inside(make_task: MakeTask) -> None:
    task = make_task("nasbench201")
    limit_ms = task.costs["latency_ms"].median
    rows = []
    for folder, weights in (("limit", {}), ("both", {"latency_ms": 1e-6})):
        objective = ObjectiveConfig(weights=weights, limits={"latency_ms": limit_ms})
        each = replace(task, folder=task.folder / folder, objective=objective, evaluate=by_convolutions)
        rows.append(points(make_searcher("nsga2", CONFIG).search(each).history))
    assert all((found[:, 1] <= limit_ms).all() for found in rows)
    limited, traded = (found[-60:] for found in rows)
    assert limited[:, 0].mean() < traded[:, 0].mean(), "more accurate"
    assert traded[:, 1].mean() < limited[:, 1].mean(), "faster"


def test_better_means_a_lower_front_and_then_more_room() -> None:
    points = np.array([[2.0, 2.0], [0.0, 4.0], [1.0, 3.9], [1.1, 3.8], [4.0, 0.0], [5.0, 5.0]])
    order = better_first(points)
    assert set(order[:2]) == {1, 4}
    assert order[2:] == [0, 3, 2, 5]
