"""How cost grows: a supernet's step with channels, cells, batch and operations; a campaign with networks; a front with
rows.

    python benchmarks/growth.py --out results

Time is CPU seconds of this process, the least of some calls. Memory of a step is what its forward pass keeps for the
backward pass, each storage once. Writes one growth-*.svg for each and prints growth.md's table; last line JSON: the
exponent k of cost ~ size^k between the two largest sizes.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from chronas.devices import make_device
from chronas.measurement import Plan, run_campaign
from chronas.spaces import Skeleton, make_space
from chronas.supernets import build_supernet
from chronas.tables import pareto_front

MIB = 2**20


@dataclass(frozen=True)
class Step:
    """Sizes of a DARTS supernet's step on images of 16x16; of its seven operations the first ones are computed."""

    channels: int = 8
    cells: int = 4
    batch: int = 8
    operations: int = 7


SIZES = {
    "channels": (4, 8, 16),
    "cells": (2, 4, 8),
    "batch": (4, 8, 16),
    "operations": (2, 3, 4, 5, 6, 7),
}
NETWORKS = (25, 50, 100)
ROWS = (1_000, 10_000, 100_000, 1_000_000)
WORDS = {
    "step_s": "CPU s a step",
    "kept_mib": "MiB kept",
    "campaign_s": "CPU s of a campaign",
    "front_s": "CPU s of a Pareto front",
}
QUICK = 2  # sizes of each, the smallest


def cpu_s(work: Callable[[], object], calls: int = 3) -> float:
    """The least CPU seconds of some calls."""
    times = []
    for _ in range(calls):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return min(times)


def step_cost(step: Step) -> tuple[float, float]:
    """CPU seconds of forward and backward, and MiB that are kept between them."""
    space = make_space("darts")
    skeleton = Skeleton(input_shape=(3, 16, 16), classes=10, width=step.channels, depth=step.cells)
    supernet = build_supernet(space, skeleton)
    edges, options = len(space.decisions), len(space.decisions[0].relaxed)
    weights = torch.full((edges, options), 1 / options, requires_grad=True)
    computed = torch.zeros(edges, options, dtype=torch.bool)
    computed[:, supernet.selectable[: step.operations]] = True
    images = torch.randn(step.batch, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    def work() -> None:
        labels = torch.zeros(step.batch, dtype=torch.int64)
        functional.cross_entropy(supernet(images, weights, torch.ones(edges), computed=computed), labels).backward()

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        work()
    return cpu_s(work), sum(kept.values()) / MIB


def campaign_s(networks: int) -> float:
    """CPU seconds to measure so many cells of NAS-Bench-201 on the simulated device."""
    space = make_space("nasbench201")
    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        journal = Path(folder) / "journal.sqlite"
        run_campaign(
            make_device("simulated"), space.skeletons["cifar10"], space.sample(networks, 0), Plan(rounds=2), journal
        )
        return time.process_time() - began


def front_s(rows: int) -> float:
    """CPU seconds of a Pareto front on two costs."""
    costs = np.random.default_rng(0).uniform(1, 50, (rows, 2))
    return cpu_s(lambda: pareto_front(costs))


def measured(shortest: int | None) -> dict[str, list[tuple[int, dict[str, float]]]]:
    """For each thing that grows: its sizes, and what each costs."""
    found: dict[str, list[tuple[int, dict[str, float]]]] = {}
    for name, sizes in SIZES.items():
        costs = [(size, step_cost(replace(Step(), **{name: size}))) for size in sizes[:shortest]]
        found[name] = [(size, {"step_s": seconds, "kept_mib": mib}) for size, (seconds, mib) in costs]
    found["networks"] = [(size, {"campaign_s": campaign_s(size)}) for size in NETWORKS[:shortest]]
    found["rows"] = [(size, {"front_s": front_s(size)}) for size in ROWS[:shortest]]
    return found


def plot(name: str, points: list[tuple[int, dict[str, float]]], path: Path) -> None:
    """Both axes are logarithmic: a straight line of slope one is cost in proportion."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import FormatStrFormatter, NullFormatter

    costs = list(points[0][1])
    figure = Figure(figsize=(3.2 * len(costs), 2.6), layout="constrained")
    for axes, cost in zip(np.ravel(figure.subplots(1, len(costs))), costs, strict=True):
        sizes, values = zip(*((size, found[cost]) for size, found in points), strict=True)
        axes.loglog(sizes, values, marker="o")
        axes.set(xlabel=name, ylabel=WORDS[cost])
        for axis, ticks in ((axes.xaxis, sizes), (axes.yaxis, values)):
            axis.set_ticks(ticks)
            axis.set_major_formatter(FormatStrFormatter("%.3g"))
            axis.set_minor_formatter(NullFormatter())
        axes.grid(visible=True, alpha=0.3)
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="folder for growth-*.svg; none are written without it")
    parser.add_argument("--quick", action="store_true", help="only the two smallest sizes of each")
    options = parser.parse_args()
    exponents = {}
    print("| what | size | cost |\n|---|--:|--:|")
    for name, points in measured(QUICK if options.quick else None).items():
        for size, found in points:
            print(f"| {name} | {size} | {', '.join(f'{cost} {value:.3g}' for cost, value in found.items())} |")
        (small, before), (large, after) = points[-2:]
        for cost in after:
            exponent = math.log(after[cost] / before[cost]) / math.log(large / small)
            exponents[f"{cost} by {name}"] = round(exponent, 2)
        if options.out is not None:
            plot(name, points, options.out / f"growth-{name}.svg")
    print(json.dumps({"benchmark": "growth", "exponents": exponents}))


if __name__ == "__main__":
    main()
