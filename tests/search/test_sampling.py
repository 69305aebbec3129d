"""The journal is the whole state of a sampling search; budgets end it; what it found is ranked, limited and a front."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from chronas.errors import DataError, OutOfReachError, UsageError
from chronas.search import Cost, ObjectiveConfig, Searcher, Task, make_searcher, searcher_class
from chronas.search.blackbox import loop as sampling
from chronas.spaces import Architecture

MakeTask = Callable[..., Task]
NAMES = ["random", "evolution", "local-search", "nsga2"]


class Stopped(Exception):
    """What a test ends a search with."""


class Judge:
    """More convolutions are better; stops when it was asked for so many, and remembers what it was asked."""

    def __init__(self, last: int = 10_000) -> None:
        self.asked: list[Architecture] = []
        self._last = last

    def __call__(self, architectures: Sequence[Architecture]) -> list[float]:
        if len(self.asked) >= self._last:
            raise Stopped
        self.asked.extend(architectures)
        return [100.0 * str(each).count("conv") / 6 - len(str(each)) / 100 for each in architectures]


def searcher(name: str, count: int = 60, **others: float) -> Searcher:
    config = searcher_class(name).Config
    small = {"architectures": count, "population": 8, "sample": 4, "starts": 4, **others}
    return make_searcher(name, config.model_validate({key: small[key] for key in small.keys() & config.model_fields}))


def untimed(history: list[dict[str, object]]) -> list[dict[str, object]]:
    return [{**row, "seconds": 0} for row in history]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("space", ["nasbench201", "darts", "fbnet"])
def test_a_search_that_was_stopped_goes_on_to_the_same(
    make_task: MakeTask, monkeypatch: pytest.MonkeyPatch, name: str, space: str
) -> None:
    monkeypatch.setattr(sampling, "SAVE_EVERY_S", 0.0)
    task = replace(make_task(space, folder="straight"), evaluate=Judge())
    limit_ms = task.costs["latency_ms"].median
    limited = replace(task, objective=ObjectiveConfig(limits={"latency_ms": limit_ms}))
    straight = searcher(name).search(limited)
    parts: list[Architecture] = []
    for last in (3, 20, 10_000):
        judge = Judge(last)
        stopped = replace(limited, folder=task.folder.parent / "stopped", evaluate=judge)
        try:
            resumed = searcher(name).search(stopped)
        except Stopped:
            assert last < 10_000
        parts += judge.asked
    assert untimed(resumed.history) == untimed(straight.history)
    assert [str(each) for each in parts] == [row["mode"] for row in straight.history], "nothing is assessed twice"
    assert len(set(parts)) == 60
    assert all(row["expected_latency_ms"] <= limit_ms for row in straight.history)
    assert list(resumed.candidates({})) == list(straight.candidates({}))


@pytest.mark.parametrize("name", NAMES)
def test_another_seed_searches_elsewhere(make_task: MakeTask, name: str) -> None:
    histories = [
        [row["mode"] for row in searcher(name).search(replace(task, evaluate=Judge())).history]
        for task in (make_task("darts", folder="zero"), make_task("darts", folder="one", seed=1))
    ]
    assert set(histories[0]).isdisjoint(histories[1][:4])


@pytest.mark.parametrize("name", NAMES)
def test_a_search_ends_where_no_architecture_is_left(make_task: MakeTask, name: str) -> None:
    task = replace(make_task("nasbench201"), evaluate=Judge())
    every = task.predict(list(task.space.every()))
    limit_ms = sorted(each["latency_ms"] for each in every)[39]
    limited = replace(task, objective=ObjectiveConfig(limits={"latency_ms": limit_ms}))
    found = searcher(name, count=500).search(limited)
    assert len({row["mode"] for row in found.history}) == 40
    assert len(found.history) == 40


@pytest.mark.parametrize("name", NAMES)
def test_a_budget_in_seconds_ends_the_search_after_at_least_one(make_task: MakeTask, name: str) -> None:
    task = replace(make_task("nasbench201"), evaluate=Judge())
    found = searcher(name, seconds=1e-9).search(task)
    assert len(found.history) == 1
    assert searcher(name, seconds=1e-9).search(task).history == found.history


def test_a_journal_that_was_changed_is_refused(make_task: MakeTask) -> None:
    task = replace(make_task("nasbench201"), evaluate=Judge())
    searcher("evolution").search(task)
    path = task.folder / "search.json"
    content = json.loads(path.read_text())
    content["history"][3]["mode"] = content["history"][4]["mode"]
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match="this version of chronas proposes"):
        searcher("evolution").search(task)
    path.write_text("{")
    with pytest.raises(DataError, match=r"search\.json is not valid JSON"):
        searcher("evolution").search(task)


def test_what_was_found_is_ranked_by_errors_and_price_and_kept_inside_limits(make_task: MakeTask) -> None:
    task = replace(make_task("nasbench201", weight=2.0), evaluate=Judge())
    found = searcher("random").search(task)
    median_ms = task.costs["latency_ms"].median
    values = [
        1 - row["validation_accuracy"] / 100 + 2 * row["expected_latency_ms"] / median_ms for row in found.history
    ]
    ranked = [found.history[n]["mode"] for n in np.argsort(values, kind="stable")]
    assert [str(each.architecture) for each in found.candidates({})] == ranked
    inside = list(found.candidates({"latency_ms": median_ms}))
    assert 0 < len(inside) < 60
    assert all(each.costs["latency_ms"] <= median_ms for each in inside)
    with pytest.raises(OutOfReachError, match="of 60 evaluated architectures none is predicted within 0.1 ms"):
        next(found.candidates({"latency_ms": 0.1}))


def test_the_front_is_what_no_other_beats_in_accuracy_and_costs(make_task: MakeTask) -> None:
    task = make_task("nasbench201")
    energy = Cost(lambda codes: codes[:, ::3].sum(dim=1) + 1.0, 3.0)
    costs = {**task.costs, "energy_mj": energy}
    found = searcher("nsga2").search(replace(task, costs=costs, evaluate=Judge()))
    assert isinstance(found, sampling.BlackBoxResult)
    for names in (["latency_ms"], ["latency_ms", "energy_mj"], []):
        keys = [(-row["validation_accuracy"], *(row[f"expected_{name}"] for name in names)) for row in found.history]
        best = {
            row["mode"]
            for row, key in zip(found.history, keys, strict=True)
            if not any(other != key and all(a <= b for a, b in zip(other, key, strict=True)) for other in keys)
        }
        front = found.front(names)
        assert {str(each.architecture) for each in front} == best
        accuracies = [each.score for each in front]
        assert accuracies == sorted(accuracies, reverse=True)
    with pytest.raises(UsageError, match="needs a fitted predictor of peak_memory_mib"):
        found.front(["peak_memory_mib"])


def test_a_limit_that_nothing_keeps_is_refused_before_anything_is_assessed(make_task: MakeTask) -> None:
    judge = Judge()
    task = replace(make_task("nasbench201", limit_ms=0.5), evaluate=judge)
    for name in NAMES:
        with pytest.raises(OutOfReachError, match=r"predicted within 0.5 ms; the nearest that was found"):
            searcher(name).search(task)
    assert not judge.asked
    assert not (task.folder / "search.json").exists()


def test_progress_counts_the_supernet_and_the_assessments(make_task: MakeTask, tmp_path: Path) -> None:
    seen: list[tuple[int, int, str]] = []
    config = searcher_class("evolution").Config.model_validate(
        {"architectures": 4, "epochs": 2, "batch": 64, "width": 4, "depth": 1}
    )
    make_searcher("evolution", config).search(
        replace(make_task("nasbench201"), folder=tmp_path),
        lambda _, done, total, note: seen.append((done, total, note)),
    )
    assert [done for done, _, _ in seen] == list(range(1, 11))
    assert {total for _, total, _ in seen} == {10}
    assert seen[0][2] == "supernet, epoch 1 of 2"
    assert seen[-1][2].startswith("architecture 4, validation ")
