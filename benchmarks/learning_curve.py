"""How well predictors learn a measured table: k-fold, a learning curve, and the measurements themselves beside them.

    python benchmarks/learning_curve.py results/darts-onnxruntime-cpu.parquet --new results/darts-quiet.parquet

Predictors are fitted on one half of the rounds of some networks, and judged on the other half of the rounds of others.
Beside them stands what the first half says about the second for the same networks. Where halves share a session, they
share where a network lies in memory, which no model knows; so `--new` judges the LPM, fitted on all rows, on tables of
other networks from other processes, whose halves have sessions of their own. The level is how much slower all networks
of such a table are than predicted: the machine's hour, which the second error leaves out.

Bars: the LPM agrees with a new half at least as well as the other half does, Kendall >= 0.80, error <= 4 %; with 200
rows Kendall >= 0.75. Prints tables and, last, one line of JSON.
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
    """The median of the first and of the last half of the rounds of each network, in ms."""
    rounds = table.rounds()
    first = [np.median(r[: len(r) // 2]) for r in rounds]
    return np.array(first), np.array([np.median(r[len(r) // 2 :]) for r in rounds])


def predicted(name: str, table: CostTable, known: Array, rows: NDArray[np.int64], asked: NDArray[np.int64]) -> Array:
    codes = table.space.encode(table.architectures())
    predictor = make_predictor(name, table.space, table.provenance.size)
    predictor.fit(codes[rows], known[rows], seed=0)
    return predictor.predict(codes[asked]).mean


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


def elsewhere(table: CostTable, others: list[CostTable]) -> tuple[float, float, float, float]:
    """Kendall and level-free error of the LPM, then of the other half, on new halves of other tables, in the mean."""
    found = []
    codes = table.space.encode(table.architectures())
    predictor = make_predictor("lpm", table.space, table.provenance.size)
    predictor.fit(codes, table.costs(), seed=0)
    for other in others:
        assert not set(other.frame["architecture"]) & set(table.frame["architecture"]), "networks should be new"
        mean_ms = predictor.predict(other.space.encode(other.architectures())).mean
        first, last = halves(other)
        for known, new in ((first, last), (last, first)):
            lpm, half = Scores.of(new, mean_ms), Scores.of(new, known)
            level = float(np.median(new / mean_ms))
            free = Scores.of(new, mean_ms * level).mape_percent
            half_free = Scores.of(new, known * float(np.median(new / known))).mape_percent
            shift = f"{free:.2f} % without a level of {100 * level - 100:+.1f} %"
            print(f"LPM        {lpm.kendall:.3f}, {lpm.mape_percent:.2f} % ({shift})")
            print(f"other half {half.kendall:.3f}, {half.mape_percent:.2f} % ({half_free:.2f} %)")
            found.append((lpm.kendall, free, half.kendall, half_free))
    means = np.mean(found, axis=0)
    return float(means[0]), float(means[1]), float(means[2]), float(means[3])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("--new", type=Path, nargs="*", default=[])
    options = parser.parse_args()
    table = CostTable.load(options.table)
    known, new = halves(table)
    folds = across_folds(table, known, new)
    print(f"{len(table)} networks, {FOLDS} folds, against the new half of the rounds")
    print(f"{'':16} Kendall  Spearman  MAPE %  within 5 %")
    for name, s in folds.items():
        print(f"{name:16} {s.kendall:7.3f}  {s.spearman:8.3f}  {s.mape_percent:6.2f}  {s.within_5_percent:10.1f}")
    lpm, lpm_error = folds["lpm"].kendall, folds["lpm"].mape_percent
    half, half_error = folds["the other half"].kendall, folds["the other half"].mape_percent
    if options.new:
        print("\nfitted on all rows, on new networks in new processes")
        lpm, lpm_error, half, half_error = elsewhere(table, [CostTable.load(path) for path in options.new])
    print(f"\nKendall (MAPE %) on {TESTED} others, mean of {SEEDS} draws")
    print("learned from  " + "".join(f"{name:>16}" for name in NAMES))
    means: dict[int, float] = {}
    for size, by_name in sorted(curve(table, known, new).items()):
        kendall = {name: float(np.mean([s.kendall for s in scores])) for name, scores in by_name.items()}
        errors = {name: float(np.mean([s.mape_percent for s in scores])) for name, scores in by_name.items()}
        print(f"{size:12}  " + "".join(f"  {kendall[name]:.3f} ({errors[name]:5.2f})" for name in NAMES))
        means[size] = kendall["lpm"]
    met = lpm >= max(0.8, half) and lpm_error <= min(4.0, half_error) and means.get(200, 0.0) >= 0.75
    answer = {"benchmark": "learning_curve", "met": met, "lpm_kendall": round(lpm, 4)}
    answer |= {"lpm_mape_percent": round(lpm_error, 3), "half_kendall": round(half, 4)}
    answer |= {"half_mape_percent": round(half_error, 3), "lpm_kendall_200_rows": round(means.get(200, 0.0), 4)}
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
