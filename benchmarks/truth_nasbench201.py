"""What searchers find on NAS-Bench-201, where the accuracy of every architecture is known (arXiv 2001.00326).

    python benchmarks/truth_nasbench201.py --data ../shared/data --work runs/truth [--seeds 0 1 2] [--searchers gdas]

CIFAR-10 images; latencies are HELP's table of an Intel Xeon Gold 6240 and HW-NAS-Bench's of a Raspberry Pi 4, or other
columns of HELP's (`--devices`). A search sees images and latencies alone: the columns of accuracy are looked up once
it has ended. The ways (`--ways`):

- default: the default searcher, with the settings of the preset `nasbench201-cifar10`, trains `POOL` networks a seed
  without a limit, then `EXTRA` for each limit, loosest first, which knows those of the limits before it too, as one
  supernet would serve them all;
- alone: the same settings, as many networks as the preset has, for each limit anew;
- front: a search and a levels of limits after it;
- random: random search, which trains `RANDOM` inside each limit.

Networks are trained on images of 16x16 for seconds each; one that several searches ask for is trained once, as it is
always trained to the same bits, but counts with its seconds in each. Other searchers have a supernet each; what they
find is told twice, the first of their candidates and the choice among 32 by the supernet. A run that was stopped goes
on. Prints what each found, and last one line of JSON.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import kendalltau
from torch.nn import functional
from truth_known import SPACE, Problem, Truth, hypervolume, problems

from chronas.data import Images, Normalisation, limited, load_dataset, split
from chronas.files import read_json, write_json
from chronas.records import Trial
from chronas.runs import searcher_settings
from chronas.search import (
    ObjectiveConfig,
    RerankConfig,
    Reranker,
    Searcher,
    SearchImages,
    SearchResult,
    Task,
    find_front,
    make_searcher,
    searcher_class,
)
from chronas.search.blackbox.bayesian import Bayesian, BayesianConfig
from chronas.search.blackbox.loop import SCHEMA as SAMPLING
from chronas.search.blackbox.loop import BlackBoxResult
from chronas.search.blackbox.proxy_training import ProxyConfig, ProxyTraining
from chronas.search.blackbox.random_search import RandomConfig
from chronas.search.blackbox.single_path import FILE as PATHS
from chronas.search.blackbox.single_path import SinglePathSearcher
from chronas.search.objective import Score, Steps, unheard
from chronas.search.searcher import skip_connections
from chronas.spaces import Architecture

SCHEMA = "chronas.truth/1"
SIZE = SPACE.sizes["cifar10"]
DEVICES = ("gold_6240", "raspi4")
POOL, EXTRA, RANDOM = 26, 10, 44  # networks that are trained
FRONT = 8  # networks of a front
FRONT_DEVICE = "gold_6240"
VALIDATION = 5_000  # images
ALL_3X3 = SPACE.architecture([SPACE.decisions[0].options.index("nor_conv_3x3")] * len(SPACE.decisions))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with nasbench201/*.parquet and cifar10/")
    parser.add_argument("--work", type=Path, required=True, help="folder for what the searches keep")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--devices", nargs="+", default=DEVICES, help="columns of latency_help.parquet, without _ms")
    parser.add_argument("--ways", nargs="*", choices=[*WAYS], default=[*WAYS], help="of the default and random search")
    parser.add_argument("--searchers", nargs="*", default=[], help="others to run with a supernet each, 6 minutes")
    parser.add_argument("--workers", type=int, default=2, help="networks that are trained at a time")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.workers)
    truth = Truth.read(arguments.data / "nasbench201", arguments.devices)
    images = load_dataset(str(arguments.data / "cifar10")).train
    rows: list[dict[str, Any]] = []
    benches = [ProxySetup(truth, images, arguments.work / f"seed-{n}", n, arguments.workers) for n in arguments.seeds]
    ways = [WAYS[way] for way in arguments.ways]
    ways += [functools.partial(ProxySetup.other, name=name) for name in arguments.searchers]
    for way, bench in itertools.product(ways, benches):
        for row in way(bench):
            rows.append(row)
            print(line(row), flush=True)
    write_json(arguments.work / "rows.json", SCHEMA, {"rows": rows})
    print(json.dumps({"benchmark": "truth_nasbench201", **summary(rows)}))


class ProxySetup:
    """One seed: its images, its trainings, its searches."""

    def __init__(self, truth: Truth, images: Images, folder: Path, seed: int, workers: int) -> None:
        self.truth, self.folder, self.seed = truth, folder, seed
        train, validation = split(images, VALIDATION / len(images), seed=seed)
        self.task = Task(
            space=SPACE,
            size=SIZE,
            images=SearchImages(train, validation, Normalisation.of(images)),
            costs={},
            objective=ObjectiveConfig(),
            folder=folder,
            seed=seed,
        )
        config = searcher_settings("nasbench201-cifar10", "bayesian").model_copy(update={"workers": workers})
        assert isinstance(config, BayesianConfig)
        self.config = config
        self.trainer = Timed(replace(self.task, folder=folder / "networks"), self.config)

    def default(self) -> Iterator[dict[str, Any]]:
        """What the default searcher finds for each problem, beside what takes no search."""
        pool, pool_s = self.searched("pool", self.bayesian(POOL), None)
        known = {each.architecture: each for each in pool.trials}
        for problem in sorted(problems(self.truth), key=lambda each: -(each.quartile or 100)):
            found, seconds = pool, pool_s
            if problem.device is not None:
                searcher = self.bayesian(EXTRA, list(known.values()))
                found, seconds = self.searched(f"default-{problem.folder}", searcher, problem)
                known |= {each.architecture: each for each in found.trials}
                seconds += pool_s
            yield self.row("default", problem, first(found), seconds)
            yield self.row("most MACs", problem, self.largest(problem), 0.0)
            if problem.device is None:
                yield self.row("all 3x3", problem, ALL_3X3, 0.0)

    def alone(self) -> Iterator[dict[str, Any]]:
        """What the preset finds for each problem, where nothing is known from another."""
        for problem in problems(self.truth):
            searcher = self.bayesian(self.config.architectures)
            found, seconds = self.searched(f"alone-{problem.folder}", searcher, problem)
            yield self.row("alone", problem, first(found), seconds)

    def random(self) -> Iterator[dict[str, Any]]:
        """What random search finds for each problem."""
        settings = self.config.model_dump(include=set(ProxyConfig.model_fields))
        for problem in problems(self.truth):
            random = make_searcher("random", RandomConfig.model_validate({**settings, "architectures": RANDOM}))
            found, seconds = self.searched(f"random-{problem.folder}", random, problem)
            yield self.row("random", problem, first(found), seconds)

    def bayesian(self, architectures: int, known: Sequence[Trial] = ()) -> Bayesian:
        """The preset's searcher, for so many networks beside those that are known."""
        return Bayesian(self.config.model_copy(update={"architectures": architectures}), known)

    def searched(self, name: str, searcher: Searcher, problem: Problem | None) -> tuple[BlackBoxResult, float]:
        """A search with the seed's trainings, and the wall-clock seconds of what it trained."""
        task = replace(self.task, folder=self.folder / name, evaluate=self.trainer)
        if problem is not None and problem.device is not None and problem.limit_ms is not None:
            costs = {"latency_ms": self.truth.cost(problem.device)}
            task = replace(task, costs=costs, objective=ObjectiveConfig(limits={"latency_ms": problem.limit_ms}))
        found = searcher.search(task)
        assert isinstance(found, BlackBoxResult)
        return found, sum(self.trainer.seconds[row["mode"]] for row in found.history)

    def largest(self, problem: Problem) -> Architecture:
        """The architecture with most MACs within the limit."""
        return SPACE.from_index(int(np.where(self.truth.inside(problem), self.truth.macs, -1.0).argmax()))

    def row(self, way: str, problem: Problem, architecture: Architecture, seconds: float) -> dict[str, Any]:
        """What was found, and only now the truth about it."""
        index = number(architecture)
        latency_ms = None if problem.device is None else float(self.truth.latencies[problem.device][index])
        best = int(np.where(self.truth.inside(problem), self.truth.test, -1.0).argmax())
        return {
            "seed": self.seed,
            "way": way,
            "problem": problem.name,
            "architecture": str(architecture),
            "test": float(self.truth.test[index]),
            "validation": float(self.truth.validation[index]),
            "regret": float(self.truth.test[best] - self.truth.test[index]),
            "latency_ms": latency_ms,
            "limit_ms": problem.limit_ms,
            "skips": skip_connections(architecture),
            "best_skips": skip_connections(SPACE.from_index(best)),
            "seconds": seconds,
        }

    def front(self) -> Iterator[dict[str, Any]]:
        """So many networks from fast to accurate, as `chronas search --front` finds them: one search, then a levels."""
        latencies, slowest = self.truth.latencies[FRONT_DEVICE], self.truth.latencies[FRONT_DEVICE].max()
        costs = {"latency_ms": self.truth.cost(FRONT_DEVICE)}
        task = replace(self.task, folder=self.folder / "front", costs=costs, evaluate=self.trainer)
        found = self.bayesian(POOL).search(task)
        chosen = [number(each.architecture) for each in find_front(found, task, "latency_ms", FRONT)]
        trained = [
            [row["mode"] for row in read_json(path, SAMPLING)["history"]]
            for path in [task.folder / "search.json", *sorted(task.folder.glob("front/*/search.json"))]
        ]
        seconds = [sum(self.trainer.seconds[text] for text in texts) for texts in trained]
        everything = hypervolume(latencies, self.truth.test)
        generator = np.random.default_rng(self.seed)
        draws = [generator.choice(SPACE.cardinality, FRONT, replace=False) for _ in range(1000)]
        random = np.mean([hypervolume(latencies[draw], self.truth.test[draw], slowest) for draw in draws])
        yield {
            "seed": self.seed,
            "way": "front",
            "problem": f"{len(chosen)} of {FRONT_DEVICE}",
            "architectures": [str(SPACE.from_index(index)) for index in chosen],
            "latencies_ms": latencies[chosen].tolist(),
            "tests": self.truth.test[chosen].tolist(),
            "hypervolume": hypervolume(latencies[chosen], self.truth.test[chosen], slowest) / everything,
            "random_hypervolume": float(random / everything),
            "seconds": sum(seconds),
            "times_one_search": sum(seconds) / seconds[0],
        }

    def other(self, name: str) -> Iterator[dict[str, Any]]:
        """Another searcher with its own supernet: without a limit; one that samples paths, within each limit too."""
        kind = searcher_class(name)
        given = {"batch": 64, "learning_rate": 0.1, "crop_padding": 2, **OTHER_FRAME, **OTHERS.get(name, {})}
        known = {key: value for key, value in given.items() if key in kind.Config.model_fields}
        searcher = make_searcher(name, searcher_settings("cifar10-cpu", kind).model_copy(update=known))
        task = replace(self.task, folder=self.folder / name)
        if not issubclass(kind, SinglePathSearcher):
            images = task.needed_images()
            fewer = replace(images, train=limited(images.train, OTHER_IMAGES, seed=self.seed))
            task = halved(replace(task, images=fewer))
        found, seconds = timed(self.folder / f"{name}.json", lambda: searcher.search(task))
        supernet_s = seconds - sum(each["seconds"] for each in found.history if "seconds" in each)
        kendall = self.kendall(found)
        for row in self.answers(name, Problem(None, None, None), found, seconds):
            yield {**row, "supernet_kendall": kendall}
        if issubclass(kind, SinglePathSearcher):
            yield from self.within_limits(searcher, task, supernet_s)

    def within_limits(self, searcher: Searcher, task: Task, supernet_s: float) -> Iterator[dict[str, Any]]:
        """Each limit over the supernet of the search without one, whose seconds count in each."""
        for problem in problems(self.truth)[1:]:
            assert problem.device is not None
            assert problem.limit_ms is not None
            inside = replace(
                task,
                folder=task.folder.with_name(f"{searcher.name}-{problem.folder}"),
                warm_start=task.folder / PATHS,
                costs={"latency_ms": self.truth.cost(problem.device)},
                objective=ObjectiveConfig(limits={"latency_ms": problem.limit_ms}),
            )
            found = searcher.search(inside)
            seconds = supernet_s + sum(each["seconds"] for each in found.history)
            yield from self.answers(searcher.name, problem, found, seconds)

    def answers(self, name: str, problem: Problem, found: SearchResult, seconds: float) -> Iterator[dict[str, Any]]:
        """The first candidate of a search with a supernet, and the one that `chronas search` would choose."""
        yield self.row(name, problem, first(found), seconds)
        start_s = time.perf_counter()
        limits = {} if problem.limit_ms is None else {"latency_ms": problem.limit_ms}
        judged = Reranker(found, RerankConfig()).ranked(limits)
        chosen_s = time.perf_counter() - start_s
        yield self.row(f"{name}, chosen", problem, judged[0].architecture, seconds + chosen_s)

    def kendall(self, found: SearchResult, count: int = 200) -> float | None:
        """How a supernet ranks random connected architectures, against the truth."""
        indices = np.random.default_rng(0).permutation(np.flatnonzero(self.truth.validation > 20.0))[:count]
        scores = found.score([SPACE.from_index(int(index)) for index in indices])
        return None if scores is None else float(kendalltau(scores, self.truth.test[indices]).statistic)


