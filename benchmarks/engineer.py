"""The engineer's case: 600 photos of five classes, a CPU, 3 ms; one command beside a network written by hand.

    python benchmarks/engineer.py --seeds 3 [--limit-ms 3] [--train-minutes 11] [--threads 2] [--tight] [--tuned]

For each seed, photos are made on the spot: 600 in a folder for `chronas run --data FOLDER --limit-ms 3`, and 1,000
hidden ones. The baseline has five convolutions at 64 x 64 pixels. It is trained with SGD, flips and crops for as many
minutes as the run trains its network, on all 600 photos; the run sets a fifth of them apart for its own test. `--tuned`
trains the baseline once more by the recipe `photos`. `--tight` runs once more with the baseline's latency as the limit.
Accuracies are on the hidden photos, of the ONNX files in ONNX Runtime; latencies are measured side by side. Prints a
row for each network, and last one line of JSON. Bars: at most 20 minutes, the found network 3 points better than the
baseline, and 1 point better at its latency.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import mean

import torch
from recipes import PIXELS, PLAIN
from torch import nn

import chronas
from chronas.data import Normalisation, load_dataset, write_photos
from chronas.networks import Preprocessing
from chronas.runs import export_network, five_convolutions
from chronas.training import Budget, Recipe, make_recipe, train

BETTER, BETTER_TIGHT, MOST_MINUTES = 3.0, 1.0, 20.0


def by_hand(photos: Path, folder: Path, recipe: Recipe, minutes: float, seed: int) -> Path:
    """The ONNX file of the five convolutions, trained on all photos, as the hidden ones are for testing."""
    data = load_dataset(str(photos.parent), image_size=PIXELS)
    normalisation = Normalisation.of(data.train)
    torch.manual_seed(seed)
    trained: nn.Module = five_convolutions(data.classes)
    budget = Budget(minutes=minutes)
    train(trained, data.train, None, normalisation, recipe, folder=folder / "training", seed=seed, budget=budget)
    scaling = Preprocessing(normalisation.mean, normalisation.std, data.class_names)
    export_network(trained.eval(), folder, data.shape, preprocessing=scaling)
    return folder / "model.onnx"


def found(photos: Path, folder: Path, limit_ms: float, seed: int, flags: list[str]) -> tuple[Path, float, str]:
    """The ONNX file of `chronas run`, its minutes, and its verdict."""
    began = time.monotonic()
    command = [sys.executable, "-m", "chronas", "run", "--data", str(photos), "--limit-ms", f"{limit_ms:.4g}"]
    command += ["--seed", str(seed), "--out", str(folder), *flags]
    with (folder.parent / f"{folder.name}.log").open("w") as log:
        subprocess.run(command, check=False, stdout=log, stderr=subprocess.STDOUT)
    said = (folder.parent / f"{folder.name}.log").read_text().splitlines()
    verdict = next((line for line in reversed(said) if line.startswith("Limit of")), said[-1])
    return folder / "model.onnx", (time.monotonic() - began) / 60, verdict


def case(seed: int, options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Accuracy, latency and minutes of each network of one seed, by name."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        write_photos(place / "made", train=600, test=1000, seed=seed + 1)
        photos = place / "made" / "train"
        files, minutes = {}, {}
        recipes = {"by hand": PLAIN, **({"tuned": make_recipe("photos")} if options.tuned else {})}
        for name, recipe in recipes.items():
            files[name] = by_hand(photos, place / name, recipe, options.train_minutes, seed)
            minutes[name] = options.train_minutes
        flags = ["--train-minutes", str(options.train_minutes), "--threads", str(options.threads)]
        usual = options.train_minutes == 11.0 and options.threads == 2
        flags = [] if usual else flags
        limits = {"found": options.limit_ms}
        if options.tight:
            latency = chronas.compare([files["by hand"]], progress=False).rows[0].latency
            assert latency is not None
            limits["found, tight"] = latency.value
        for name, limit_ms in limits.items():
            files[name], minutes[name], verdict = found(photos, place / name, limit_ms, seed, flags)
            print(f"seed {seed}, {name}: {verdict}", flush=True)
        rows = chronas.compare({name: file for name, file in files.items()}, data=photos.parent, progress=False).rows
        return {
            row.network: {
                "accuracy": row.confusion.accuracy_percent,
                "latency_ms": row.latency.value,
                "minutes": minutes[row.network],
            }
            for row in rows
            if row.latency is not None and row.confusion is not None
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--limit-ms", type=float, default=3.0)
    parser.add_argument("--train-minutes", type=float, default=11.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--tight", action="store_true")
    parser.add_argument("--tuned", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    seen = []
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        seen.append(case(seed, options))
        for name, row in seen[-1].items():
            numbers = f"{row['accuracy']:5.1f} %  {row['latency_ms']:.3f} ms  {row['minutes']:.1f} min"
            print(f"seed {seed}  {name:<14} {numbers}", flush=True)
    means = {name: round(mean(each[name]["accuracy"] for each in seen), 2) for name in seen[0]}
    longest = max(row["minutes"] for each in seen for name, row in each.items() if name.startswith("found"))
    met = means["found"] >= means["by hand"] + BETTER and longest <= MOST_MINUTES
    if options.tight:
        met = met and means["found, tight"] >= means["by hand"] + BETTER_TIGHT
    answer = {"accuracies": means, "minutes": round(longest, 1), "load": round(os.getloadavg()[0], 1), "met": met}
    print(json.dumps({"benchmark": "engineer", "limit_ms": options.limit_ms, "seeds": options.seeds, **answer}))


if __name__ == "__main__":
    main()
