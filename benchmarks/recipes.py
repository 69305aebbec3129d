"""What each part of a recipe for few photos adds, on photos made on the spot.

    python benchmarks/recipes.py --seeds 2 --epochs 60 [--only plain photos]

A network of five convolutions (64 x 64 pixels) is trained on 600 photos of five classes (`photos.py`), and tested on
1,000 others. `plain` is SGD with flips and crops; each other row adds or changes one thing, `photos` is the recipe of
that name. Prints a row for each, and last one line of JSON. Bar: `photos` is better than `plain`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from photos import write_photos
from torch import nn

from chronas.data import Dataset, Normalisation, load_dataset
from chronas.training import Recipe, evaluate, make_recipe, train

PIXELS, CLASSES = 64, 5
PLAIN = Recipe(
    batch=32, learning_rate=0.05, auxiliary_weight=0.0, drop_path=0.0, crop_padding=4, cutout=0, weight_decay=5e-4
)
ADAMW = {"optimizer": "adamw", "learning_rate": 2e-3, "weight_decay": 0.02}
ROWS: dict[str, dict[str, Any]] = {
    "plain": {},
    "label smoothing": {"label_smoothing": 0.1},
    "warm-up": {"warmup": 0.1},
    "mean of weights": {"ema": 0.99},
    "mixup": {"mixup": 0.2},
    "random parts": {"crop_scale": 0.6, "crop_padding": 0},
    "turns": {"rotation": 10.0},
    "colours": {"color_jitter": 0.2},
    "AdamW": {**ADAMW, "warmup": 0.1},
    "photos": {},
}


def network() -> nn.Module:
    """Five convolutions of 3 x 3 with batch norm."""
    layers: list[nn.Module] = []
    before = 3
    for channels, stride in ((32, 2), (64, 2), (96, 2), (128, 2), (128, 1)):
        layers += [nn.Conv2d(before, channels, 3, stride, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU()]
        before = channels
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, CLASSES))


def accuracy(data: Dataset, recipe: Recipe, seed: int) -> float:
    """The test accuracy of one training, in percent."""
    torch.manual_seed(seed)
    trained, normalisation = network(), Normalisation.of(data.train)
    with tempfile.TemporaryDirectory() as folder:
        train(trained, data.train, None, normalisation, recipe, folder=Path(folder), seed=seed)
    return evaluate(trained, data.test, normalisation)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", nargs="*", choices=ROWS, default=list(ROWS))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    means = {}
    with tempfile.TemporaryDirectory() as folder:
        write_photos(Path(folder), train=600, test=1000, seed=1)
        data = load_dataset(folder, image_size=PIXELS)
    for name in options.only:
        base = make_recipe("photos") if name == "photos" else PLAIN.model_copy(update=ROWS[name])
        recipe, began = base.model_copy(update={"epochs": options.epochs}), time.perf_counter()
        found = [accuracy(data, recipe, seed) for seed in range(options.seeds)]
        means[name] = round(statistics.mean(found), 2)
        each_s = (time.perf_counter() - began) / options.seeds
        print(f"{name:<16} {means[name]:6.2f} %  {' '.join(f'{one:.1f}' for one in found)}  {each_s:.0f} s", flush=True)
    met = means["photos"] > means["plain"] if {"photos", "plain"} <= means.keys() else None
    print(json.dumps({"benchmark": "recipes", "epochs": options.epochs, "accuracies": means, "met": met}))


if __name__ == "__main__":
    main()