def number(architecture: Architecture) -> int:
    """NAS-Bench-201's number of a cell."""
    found = SPACE.index(architecture)
    assert found is not None
    return found


WAYS: dict[str, Callable[[ProxySetup], Iterator[dict[str, Any]]]] = {
    "default": ProxySetup.default,
    "alone": ProxySetup.alone,
    "front": ProxySetup.front,
    "random": ProxySetup.random,
}


class Timed(ProxyTraining):
    """Proxy trainings whose seconds are kept from when each was first made.

    Attributes:
        seconds: wall-clock of each network by its text, its share where several are trained at a time.
    """

    def __init__(self, task: Task, config: ProxyConfig) -> None:
        super().__init__(task, config)
        self._path = task.folder / "seconds.json"
        self.seconds: dict[str, float] = read_json(self._path, SCHEMA)["seconds"] if self._path.exists() else {}

    def evaluate(self, architectures: Sequence[Architecture], progress: Steps = unheard) -> list[Score]:
        start_s = time.perf_counter()
        found = super().evaluate(architectures, progress)
        share_s = (time.perf_counter() - start_s) / len(architectures)
        self.seconds = {**dict.fromkeys(map(str, architectures), share_s), **self.seconds}
        write_json(self._path, SCHEMA, {"seconds": self.seconds})
        return found


