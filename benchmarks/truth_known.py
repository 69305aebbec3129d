"""What is known of NAS-Bench-201 (arXiv 2001.00326): accuracies and latencies of all cells, and limits to search in.

truth = Truth.read(Path("../shared/data/nasbench201"), ("gold_6240", "raspi4"))
for problem in problems(truth):
    best = truth.test[truth.inside(problem)].max()

Accuracies are CIFAR-10's after 200 epochs; latencies are HELP's tables (arXiv 2106.08630), some of them
HW-NAS-Bench's (arXiv 2103.10584).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from chronas.search import Cost
from chronas.spaces import make_space

SPACE = make_space("nasbench201")
QUARTILES = (25, 50, 75)
FRONT_ACCURACY = 90.0  # percent: of the reference point of a hypervolume, with the slowest cell

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Problem:
    """A limit to search within; none has no device."""

    device: str | None
    quartile: int | None
    limit_ms: float | None

    @property
    def name(self) -> str:
        return "no limit" if self.device is None else f"{self.device} {self.quartile} %"

    @property
    def folder(self) -> str:
        return self.name.replace(" %", "").replace(" ", "-")


@dataclass(frozen=True)
class Truth:
    """All that is known of the 15,625 architectures, by official index; accuracies in percent."""

    validation: Array
    test: Array
    macs: Array
    latencies: Mapping[str, Array]

    @classmethod
    def read(cls, folder: Path, devices: Sequence[str]) -> Truth:
        accuracy = pl.read_parquet(folder / "accuracy.parquet").sort("arch_idx")
        latency = pl.read_parquet(folder / "latency_help.parquet").sort("arch_idx")
        return cls(
            accuracy["cifar10_val_acc_200"].to_numpy(),
            accuracy["cifar10_test_acc_200_nb201v10"].to_numpy(),
            accuracy["flops_M"].to_numpy(),
            {device: latency[f"{device}_ms"].to_numpy().copy() for device in devices},
        )

    def cost(self, device: str) -> Cost:
        """The table as a cost: each architecture's own latency, in ms."""
        values = torch.from_numpy(self.latencies[device])
        powers = torch.tensor([len(SPACE.decisions[0].options) ** d for d in range(len(SPACE.decisions))])
        codes = torch.from_numpy(SPACE.encode([SPACE.from_index(n) for n in range(SPACE.cardinality)]))
        place = torch.empty(SPACE.cardinality, dtype=torch.long)
        place[_number(codes, powers)] = torch.arange(SPACE.cardinality)
        return Cost(lambda asked: values[place[_number(asked, powers)]], float(values.median()))

    def inside(self, problem: Problem) -> NDArray[np.bool_]:
        """Whether each keeps the problem's limit."""
        if problem.device is None or problem.limit_ms is None:
            return np.ones(SPACE.cardinality, dtype=bool)
        return self.latencies[problem.device] <= problem.limit_ms


def _number(codes: Tensor, powers: Tensor) -> Tensor:
    """Encodings [N, W] -> numbers [N] of their own."""
    return (codes.reshape(len(codes), len(powers), -1).argmax(dim=2) * powers).sum(dim=1)


def problems(truth: Truth) -> list[Problem]:
    """No limit, and each quartile of each device's latencies."""
    limits = [(d, q, float(np.percentile(ms, q))) for d, ms in truth.latencies.items() for q in QUARTILES]
    return [Problem(None, None, None), *(Problem(*each) for each in limits)]


def hypervolume(latencies: Array, accuracies: Array, slowest: float | None = None) -> float:
    """The area that points dominate up to the reference: the slowest cell, and `FRONT_ACCURACY`."""
    slowest = float(latencies.max()) if slowest is None else slowest
    area, height = 0.0, FRONT_ACCURACY
    for n in np.argsort(latencies, kind="stable"):
        if accuracies[n] > height:
            area += (slowest - latencies[n]) * (accuracies[n] - height)
            height = accuracies[n]
    return float(area)
