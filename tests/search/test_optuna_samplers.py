"""Optuna's samplers learn from what they are told, keep limits, and a missing package is one line."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from chronas.errors import MissingExtraError
from chronas.search import Task, make_searcher
from chronas.search.blackbox.optuna_samplers import OptunaConfig
from chronas.spaces import Architecture

MakeTask = Callable[..., Task]
SAMPLERS = ["tpe", "nsga2"]


def by_convolutions(architectures: Sequence[Architecture]) -> list[float]:
    return [100.0 * str(each).count("conv_3x3") / 6 for each in architectures]


def test_without_the_package_it_says_how_to_get_it(make_task: MakeTask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtraError, match=r"needs the package optuna: pip install 'chronas\[baselines\]'"):
        make_searcher("optuna").search(make_task("nasbench201"))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_sampler_learns_and_keeps_the_limit(make_task: MakeTask, sampler: str) -> None:
    pytest.importorskip("optuna", reason="optuna is not installed")
    limit_ms = make_task("nasbench201").costs["latency_ms"].median
    task = replace(make_task("nasbench201", limit_ms=limit_ms), evaluate=by_convolutions)
    config = OptunaConfig.model_validate({"architectures": 150, "sampler": sampler})
    rows = make_searcher("optuna", config).search(task).history
    assert len({row["mode"] for row in rows}) == 150
    assert all(row["expected_latency_ms"] <= limit_ms for row in rows)
    first, last = ([row["validation_accuracy"] for row in part] for part in (rows[:50], rows[-50:]))
    assert sum(last) > sum(first) + 50 * 5
    again = make_searcher("optuna", config).search(replace(task, folder=task.folder / "again")).history
    assert [row["mode"] for row in again] == [row["mode"] for row in rows]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_it_ends_where_nothing_is_left_and_searches_groups_of_several(make_task: MakeTask, sampler: str) -> None:
    pytest.importorskip("optuna", reason="optuna is not installed")
    task = replace(make_task("nasbench201"), evaluate=by_convolutions)
    limit_ms = sorted(each["latency_ms"] for each in task.predict(list(task.space.every())))[29]
    config = OptunaConfig.model_validate({"architectures": 300, "sampler": sampler})
    limited = replace(make_task("nasbench201", folder="few", limit_ms=limit_ms), evaluate=by_convolutions)
    assert len(make_searcher("optuna", config).search(limited).history) == 30
    few = config.model_copy(update={"architectures": 12})
    darts = make_searcher("optuna", few).search(replace(make_task("darts"), evaluate=by_convolutions))
    assert len(darts.history) == 12