OTHER_IMAGES = 10_000  # that the weights of gradient searches learn from; sampled paths learn from all
OTHER_FRAME = {"width": 8, "depth": 1}  # deeper supernets learn less in minutes, and rank at chance or worse
OTHERS: Mapping[str, Mapping[str, Any]] = {  # five to six minutes of a core; alphas move about as far as published
    "darts": {"epochs": 20, "alphas_learning_rate": 3e-3},
    "pc-darts": {"epochs": 25, "warmup_epochs": 8, "alphas_learning_rate": 3e-3},
    "gdas": {"epochs": 60, "alphas_learning_rate": 3e-3},
    "drnas": {"epochs": 26, "warmup_epochs": 3, "alphas_learning_rate": 3e-3},
    "proxyless": {"epochs": 60, "alphas_learning_rate": 1e-2},
    **dict.fromkeys(
        ("evolution", "nsga2", "local-search"), {"epochs": 25, "batch": 128, "architectures": 100, "image_stride": 2}
    ),
}


def halved(task: Task) -> Task:
    """The task with images at half the size, for searchers that cannot shrink them by themselves."""
    images = task.needed_images()
    train, validation = (
        Images(functional.avg_pool2d(part.pixels.float(), 2).round().to(torch.uint8), part.labels)
        for part in (images.train, images.validation)
    )
    size = task.size.model_copy(update={"input_shape": train.shape})
    return replace(task, images=replace(images, train=train, validation=validation), size=size)


