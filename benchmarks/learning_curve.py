"""How well predictors learn a measured table: k-fold, a learning curve, and the measurements themselves beside them.

    python benchmarks/learning_curve.py results/darts-onnxruntime-cpu.parquet

Predictors are fitted on one half of the rounds of some networks, and judged on the other half of the rounds of others:
on new networks and new measurements. Beside them stands what the first half of the rounds says about the second for
the same networks. Bars: on all rows the LPM agrees at least as well as that, Kendall >= 0.80, error
<= 4 %; with 200 rows Kendall >= 0.75. Prints two tables and, last, one line of JSON.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from chronas.predictors import Scores, make_predictor
from chronas.predictors.evaluation import assign_folds
from chronas.tables import CostTable

NAMES = ("lpm", "lookup", "macs")
SIZES = (50, 100, 200, 500, 1000, 1500, 2000)
FOLDS, SEEDS = 5, 5
TESTED = 400
Array = NDArray[np.float64]


def halves(table: CostTable) -> tuple[Array, Array]:
    """The median of the even rounds and of the odd rounds of each network, in ms."""
    rounds = table.rounds()
    return np.array([np.median(r[0::2]) for r in rounds]), np.array([np.median(r[1::2]) for r in rounds])


def predicted(name: str, table: CostTable, known: Array, rows: NDArray[np.int64], asked: NDArray[np.int64]) -> Array:
    codes = table.space.encode(table.architectures())
    predictor = make_predictor(name, table.space, table.provenance.skeleton)
    predictor.fit(codes[rows], known[rows], seed=0)
    return predictor.predict(codes[asked]).mean_ms


def across_folds(table: CostTable, known: Array, new: Array) -> dict[str, Scores]:
    """Scores of each predictor on networks that it has not seen, all rows being held out once."""
    fold = assign_folds(table.architectures(), FOLDS, seed=0)
    found = {"the other half": Scores.of(new, known)}
    for name in NAMES:
        mean_ms = np.empty(len(table))
        for number in range(FOLDS):
            out = np.flatnonzero(fold == number)
            mean_ms[out] = predicted(name, table, known, np.flatnonzero(fold != number), out)
        found[name] = Scores.of(new, mean_ms)
    return found


def curve(table: CostTable, known: Array, new: Array) -> dict[int, dict[str, list[Scores]]]:
    """Scores on `TESTED` networks by how many others were learned from, for several draws of both."""
    found: dict[int, dict[str, list[Scores]]] = {}
    for seed in range(SEEDS):
        order = np.random.default_rng(seed).permutation(len(table))
        tested, rest = order[:TESTED], order[TESTED:]
        for size in sorted({min(size, len(rest)) for size in SIZES}):
            for name in NAMES:
                score = Scores.of(new[tested], predicted(name, table, known, rest[:size], tested))
                found.setdefault(size, {}).setdefault(name, []).append(score)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    table = CostTable.load(parser.parse_args().table)
    known, new = halves(table)
    folds = across_folds(table, known, new)
    print(f"{len(table)} networks, {FOLDS} folds, against the new half of the rounds")
    print(f"{'':16} Kendall  Spearman  MAPE %  within 5 %")
    for name, s in folds.items():
        print(f"{name:16} {s.kendall:7.3f}  {s.spearman:8.3f}  {s.mape_percent:6.2f}  {s.within_5_percent:10.1f}")
    print(f"\nKendall (MAPE %) on {TESTED} others, mean of {SEEDS} draws")
    print("learned from  " + "".join(f"{name:>16}" for name in NAMES))
    means: dict[int, dict[str, float]] = {}
    for size, by_name in sorted(curve(table, known, new).items()):
        means[size] = {name: float(np.mean([s.kendall for s in scores])) for name, scores in by_name.items()}
        errors = {name: float(np.mean([s.mape_percent for s in scores])) for name, scores in by_name.items()}
        print(f"{size:12}  " + "".join(f"  {means[size][name]:.3f} ({errors[name]:5.2f})" for name in NAMES))
    lpm, other = folds["lpm"], folds["the other half"]
    answer = {
        "benchmark": "learning_curve",
        "met": lpm.kendall >= max(0.8, other.kendall)
        and lpm.mape_percent <= min(4.0, other.mape_percent)
        and means.get(200, {}).get("lpm", 0.0) >= 0.75,
        "lpm_kendall": round(lpm.kendall, 4),
        "lpm_mape_percent": round(lpm.mape_percent, 3),
        "half_kendall": round(other.kendall, 4),
        "half_mape_percent": round(other.mape_percent, 3),
        "lpm_kendall_200_rows": round(means.get(200, {}).get("lpm", 0.0), 4),
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
