"""What the latency term does in the demo, over seeds: latency against weight 0 and the random median, test accuracy.

    python benchmarks/demo_effect.py --seeds 0 1 2 --out runs/demo-effect

Bars: with the latency term at least 20 % less measured latency than with weight 0; test accuracy >= 97.5 %
(logistic regression on the same split: about 96.3 %); the network of weight 0 no faster than the median of random
networks. Prints a table and, last, one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from chronas.tables import CostTable

WANTED_REDUCTION_PERCENT = 20.0
WANTED_ACCURACY_PERCENT = 97.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=Path("runs/demo-effect"))
    arguments = parser.parse_args()
    rows = [one_seed(seed, arguments.out / f"seed-{seed}") for seed in arguments.seeds]
    print("seed  weight 0   random median   latency term   reduction   accuracy   accuracy weight 0   seconds")
    for row in rows:
        print(
            f"{row['seed']:4d}  {row['weight_zero_ms']:5.3f} ms   {row['random_median_ms']:10.3f} ms   "
            f"{row['latency_term_ms']:9.3f} ms   {row['reduction_percent']:7.1f} %   "
            f"{row['accuracy_percent']:6.2f} %   {row['weight_zero_accuracy_percent']:13.2f} %   {row['seconds']:7.0f}"
        )
    print(json.dumps({"benchmark": "demo_effect", "met": all(row["met"] for row in rows), "rows": rows}))


def one_seed(seed: int, folder: Path) -> dict[str, float | bool]:
    """Run the demo with a seed, and read what its report says."""
    began = time.monotonic()
    words = [sys.executable, "-m", "chronas", "demo", "--seed", str(seed), "--out", str(folder), "--json"]
    answer = subprocess.run(words, stdout=subprocess.PIPE, check=True, text=True)
    seconds = time.monotonic() - began
    networks = {network["network"]: network for network in json.loads(answer.stdout)["networks"]}
    own, plain = networks["latency term"], networks["accuracy alone"]
    random_median_ms = float(np.median(CostTable.load(folder / "costs.parquet").costs()))
    reduction = 100 * (1 - own["latency_ms"] / plain["latency_ms"])
    return {
        "seed": seed,
        "weight_zero_ms": plain["latency_ms"],
        "random_median_ms": random_median_ms,
        "latency_term_ms": own["latency_ms"],
        "reduction_percent": reduction,
        "accuracy_percent": own["accuracy_percent"],
        "weight_zero_accuracy_percent": plain["accuracy_percent"],
        "seconds": seconds,
        "met": reduction >= WANTED_REDUCTION_PERCENT
        and own["accuracy_percent"] >= WANTED_ACCURACY_PERCENT
        and plain["latency_ms"] >= random_median_ms,
    }


if __name__ == "__main__":
    main()
