"""One supernet on all of CIFAR-10, then networks for any limit with its weights.

    python benchmarks/cifar10_elastic.py --data ../shared/data/cifar10 --minutes 70 [--stem small] [--alone 3]

Runs `chronas run --searcher elastic --front 8 --limit-ms 1 --no-retrain` on `mobilenetv3-plain`, on two threads, and
measures in ONNX Runtime on one. `--alone N` trains N networks of the front from scratch, each for as long as the
supernet. Prints the time, a row for each network, and last one line of JSON. Bars: at most 90 minutes for the run, at
least 85 % within 1 ms, and the networks of the front within 1.5 points of the same ones trained alone.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import torch

from chronas.runs import Run, read_front, read_trained, train_architecture
from chronas.training import Budget

MOST_MINUTES, LEAST_PERCENT, LIMIT_MS, POINTS = 90.0, 85.0, 1.0, 1.5
FLAGS = (
    "--preset cifar10-cpu --space mobilenetv3-plain --searcher elastic --front 8 --no-retrain --no-baseline "
    "--threads 2 --networks 80"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--minutes", type=float, default=70.0)
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--stem", default="small")
    parser.add_argument("--alone", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/cifar10-elastic"))
    options = parser.parse_args()
    words = [*FLAGS.split(), "--data", options.data, "--data-limit", str(options.images), "--limit-ms", str(LIMIT_MS)]
    words += ["--searcher.minutes", str(options.minutes), "--size.stem", options.stem, "--size.width", "16"]
    subprocess.run([sys.executable, "-m", "chronas", "run", *words, "--out", str(options.out)], check=False)
    run = Run.open(options.out)
    minutes = sum(run.timings.values()) / 60  # also of a run that was stopped and resumed
    found, front = read_trained(run.folder / "networks" / run.role), read_front(run).networks
    print(f"run: {minutes:.1f} min, found {found.accuracy_percent:.2f} %", flush=True)
    for number, network in enumerate(front, start=1):
        print(f"front {number}  {network.test_percent:.2f} %  {network.latency.value:.3f} ms", flush=True)
    apart = []
    torch.set_num_threads(2)
    for number in range(1, options.alone + 1):
        place = 1 + (number - 1) * (len(front) - 1) // max(1, options.alone - 1)  # from the fastest to the slowest
        folder = options.out / "alone" / str(place)
        train_architecture(
            folder, run.space.parse(front[place - 1].architecture), run.size, run.data, run.config.recipe,
            validation_share=run.config.validation_share, seed=0, budget=Budget(minutes=options.minutes),
        )  # fmt: skip
        alone = read_trained(folder).accuracy_percent
        apart.append(round(alone - (front[place - 1].test_percent or 0.0), 2))
        print(f"front {place}  alone {alone:.2f} %", flush=True)
    met = minutes <= MOST_MINUTES and found.accuracy_percent >= LEAST_PERCENT and all(each <= POINTS for each in apart)
    answer = {"minutes": round(minutes, 1), "found_percent": round(found.accuracy_percent, 2), "apart": apart}
    fronts = [[round(each.latency.value, 4), each.test_percent] for each in front]
    print(json.dumps({"benchmark": "cifar10_elastic", **answer, "front": fronts, "met": met}))


if __name__ == "__main__":
    main()
