"""What searching is worth in the demo, over seeds: against chance, against no latency term, against a human.

    python benchmarks/demo_effect.py --seeds 0 1 2 --out runs/demo-effect

Runs `chronas demo` for each seed. Bars: over all seeds together the found networks are more accurate than random ones
of equal latency, by more than chance (two proportions, 95 %); each demo takes at most 10 minutes. Prints a row for each
network of each seed, and last one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import time
from pathlib import Path
from statistics import mean

from chronas.runs import Run

MOST_MINUTES, CHANCE = 10.0, 1.96
FOUND, RANDOM = "latency term", "random, equal latency"


def one_seed(seed: int, folder: Path) -> tuple[dict[str, tuple[float, float]], float, int]:
    """(accuracy in percent, latency in ms) by network, the minutes, and the number of test images."""
    began = time.monotonic()
    words = [sys.executable, "-m", "chronas", "demo", "--seed", str(seed), "--out", str(folder), "--json"]
    answer = json.loads(subprocess.run(words, stdout=subprocess.PIPE, check=True, text=True).stdout)
    minutes = (time.monotonic() - began) / 60
    found = {row["network"]: (row["accuracy_percent"], row["latency_ms"]) for row in answer["networks"]}
    beside = {row["name"]: (row["accuracy_percent"], row["latency"]["value"]) for row in answer["beside"][1:]}
    return found | beside, minutes, Run.open(folder).data_facts.test


def beyond_chance(first: float, second: float, images: int) -> bool:
    """Whether two accuracies in percent, each on `images` images, differ by more than chance."""
    together = (first + second) / 200
    return abs(first - second) / 100 > CHANCE * math.sqrt(together * (1 - together) * 2 / images)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=Path("runs/demo-effect"))
    options = parser.parse_args()
    seen, longest, images = [], 0.0, 0
    for seed in options.seeds:
        rows, minutes, tested = one_seed(seed, options.out / f"seed-{seed}")
        for name, (accuracy, latency_ms) in rows.items():
            print(f"seed {seed}  {name:<26} {accuracy:6.2f} %  {latency_ms:.4f} ms", flush=True)
        print(f"seed {seed}  {minutes:.1f} min", flush=True)
        seen.append(rows)
        longest, images = max(longest, minutes), images + tested
    means = {name: tuple(round(mean(row[name][k] for row in seen), 4) for k in (0, 1)) for name in seen[0]}
    better = means[FOUND][0] > means[RANDOM][0] and beyond_chance(means[FOUND][0], means[RANDOM][0], images)
    answer = {"means": means, "images": images, "minutes": round(longest, 1), "met": better and longest <= MOST_MINUTES}
    print(json.dumps({"benchmark": "demo_effect", "seeds": options.seeds, **answer}))


if __name__ == "__main__":
    main()
