"""Bayesian optimisation needs fewer trainings than luck does, keeps limits, and does not fall for a lucky training."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from chronas.errors import MismatchError, OutOfReachError
from chronas.search import Cost, TableEvaluator, Task, make_searcher, searcher_class
from chronas.search.blackbox import loop as sampling
from chronas.search.blackbox.bayesian import Bayesian, BayesianConfig
from chronas.search.blackbox.loop import BlackBoxResult
from chronas.spaces import Architecture, make_space

MakeTask = Callable[..., Task]
SPACE = make_space("nasbench201")
FEW = BayesianConfig(architectures=30, initial_random=10)
TRAINED = BayesianConfig(
    architectures=5,
    initial_random=3,
    epochs=1,
    batch=64,
    learning_rate=0.1,
    crop_padding=0,
    flip=False,
    width=4,
    depth=1,
)


def convolutions(architectures: Sequence[Architecture]) -> list[float]:
    """A made-up truth: weighted operations on paths that are alive, in percent."""
    return [
        50.0 + 5.0 * sum(str(each.pruned()).count(name) for name in ("conv_3x3~", "conv_1x1~"))
        for each in architectures
    ]


def test_it_finds_better_networks_than_random_search_at_equal_trainings(make_task: MakeTask, shared_data: Path) -> None:
    table = pl.read_parquet(shared_data / "nasbench201" / "accuracy.parquet")
    truth = dict(zip(table["arch_str"], table["cifar10_val_acc_200"], strict=True))
    best = {"random": [], "bayesian": []}
    for seed in range(6):
        noise = np.random.default_rng(seed).normal(0.0, 1.0, len(truth))
        noisy = {text: min(100.0, value + error) for (text, value), error in zip(truth.items(), noise, strict=True)}
        for name, found in best.items():
            task = make_task("nasbench201", folder=f"{name}-{seed}", seed=seed)
            searcher = make_searcher(name, searcher_class(name).Config.model_validate({"architectures": 48}))
            first = next(searcher.search(replace(task, evaluate=TableEvaluator(noisy))).candidates({}))
            found.append(truth[str(first.architecture)])
    assert np.mean(best["bayesian"]) > np.mean(best["random"]) + 0.2, best


def test_nothing_outside_the_limit_is_trained_and_nothing_twice(make_task: MakeTask) -> None:
    task = replace(make_task("nasbench201", limit_ms=3.5), evaluate=convolutions)
    found = make_searcher("bayesian", FEW).search(task)
    assert len({row["mode"] for row in found.history}) == len(found.history) == 30
    assert all(row["expected_latency_ms"] <= 3.5 for row in found.history)


def test_isomorphic_cells_are_trained_once(make_task: MakeTask) -> None:
    config = FEW.model_copy(update={"architectures": 40})
    found = make_searcher("bayesian", config).search(replace(make_task("nasbench201"), evaluate=convolutions))
    chosen = [SPACE.parse(row["mode"]).canonical() for row in found.history]
    assert len(set(chosen[FEW.initial_random :])) == 30
    assert not set(chosen[FEW.initial_random :]) & set(chosen[: FEW.initial_random])


def test_a_region_is_searched_to_its_end_and_no_cell_that_images_do_not_pass_is_trained(make_task: MakeTask) -> None:
    def edges(codes: torch.Tensor) -> torch.Tensor:
        return 1.0 + codes.reshape(len(codes), 6, 5)[:, :, 1:].sum(dim=(1, 2))

    every = [SPACE.from_index(index) for index in range(SPACE.cardinality)]
    inside = {str(cell) for cell in every if sum(choice != 0 for choice in cell.choices) <= 1}
    passed = {text for text in inside if not text.rpartition("+")[2].startswith("|none~0")}
    assert len(passed) == 4 < len(inside), "one operation, from the input to the end"
    task = make_task("nasbench201", limit_ms=2.5)
    task = replace(task, costs={"latency_ms": Cost(edges, 4.0)}, evaluate=convolutions)
    config = FEW.model_copy(update={"architectures": 40, "initial_random": 3})
    found = make_searcher("bayesian", config).search(task)
    trained = {row["mode"] for row in found.history}
    assert trained == passed
    assert isinstance(found, BlackBoxResult)
    again = Bayesian(config, known=found.trials).search(replace(task, folder=task.folder / "again"))
    assert again.history == [], "all of it is known"
    assert list(again.candidates({})) == list(found.candidates({}))
    nothing = task.objective.model_copy(update={"limits": {"latency_ms": 0.5}})
    with pytest.raises(OutOfReachError, match="nearest that was found is predicted at 1 ms"):
        Bayesian(config, known=found.trials).search(replace(task, objective=nothing, folder=task.folder / "nothing"))
    dead = task.objective.model_copy(update={"limits": {"latency_ms": 1.5}})
    with pytest.raises(OutOfReachError, match="all architectures found in nasbench201 within 1.5 ms are disconnected"):
        Bayesian(config).search(replace(task, objective=dead, folder=task.folder / "dead"))
    levels = [{"latency_ms": limit_ms} for limit_ms in (1.5, 2.5)]
    assert {str(each.architecture) for each in found.contenders(levels)} == trained


def test_candidates_go_on_where_a_limit_was_tightened_past_all_that_was_trained(make_task: MakeTask) -> None:
    task = replace(make_task("nasbench201", limit_ms=3.5), evaluate=convolutions)
    found = make_searcher("bayesian", FEW).search(task)
    trained = {row["mode"] for row in found.history}
    tightened = {"latency_ms": float(np.median([row["expected_latency_ms"] for row in found.history]))}
    candidates = list(found.candidates(tightened))
    assert all(each.violation(tightened) == 0 for each in candidates)
    known = [str(each.architecture) in trained for each in candidates]
    assert known == sorted(known, reverse=True), "what was trained comes first"
    others = [each.architecture for each in candidates if str(each.architecture) not in trained]
    assert len(others) > 8
    posterior_means = convolutions(others)
    assert np.mean(posterior_means[: len(posterior_means) // 4]) > np.mean(
        posterior_means[-len(posterior_means) // 4 :]
    ), "best first"
    with pytest.raises(OutOfReachError, match="is predicted within"):
        list(found.candidates({"latency_ms": 1e-6}))


class Mortal:
    """The made-up truth, until so many were asked for."""

    def __init__(self, last: int) -> None:
        self._left = last

    def __call__(self, architectures: Sequence[Architecture]) -> list[float]:
        self._left -= len(architectures)
        if self._left < 0:
            raise KeyboardInterrupt
        return convolutions(architectures)


def test_a_search_that_was_killed_trains_the_same_networks(
    make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling, "SAVE_EVERY_S", 0.0)
    straight = make_searcher("bayesian", FEW).search(replace(make_task("nasbench201"), evaluate=Mortal(1000)))
    task = make_task("nasbench201", folder="killed")
    with pytest.raises(KeyboardInterrupt):
        make_searcher("bayesian", FEW).search(replace(task, evaluate=Mortal(21)))
    assert (task.folder / sampling.FILE).exists()
    resumed = make_searcher("bayesian", FEW).search(replace(task, evaluate=Mortal(1000)))
    assert [row["mode"] for row in resumed.history] == [row["mode"] for row in straight.history]
    assert list(resumed.candidates({})) == list(straight.candidates({}))


def test_the_answer_is_not_the_luckiest_training(make_task: MakeTask) -> None:
    lucky: list[Architecture] = []

    def once_lucky(architectures: Sequence[Architecture]) -> list[float]:
        values = convolutions(architectures)
        for number, (each, value) in enumerate(zip(architectures, values, strict=True)):
            if not lucky and value <= 60.0:
                lucky.append(each)
                values[number] = 90.0
        return values

    found = make_searcher("bayesian", FEW).search(replace(make_task("nasbench201"), evaluate=once_lucky))
    assert max(found.history, key=lambda row: float(row["validation_accuracy"]))["mode"] == str(lucky[0])
    best = next(found.candidates({})).architecture
    assert best != lucky[0]
    assert convolutions([best])[0] >= 70.0


def test_a_latency_weight_is_traded_against_accuracy(make_task: MakeTask) -> None:
    fast, slow = (
        next(
            make_searcher("bayesian", FEW)
            .search(replace(make_task("nasbench201", folder=str(weight), weight=weight), evaluate=convolutions))
            .candidates({})
        ).costs["latency_ms"]
        for weight in (2.0, 0.0)
    )
    assert fast < slow


def test_what_another_search_knows_is_not_trained_again(make_task: MakeTask) -> None:
    free = make_searcher("bayesian", FEW).search(replace(make_task("nasbench201"), evaluate=convolutions))
    assert isinstance(free, BlackBoxResult)
    task = replace(make_task("nasbench201", folder="limit", limit_ms=3.5), evaluate=convolutions)
    config = FEW.model_copy(update={"architectures": 8})
    limited = Bayesian(config, known=free.trials).search(task)
    assert len(limited.history) == 8
    assert {row["mode"] for row in limited.history}.isdisjoint(row["mode"] for row in free.history)
    assert all(candidate.costs["latency_ms"] <= 3.5 for candidate in limited.candidates({"latency_ms": 3.5}))
    inside = [each for each in free.trials if each.costs["latency_ms"] <= 3.5]
    assert isinstance(limited, BlackBoxResult)
    assert len(limited.trials) == 8 + len(inside)
    with pytest.raises(MismatchError, match="known"):
        Bayesian(config, known=free.trials[:9]).search(task)


def test_random_networks_are_begun_with_together_and_are_the_same_ones(make_task: MakeTask) -> None:
    """Two processes that wait for each other after each pair stand still for a part of the time."""
    asked: list[int] = []

    class Counted:
        def __call__(self, architectures: Sequence[Architecture]) -> list[float]:
            asked.append(len(architectures))
            return convolutions(architectures)

    found = []
    for workers in (1, 2):
        task = replace(make_task("nasbench201", folder=str(workers)), evaluate=Counted())
        config = FEW.model_copy(update={"workers": workers, "architectures": 14})
        found.append([row["mode"] for row in make_searcher("bayesian", config).search(task).history])
    assert found[0] == found[1]
    assert asked == [2] * 7 + [8, 2, 2, 2]


def test_trainings_in_processes_say_what_trainings_here_say(make_task: MakeTask) -> None:
    here = make_searcher("bayesian", TRAINED).search(make_task("nasbench201", folder="here"))
    config = TRAINED.model_copy(update={"workers": 2})
    beside = make_searcher("bayesian", config).search(make_task("nasbench201", folder="beside"))
    assert [{**row, "seconds": 0} for row in beside.history] == [{**row, "seconds": 0} for row in here.history]
    assert all(row["validation_loss"] > 0 for row in here.history)


SCRIPT = """
import sys
from pathlib import Path
from chronas.data import Normalisation, load_dataset, split
from chronas.search import SearchImages, Task, make_searcher
from chronas.search.blackbox.bayesian import BayesianConfig
from chronas.spaces import NetworkSize, make_space

train, validation = split(load_dataset("digits").train, 0.1, seed=0)
size = NetworkSize(input_shape=(1, 8, 8), outputs=10, width=4, depth=1)
task = Task(
    make_space("nasbench201"), size, Path(sys.argv[1]), SearchImages(validation, validation, Normalisation.of(train)),
)
config = BayesianConfig(architectures=2, initial_random=2, epochs=1, crop_padding=0, flip=False, workers=2)
print(len(make_searcher("bayesian", config).search(task).history), "trained")
"""


def test_a_script_without_a_guard_of_its_own_can_train_in_processes(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [sys.executable, str(tmp_path / "script.py"), str(tmp_path / "search")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.stdout == "2 trained\n", done.stderr


def test_images_may_be_fewer_and_smaller(make_task: MakeTask) -> None:
    whole = make_searcher("bayesian", TRAINED).search(make_task("nasbench201", folder="whole"))
    config = TRAINED.model_copy(update={"images": 96, "image_stride": 2})
    part = make_searcher("bayesian", config).search(make_task("nasbench201", folder="part"))
    assert [row["mode"] for row in part.history[:3]] == [row["mode"] for row in whole.history[:3]]
    assert part.history[0]["validation_loss"] != whole.history[0]["validation_loss"]
