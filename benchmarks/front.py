"""Fronts of NAS-Bench-201 in one search, against the true front: a levels of limits, preferences, sampling.

    python benchmarks/front.py --shared ../shared/data --methods darts preferences bayesian

`darts` and other gradient searchers take their logits down a levels of limits with frozen weights (what `--front`
does). `preferences` is MODNAS's idea (arXiv 2402.18213) on the same loop: logits that depend on a preference r, which
each step draws uniformly, and descend on r * gradient of the loss + (1 - r) * gradient of the cost, each gradient
divided by its norm; the table of logits has five knots with straight lines between them. `nsga2` and `bayesian` are
asked for a front of all that they judged. `random` is the mean of many draws of as many architectures.

A search sees a few CIFAR-10 images, averaged to 16x16, and an LPM fitted on 600 latencies of a Xeon Gold 6240 (HELP's
table). The truth is the validation column after 200 epochs, looked up at the end: test accuracies are not touched. The
hypervolume is that of the networks' true latency and accuracy up to (slowest cell, 85 %), over the true front's.
Prints a table and, last, one line of JSON; seconds are of this process alone, as others may share the machine.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from chronas.data import Images, Normalisation, load_dataset, split
from chronas.pareto import hypervolume
from chronas.predictors import Predictor, make_predictor
from chronas.runs import searcher_settings
from chronas.search import (
    Cost,
    ObjectiveConfig,
    Relaxation,
    SearchImages,
    Task,
    candidates,
    find_front,
    searcher_class,
)
from chronas.search.gradient.darts import Darts
from chronas.search.gradient.loop import Batch, BilevelConfig, BilevelLoop
from chronas.search.objective import Objective, predicted
from chronas.spaces import Architecture, NetworkSize, make_space

SPACE = make_space("nasbench201")
COST, DEVICE, TRUTH = "latency_ms", "gold_6240_ms", "cifar10_val_acc_200"
FITTED, DRAWS, KNOTS, PREFERENCES, LEAST_PERCENT = 600, 300, 5, 101, 85.0
SMALL = {
    "nsga2": {"epochs": 40, "architectures": 200},
    "bayesian": {"architectures": 36, "initial_random": 20},
}


@dataclass(frozen=True)
class Truth:
    """Latency in ms and validation accuracy in percent of every architecture, by row."""

    rows: dict[str, int]
    latencies: NDArray[np.float64]
    accuracies: NDArray[np.float64]

    def area(self, numbers: Sequence[int] | NDArray[np.int64]) -> float:
        """The hypervolume of some rows."""
        points = np.stack([self.latencies[numbers], 100.0 - self.accuracies[numbers]], axis=1)
        return hypervolume(points, (float(self.latencies.max()), 100.0 - LEAST_PERCENT))

    def share(self, architectures: Sequence[Architecture]) -> float:
        """The hypervolume over that of the true front."""
        return self.area([self.rows[str(each)] for each in architectures]) / self.area(np.arange(len(self.rows)))

    def random(self, count: int) -> float:
        """The mean share of so many random architectures."""
        generator = np.random.default_rng(0)
        areas = [self.area(generator.choice(len(self.rows), count, replace=False)) for _ in range(DRAWS)]
        return float(np.mean(areas)) / self.area(np.arange(len(self.rows)))


def read_truth(shared: Path) -> Truth:
    folder = shared / "nasbench201"
    accuracies = pl.read_parquet(folder / "accuracy.parquet", columns=["arch_idx", "arch_str", TRUTH])
    known = accuracies.join(
        pl.read_parquet(folder / "latency_help.parquet", columns=["arch_idx", DEVICE]), on="arch_idx"
    )
    rows = {text: number for number, text in enumerate(known["arch_str"].to_list())}
    return Truth(rows, known[DEVICE].to_numpy(), known[TRUTH].to_numpy())


def fitted(truth: Truth, size: NetworkSize) -> Predictor:
    architectures = SPACE.sample(FITTED, 0)
    predictor = make_predictor("lpm", SPACE, size)
    latencies = truth.latencies[[truth.rows[str(each)] for each in architectures]]
    predictor.fit(SPACE.encode(architectures), latencies, seed=0)
    return predictor


def make_task(shared: Path, images: int, predictor: Predictor, truth: Truth, folder: Path, seed: int) -> Task:
    whole = load_dataset(str(shared / "cifar10"), limit=images, seed=seed).train
    pixels = functional.avg_pool2d(whole.pixels.float(), 2).round().to(torch.uint8)
    train, validation = split(Images(pixels, whole.labels), 0.5, seed=1)
    return Task(
        space=SPACE,
        size=NetworkSize(input_shape=(3, 16, 16), outputs=10, width=16, depth=5),
        images=SearchImages(train, validation, Normalisation.of(train)),
        costs={COST: Cost(predictor.cost, float(np.median(truth.latencies)))},
        objective=ObjectiveConfig(),
        folder=folder,
        seed=seed,
    )


class PreferenceLoop(BilevelLoop):
    """DARTS's loop, with alphas [KNOTS, D, O] that a preference is looked up in."""

    def __init__(self, task: Task, config: BilevelConfig, objective: Objective) -> None:
        super().__init__(task, config, objective)
        self.alphas = [each.detach().expand(KNOTS, *each.shape).clone().requires_grad_() for each in self.alphas]
        betas = (config.alphas_beta_1, config.alphas_beta_2)
        self.alphas_optimiser = torch.optim.Adam(
            self.alphas, config.alphas_learning_rate, betas=betas, weight_decay=config.alphas_weight_decay
        )
        self.preference = 1.0

    def draw(self) -> None:
        self.preference = float(torch.rand((), generator=self.generator))

    def at(self, preference: float) -> Relaxation:
        place = preference * (KNOTS - 1)
        low = min(int(place), KNOTS - 2)
        return Relaxation(SPACE, *[torch.lerp(table[low], table[low + 1], place - low) for table in self.alphas])

    def relaxation(self) -> Relaxation:
        return self.at(self.preference)

    def alphas_loss(self, batch: Batch) -> Tensor:
        """A number [] whose gradient is the two gradients, each of length one, mixed by the preference."""
        loss = super().alphas_loss(batch)
        codes = self.relaxation().sample(self.objective.config.samples, self.generator)
        cost = predicted(self.task.costs, codes)[COST].mean()
        parts = []
        for share, each in ((self.preference, loss), (1 - self.preference, cost)):
            gradients = torch.autograd.grad(each, self.alphas)
            norm = torch.cat([gradient.flatten() for gradient in gradients]).norm().clamp_min(1e-12)
            parts += [
                (share / norm) * (table * gradient).sum()
                for table, gradient in zip(self.alphas, gradients, strict=True)
            ]
        return torch.stack(parts).sum()


