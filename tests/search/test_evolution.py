"""Children are mutants of the best that live, and the oldest die."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import replace

from chronas.search import Task, make_searcher
from chronas.search.blackbox.evolution import EvolutionConfig
from chronas.search.feasible import neighbours

MakeTask = Callable[..., Task]
LIVING = 5


def test_a_child_is_a_mutant_of_the_best_that_lives_and_age_alone_kills(make_task: MakeTask) -> None:
    """With samples so large that all that live compete; the best of all is soon too old to have children."""
    task = replace(
        make_task("darts"),
        evaluate=lambda architectures: [zlib.crc32(str(each).encode()) / 2**32 * 100 for each in architectures],
    )
    config = EvolutionConfig(architectures=60, population=LIVING, sample=200)
    found = make_searcher("evolution", config).search(task)
    rows = found.history
    parents = []
    for number in range(LIVING, 60):
        parent = max(rows[number - LIVING : number], key=lambda row: float(row["validation_accuracy"]))
        assert task.space.parse(rows[number]["mode"]) in neighbours(task.space.parse(parent["mode"]))
        parents.append(parent["epoch"])
    best = max(rows[:40], key=lambda row: float(row["validation_accuracy"]))
    assert parents[-1] != best["epoch"]
    assert len(set(parents)) > 10


def test_a_population_larger_than_the_budget_is_random_search(make_task: MakeTask) -> None:
    histories = []
    for name in ("evolution", "random"):
        task = replace(make_task("darts", folder=name), evaluate=lambda architectures: [1.0] * len(architectures))
        config = {"evolution": EvolutionConfig(architectures=20, population=30)}.get(name)
        histories.append([row["mode"] for row in make_searcher(name, config).search(task).history])
    assert histories[0][:16] == histories[1]
