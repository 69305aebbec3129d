"""Searchers that sample on NAS-Bench-201's own accuracies and latencies: what each finds without any training.

    python benchmarks/samplers.py --data ../shared/data [--device raspi4] [--architectures 300] [--seeds 10]

Each may look up so many accuracies (validation column after 200 epochs), first without a limit, then within the
device's median latency (the tables of truth_nasbench201.py). Prints the mean of the best cell's accuracy over the
seeds, with the best there is, and, last, one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
from truth_known import SPACE, Truth
from truth_nasbench201 import DEVICES, number

from chronas.search import (
    Cost,
    ObjectiveConfig,
    SearcherConfig,
    TableEvaluator,
    Task,
    make_searcher,
    searcher_class,
)
from chronas.spaces import NetworkSize

SEARCHERS = ("random", "nsga2", "evolution", "local-search")
COST = "latency_ms"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with nasbench201/*.parquet")
    parser.add_argument("--device", choices=DEVICES, default="raspi4", help="whose latencies")
    parser.add_argument("--architectures", type=int, default=300, help="accuracies that a search may look up")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--searchers", nargs="+", default=SEARCHERS, help="names; those that sample")
    arguments = parser.parse_args()
    truth = Truth.read(arguments.data / "nasbench201", DEVICES)
    latencies, cost = truth.latencies[arguments.device], truth.cost(arguments.device)
    table = TableEvaluator({str(SPACE.from_index(n)): float(truth.validation[n]) for n in range(SPACE.cardinality)})
    limits = {"no limit": {}, "median": {COST: float(np.median(latencies))}}
    within = {what: latencies <= limit.get(COST, np.inf) for what, limit in limits.items()}
    rows = {"best": {what: truth.validation[mask].max() for what, mask in within.items()}}
    for name in arguments.searchers:
        config = searcher_class(name).Config.model_validate({"architectures": arguments.architectures})
        rows[name] = {}
        for what, limit in limits.items():
            cells = [found(name, config, cost, limit, table, seed) for seed in range(arguments.seeds)]
            rows[name][what] = truth.validation[cells].mean()
    for name, row in rows.items():
        print(f"{name:14}" + "".join(f"  {what} {percent:.2f} %" for what, percent in row.items()))
    print(json.dumps({name: {what: round(float(each), 3) for what, each in row.items()} for name, row in rows.items()}))


def found(
    name: str, config: SearcherConfig, cost: Cost, limits: dict[str, float], table: TableEvaluator, seed: int
) -> int:
    """The number of the cell that a search ends with."""
    with tempfile.TemporaryDirectory() as folder:
        task = Task(
            space=SPACE,
            size=NetworkSize(input_shape=(3, 32, 32), outputs=10, width=16, depth=5),
            costs={COST: cost},
            objective=ObjectiveConfig(limits=limits),
            folder=Path(folder),
            seed=seed,
            evaluate=table,
        )
        best = next(make_searcher(name, config).search(task).candidates(limits))
    return number(best.architecture)


if __name__ == "__main__":
    main()