class Preferences(Darts):
    """The searcher around it; it has no checkpoint that another one could read."""

    loop = PreferenceLoop


def small_config(name: str, epochs: int, alphas_rate: float) -> BilevelConfig:
    changes = {"epochs": epochs, "depth": 1, "alphas_learning_rate": alphas_rate}
    return searcher_settings("cifar10-cpu", name).model_copy(update=changes)  # type: ignore[return-value]


def by_preferences(task: Task, config: BilevelConfig, count: int) -> tuple[list[Architecture], float]:
    """The modes of evenly spread preferences, thinned to `count` by predicted cost, and the seconds of the search."""
    start_s = time.process_time()
    found = Preferences(config).search(task)
    search_s = time.process_time() - start_s
    descent = found._loop  # type: ignore[attr-defined]
    modes = {}
    with torch.no_grad():
        for number in range(PREFERENCES):
            mode = next(candidates(descent.at(number / (PREFERENCES - 1)), task.costs, {}))
            modes[mode.architecture] = mode.costs[COST]
    ordered = sorted(modes, key=lambda each: modes[each])
    kept = np.unique(np.linspace(0, len(ordered) - 1, count).round().astype(int))
    return [ordered[n] for n in kept], search_s


def by_search(name: str, task: Task, args: argparse.Namespace) -> tuple[list[Architecture], float]:
    """What `--front` gives with a searcher, and the seconds of the search alone."""
    cls = searcher_class(name)
    if issubclass(cls, Darts):
        config = small_config(name, args.epochs, args.alphas_rate)
    else:
        changes = {"image_stride": 1, "depth": 1, **SMALL[name]}
        config = searcher_settings("cifar10-cpu", cls).model_copy(update=changes)  # type: ignore[assignment]
    start_s = time.process_time()
    found = cls(config).search(task)
    search_s = time.process_time() - start_s
    return [each.architecture for each in find_front(found, task, COST, args.count)], search_s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path("../shared/data"))
    parser.add_argument("--methods", nargs="+", default=["darts", "preferences"])
    parser.add_argument("--count", type=int, default=8)
    parser.add_argument("--images", type=int, default=1600, help="of CIFAR-10, half for weights, half for logits")
    parser.add_argument("--epochs", type=int, default=12, help="of gradient searchers")
    parser.add_argument("--logits-rate", type=float, default=0.05)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    args = parser.parse_args()
    torch.set_num_threads(1)
    truth = read_truth(args.shared)
    predictor = fitted(truth, NetworkSize(input_shape=(3, 32, 32), outputs=10, width=16, depth=5))
    random = truth.random(args.count)
    print(f"{'method':12} seed  hypervolume  networks  seconds (search alone)\n{'random':12}       {random:.3f}")
    rows = []
    for name in args.methods:
        for seed in args.seeds:
            with tempfile.TemporaryDirectory() as folder:
                task = make_task(args.shared, args.images, predictor, truth, Path(folder), seed)
                start_s = time.process_time()
                if name == "preferences":
                    config = small_config("darts", args.epochs, args.alphas_rate)
                    found, search_s = by_preferences(task, config, args.count)
                else:
                    found, search_s = by_search(name, task, args)
                whole_s = time.process_time() - start_s
            share = truth.share(found)
            rows.append({"method": name, "seed": seed, "hypervolume": share, "networks": len(found)})
            rows[-1] |= {"seconds": whole_s, "search_seconds": search_s}
            print(f"{name:12} {seed:4}  {share:11.3f}  {len(found):8}  {whole_s:.0f} ({search_s:.0f})", flush=True)
    print(json.dumps({"benchmark": "front", "random": random, "images": args.images, "rows": rows}))


if __name__ == "__main__":
    main()
