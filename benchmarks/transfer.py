"""A new device from few samples: each column of HELP's tables learned with the others' help, against bars.

    python benchmarks/transfer.py --data ../shared/data [--seeds 5] [--choose random] [--benches nasbench201 fbnet]

NAS-Bench-201: 10 and 20 samples of each of 16 columns, the sources are the columns of all other families of devices
(`1080ti_*` is a family; with --strict all GPUs are one, all Xeons, all phones). FBNet: 10 samples of fpga, raspi4 and
eyeriss, the sources are 1080ti_*, silver_*, samsung_*, pixel3, essential_ph_1. Scores are means over seeds on all
architectures that were not sampled; cells under 0.1 ms are left out. The ridge on operation counts sees the same
samples. Tables are imported as `chronas table import` does it. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr

from chronas.predictors import TransferConfig, make_predictor
from chronas.predictors.few_samples import Choose, choose_samples
from chronas.predictors.linear import fit_ridge
from chronas.predictors.predictor import NORMAL_90
from chronas.spaces import Space, make_space
from chronas.tables import CostTable
from chronas.tables.foreign import read_foreign

DEGENERATE_MS = 0.1
ALIKE = {"titanx": "1080ti", "gold": "silver", "pixel3": "samsung", "essential": "samsung"}
FBNET_SOURCES = ("1080ti", "silver", "samsung", "pixel3", "essential")
FBNET_TARGETS = ("fpga", "raspi4", "eyeriss")
BARS = {"nasbench201": {10: 0.945, 20: 0.965}, "fbnet": {10: 0.965}}
Array = NDArray[np.float64]


def family(name: str, *, strict: bool) -> str:
    """The family of a column such as `1080ti_32`."""
    first = name.split("_")[0]
    return ALIKE.get(first, first) if strict else first


def ridge_on_counts(space: Space, codes: NDArray[np.float32], costs: Array, rows: NDArray[np.int64]) -> Array:
    """Log-costs of all codes by a ridge regression on how often each operation occurs."""
    sums = space.feature_map()
    counts = torch.from_numpy(codes @ sums[(sums != 0).sum(axis=1) > 1].T).double()
    ridge = fit_ridge(counts[rows], torch.from_numpy(costs[rows]).log())
    return (ridge.base + counts @ ridge.coefficients).numpy()


def device_scores(
    table: CostTable, sources: Sequence[Path], samples: int, choose: Choose, seeds: int
) -> dict[str, float]:
    """Means over seeds for one device."""
    usual = CostTable(table.frame.filter(pl.col("latency_ms") >= DEGENERATE_MS), table.provenance)
    space, costs = usual.space, usual.costs()
    codes = space.encode(usual.architectures())
    found: dict[str, list[float]] = {"spearman": [], "counts": [], "mape_percent": [], "coverage_percent": []}
    for seed in range(seeds):
        predictor = make_predictor("transfer", space, usual.provenance.size, TransferConfig(sources=tuple(sources)))
        rows = choose_samples(choose, predictor, codes, costs, samples, seed)
        left = np.setdiff1d(np.arange(len(costs)), rows)
        predictor.fit(codes[rows], costs[rows], seed=seed)
        prediction = predictor.predict(codes[left])
        inside = np.abs(prediction.mean - costs[left]) <= NORMAL_90 * prediction.std
        found["spearman"].append(float(spearmanr(prediction.mean, costs[left]).statistic))
        found["counts"].append(
            float(spearmanr(ridge_on_counts(space, codes, costs, rows)[left], costs[left]).statistic)
        )
        found["mape_percent"].append(float(100 * np.mean(np.abs(prediction.mean / costs[left] - 1))))
        found["coverage_percent"].append(float(100 * inside.mean()))
    return {name: float(np.mean(values)) for name, values in found.items()}


def bench(name: str, data: Path, folder: Path, *, choose: Choose, seeds: int, strict: bool) -> list[dict[str, object]]:
    """All devices of one benchmark and number of samples."""
    space = make_space(name)
    plain = read_foreign(data / name / "latency_help.parquet", space)
    tables = plain.tables(space, next(iter(space.sizes.values())), "HELP (arXiv 2106.08630, MIT)")
    for device, table in tables.items():
        table.save(folder / name / f"{device}.parquet")
    known = {device: folder / name / f"{device}.parquet" for device in tables}
    targets = list(tables) if name == "nasbench201" else list(FBNET_TARGETS)
    rows: list[dict[str, object]] = []
    for samples in BARS[name]:
        for device in targets:
            if name == "nasbench201":
                own = family(device, strict=strict)
                sources = [path for other, path in known.items() if family(other, strict=strict) != own]
            else:
                sources = [path for other, path in known.items() if other.startswith(FBNET_SOURCES)]
            scores = device_scores(tables[device], sources, samples, choose, seeds)
            print(f"{name:12} {samples:3} {device:16} " + " ".join(f"{v:8.3f}" for v in scores.values()), flush=True)
            rows.append({"bench": name, "samples": samples, "device": device, **scores})
    return rows


def main() -> None:
    """Print a line for each device, means against bars, then JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--choose", choices=("random", "spread", "sequential"), default="random")
    parser.add_argument("--benches", nargs="+", choices=tuple(BARS), default=list(BARS))
    parser.add_argument("--strict", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{'table':12} {'n':>3} {'device':16} spearman   counts   mape %  in 90 %")
    means: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in options.benches:
            rows = bench(
                name, options.data, Path(folder), choose=options.choose, seeds=options.seeds, strict=options.strict
            )
            for samples, bar in BARS[name].items():
                some = [row for row in rows if row["samples"] == samples]
                keys = ("spearman", "counts", "mape_percent", "coverage_percent")
                mean = {key: float(np.mean([row[key] for row in some])) for key in keys}
                print(
                    f"{name} {samples}: mean Spearman {mean['spearman']:.4f} (bar {bar}), counts {mean['counts']:.4f}"
                )
                means[f"{name} {samples}"] = mean | {"bar": bar}
    print(json.dumps({"choose": options.choose, "seeds": options.seeds, "strict": options.strict, "means": means}))


if __name__ == "__main__":
    main()
