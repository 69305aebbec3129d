"""How cost grows: a supernet's step with channels, cells, batch and operations; a campaign with networks; what a table
is asked for with rows.

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
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
import torch
from torch.nn import functional

from chronas.devices import make_device
from chronas.measurement import Plan, run_campaign
from chronas.spaces import NetworkSize, make_space
from chronas.supernets import build_supernet
from chronas.tables import CostTable, Provenance, Query

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
ANSWERS = 100  # that the seconds of one are the mean of
WORDS = {
    "step_s": "CPU s a step",
    "kept_mib": "MiB kept",
    "campaign_s": "CPU s of a campaign",
    "save_s": "CPU s to write a table",
    "load_s": "CPU s to read it",
    "limit_s": "CPU s: rows within a limit",
    "front_s": "CPU s of a Pareto front",
    "answer_s": "CPU s of one network",
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
    size = NetworkSize(input_shape=(3, 16, 16), outputs=10, width=step.channels, depth=step.cells)
    supernet = build_supernet(space, size)
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
        loss = functional.cross_entropy(supernet(images, weights, torch.ones(edges), computed=computed), labels)
        loss.backward()  # type: ignore[no-untyped-call]

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
            make_device("simulated"), space.sizes["cifar10"], space.sample(networks, 0), Plan(rounds=2), journal
        )
        return time.process_time() - began


def table_costs(rows: int) -> dict[str, float]:
    """CPU seconds of writing and reading a table of DARTS networks with two costs, and of asking it."""
    space, random = make_space("darts"), np.random.default_rng(0)
    texts = [str(architecture) for architecture in space.sample(rows, seed=0)]
    costs = {cost: random.uniform(1, 50, rows) for cost in ("latency_ms", "energy_mj")}
    provenance = Provenance(space.name, space.sizes["cifar10"], {"name": "random"}, source="random")
    table = CostTable.from_values(pl.DataFrame({"architecture": texts, **costs}), provenance)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.parquet"
        found = {"save_s": cpu_s(lambda: table.save(path)), "load_s": cpu_s(lambda: CostTable.load(path))}
    query = Query([table])
    return found | {
        "limit_s": cpu_s(lambda: query.where(["latency_ms<=10"])),
        "front_s": cpu_s(lambda: query.pareto(list(costs))),
        "answer_s": cpu_s(lambda: [query.records(text) for text in texts[:ANSWERS]]) / ANSWERS,
    }


def measured(shortest: int | None) -> dict[str, list[tuple[int, dict[str, float]]]]:
    """For each thing that grows: its sizes, and what each costs."""
    found: dict[str, list[tuple[int, dict[str, float]]]] = {}
    for name, sizes in SIZES.items():
        costs = [(size, step_cost(replace(Step(), **{name: size}))) for size in sizes[:shortest]]
        found[name] = [(size, {"step_s": seconds, "kept_mib": mib}) for size, (seconds, mib) in costs]
    found["networks"] = [(size, {"campaign_s": campaign_s(size)}) for size in NETWORKS[:shortest]]
    found["rows"] = [(size, table_costs(size)) for size in ROWS[:shortest]]
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
        spare = max(1.1, (10 * min(values) / max(values)) ** 0.5)  # a decade at least: what hardly grows looks flat
        axes.set(xlabel=name, ylabel=WORDS[cost], ylim=(min(values) / spare, max(values) * spare))
        for axis, ticks in ((axes.xaxis, sizes), (axes.yaxis, apart(values))):
            axis.set_ticks(ticks)
            axis.set_major_formatter(FormatStrFormatter("%.3g"))
            axis.set_minor_formatter(NullFormatter())
        axes.grid(visible=True, alpha=0.3)
    figure.savefig(path, metadata={"Date": None})


def apart(values: Sequence[float]) -> list[float]:
    """The values without those that stand too near another for two labels."""
    least = max(math.log10(max(values) / min(values)), 1) / 10
    kept: list[float] = []
    for value in sorted(values, reverse=True):
        if not kept or math.log10(kept[-1] / value) > least:
            kept.append(value)
    return kept


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
