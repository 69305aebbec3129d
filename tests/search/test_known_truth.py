"""On NAS-Bench-201's real accuracies and latencies each sampling searcher beats random search at equal evaluations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from chronas.search import Cost, ObjectiveConfig, TableEvaluator, Task, make_searcher, searcher_class

MakeTask = Callable[..., Task]
SEEDS, EVALUATIONS = 10, 300
LIMIT = 0.5  # quantile of the latencies
FLOOR = 80.0  # percent: the reference point of the hypervolume, with the slowest cell


@dataclass(frozen=True)
class Truth:
    """Validation accuracy in percent and latency in ms of all 15,625 cells, by text."""

    accuracy: dict[str, float]
    latency_ms: dict[str, float]

    @property
    def limit_ms(self) -> float:
        return float(np.quantile(list(self.latency_ms.values()), LIMIT))

    def task(self, task: Task, folder: str, seed: int, *, limited: bool) -> Task:
        cells = list(task.space.every())
        places = torch.tensor([5**d for d in range(6)])
        values = torch.zeros(5**6, dtype=torch.float64)
        numbers = torch.tensor([cell.choices for cell in cells]) @ places
        values[numbers] = torch.tensor([self.latency_ms[str(cell)] for cell in cells], dtype=torch.float64)
        latency = Cost(lambda codes: values[codes.view(-1, 6, 5).argmax(dim=2) @ places], float(values.median()))
        limits = {"latency_ms": self.limit_ms} if limited else {}
        return replace(
            task,
            costs={"latency_ms": latency},
            objective=ObjectiveConfig(limits=limits),
            folder=task.folder / folder / str(seed),
            seed=seed,
            evaluate=TableEvaluator(self.accuracy),
        )

    def hypervolume(self, cells: list[str]) -> float:
        """What the cells' front covers, in ms * percent."""
        worst_ms, covered, level = max(self.latency_ms.values()), 0.0, FLOOR
        for cell in sorted(cells, key=lambda cell: self.latency_ms[cell]):
            gain = max(self.accuracy[cell] - level, 0.0)
            covered, level = covered + gain * (worst_ms - self.latency_ms[cell]), level + gain
        return covered


@pytest.fixture(scope="module")
def truth() -> Truth:
    data = Path(__file__).resolve().parents[3] / "shared" / "data" / "nasbench201"
    if not data.is_dir():
        pytest.skip("no ../shared/data beside this checkout")
    accuracies = pl.read_parquet(data / "accuracy.parquet", columns=["arch_str", "cifar10_val_acc_200"])
    latencies = pl.read_parquet(data / "latency_help.parquet", columns=["arch_str", "raspi4_ms"])
    return Truth(dict(accuracies.iter_rows()), dict(latencies.iter_rows()))


def run(truth: Truth, task: Task, name: str, *, limited: bool) -> tuple[float, float]:
    """Mean over seeds of the accuracy of what is derived and of the hypervolume of all that was assessed."""
    accuracies, volumes = [], []
    config = searcher_class(name).Config.model_validate({"architectures": EVALUATIONS})
    for seed in range(SEEDS):
        found = make_searcher(name, config).search(truth.task(task, name, seed, limited=limited))
        cells = [row["mode"] for row in found.history]
        assert len(set(cells)) == EVALUATIONS
        best = str(next(found.candidates({})).architecture)
        assert truth.accuracy[best] == max(truth.accuracy[cell] for cell in cells)
        if limited:
            assert all(truth.latency_ms[cell] <= truth.limit_ms for cell in cells)
        accuracies.append(truth.accuracy[best])
        volumes.append(truth.hypervolume(cells))
    return float(np.mean(accuracies)), float(np.mean(volumes))


@pytest.fixture(scope="module")
def baseline() -> dict[bool, tuple[float, float]]:
    """What random search reached, by whether there was a limit; filled by the first test that needs it."""
    return {}


@pytest.mark.parametrize("limited", [False, True], ids=["free", "limited"])
@pytest.mark.parametrize("name", ["evolution", "local-search", "nsga2"])
def test_it_beats_random_search_in_the_mean(
    truth: Truth, make_task: MakeTask, baseline: dict[bool, tuple[float, float]], name: str, *, limited: bool
) -> None:
    task = make_task("nasbench201")
    if limited not in baseline:
        baseline[limited] = run(truth, task, "random", limited=limited)
    accuracy, volume = run(truth, task, name, limited=limited)
    assert accuracy > baseline[limited][0] + 0.1
    if not limited:
        assert volume > baseline[limited][1]