def timed(path: Path, search: Callable[[], SearchResult]) -> tuple[SearchResult, float]:
    """What a search gives, and its seconds, which are those of the first time where it only loads."""
    start_s = time.perf_counter()
    found = search()
    seconds = time.perf_counter() - start_s
    if path.exists():
        seconds = float(read_json(path, SCHEMA)["seconds"])
    else:
        write_json(path, SCHEMA, {"seconds": seconds})
    return found, seconds


def first(found: SearchResult) -> Architecture:
    """What a search answers: inside the limit already, as nothing outside is ever trained."""
    return next(iter(found.candidates({}))).architecture


def line(row: Mapping[str, Any]) -> str:
    """A row for people."""
    if row["way"] == "front":
        return (
            f"seed {row['seed']}  front      {row['problem']:14}  hypervolume {row['hypervolume']:.3f} of the true one "
            f"(random {row['random_hypervolume']:.3f}), {row['times_one_search']:.2f} times one search"
        )
    kendall = f", supernet's Kendall {row['supernet_kendall']:.2f}" if row.get("supernet_kendall") else ""
    found = f"test {row['test']:.2f} %, regret {row['regret']:.2f}, skips {row['skips']} (best {row['best_skips']})"
    start = f"seed {row['seed']}  {row['way']:9}  {row['problem']:14}"
    return f"{start}  {found}, {row['seconds']:.0f} s{kendall}  {row['architecture']}"


def summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The figures that the bars are about: means over seeds."""
    found: dict[str, Any] = {"seeds": sorted({row["seed"] for row in rows})}
    fronts = [row for row in rows if row["way"] == "front"]
    others = [row for row in rows if row["way"] != "front"]
    for way in dict.fromkeys(row["way"] for row in others):
        own = [row for row in others if row["way"] == way]
        free, limited = ([row for row in own if (row["limit_ms"] is None) is free] for free in (True, False))
        found[way] = {"test": _mean(free, "test"), "worst_test": round(min(row["test"] for row in free), 3)}
        if limited:
            found[way]["mean_regret"] = _mean(limited, "regret")
            found[way]["limits_missed"] = sum(row["latency_ms"] > row["limit_ms"] for row in limited)
            found[way]["most_skips_over_best"] = max(row["skips"] - row["best_skips"] for row in own)
    if fronts:
        figures = ("hypervolume", "random_hypervolume", "times_one_search")
        found["front"] = {figure: _mean(fronts, figure) for figure in figures}
    return found


def _mean(rows: Sequence[Mapping[str, Any]], figure: str) -> float:
    return round(float(np.mean([row[figure] for row in rows])), 3)


if __name__ == "__main__":
    main()
