"""What each part of a recipe for few photos adds, on photos made on the spot or on other images.

    python benchmarks/recipes.py --seeds 2 --epochs 60 [--only plain photos]
    python benchmarks/recipes.py --data ../shared/data/cifar10 --images 2000 --minutes 1 --only photos cifar10-cpu

A network of five convolutions is trained on 600 photos of five classes (64 x 64 pixels), and tested on
1,000 others. `plain` is SGD with flips and crops; each other row adds or changes one thing; `photos` and `cifar10-cpu`
are the recipes of these names. With `--minutes` all trainings have the time instead of the epochs. `teacher` is
`photos` with a network of twice the width as a teacher, which was trained by the same recipe for as long. Prints a row
for each, and last one line of JSON. Bar: `photos` is better than `plain`.
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
from torch import nn

from chronas.data import Dataset, Normalisation, load_dataset, write_photos
from chronas.runs import five_convolutions, teacher_of
from chronas.training import Budget, Recipe, evaluate, make_recipe, train

PIXELS = 64
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
    "TrivialAugment": {"trivial_augment": True},
    "AdamW": {**ADAMW, "warmup": 0.1},
    "photos": {},
    "photos and TrivialAugment": {"trivial_augment": True},
    "cifar10-cpu": {},
    "teacher": {},
}
BASES = {
    "photos": "photos",
    "photos and TrivialAugment": "photos",
    "cifar10-cpu": "cifar10-cpu",
    "teacher": "photos",
}  # row -> recipe that it begins with


def trained(
    data: Dataset, recipe: Recipe, budget: Budget, seed: int, times: int = 1, teacher: nn.Module | None = None
) -> nn.Module:
    """One trained network, in eval mode."""
    torch.manual_seed(seed)
    found, normalisation = five_convolutions(data.classes, times=times), Normalisation.of(data.train)
    told = None if teacher is None else teacher_of(teacher, data, normalisation)
    with tempfile.TemporaryDirectory() as folder:
        train(
            found, data.train, None, normalisation, recipe, folder=Path(folder), seed=seed, budget=budget, teacher=told
        )
    return found.eval()


class Scaled(nn.Module):
    """A network for pixels from 0 to 1, as teachers get them."""

    def __init__(self, network: nn.Module, normalisation: Normalisation) -> None:
        super().__init__()
        self.network = network
        self.mean, self.std = (torch.tensor(each).view(-1, 1, 1) for each in (normalisation.mean, normalisation.std))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.network((images - self.mean) / self.std)
        return found


def accuracy(data: Dataset, name: str, recipe: Recipe, budget: Budget, seed: int) -> float:
    """The test accuracy of one row's training, in percent."""
    teacher, normalisation = None, Normalisation.of(data.train)
    if name == "teacher":
        large = trained(data, recipe, budget, seed, times=2)
        print(f"  a teacher with {evaluate(large, data.test, normalisation):.2f} %", flush=True)
        teacher = Scaled(large, normalisation)
    return evaluate(trained(data, recipe, budget, seed, teacher=teacher), data.test, normalisation)


def recipe_of(name: str, epochs: int) -> Recipe:
    """The recipe of a row."""
    base = make_recipe(BASES[name]) if name in BASES else PLAIN.model_copy(update=ROWS[name])
    return base.model_copy(update={"epochs": epochs})


def images(options: argparse.Namespace) -> Dataset:
    """The photos, or the images of `--data`."""
    if options.data is not None:
        return load_dataset(options.data, limit=options.images)
    with tempfile.TemporaryDirectory() as folder:
        write_photos(Path(folder), train=options.images or 600, test=1000, seed=1)
        return load_dataset(folder, image_size=PIXELS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--data")
    parser.add_argument("--images", type=int)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", nargs="*", choices=ROWS, default=list(ROWS))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    means, data, budget = {}, images(options), Budget(minutes=options.minutes)
    for name in options.only:
        recipe, began = recipe_of(name, options.epochs), time.perf_counter()
        found = [accuracy(data, name, recipe, budget, seed) for seed in range(options.seeds)]
        means[name] = round(statistics.mean(found), 2)
        each_s = (time.perf_counter() - began) / options.seeds
        print(f"{name:<16} {means[name]:6.2f} %  {' '.join(f'{one:.1f}' for one in found)}  {each_s:.0f} s", flush=True)
    met = means["photos"] > means["plain"] if {"photos", "plain"} <= means.keys() else None
    asked = {"data": options.data, "images": len(data.train), "epochs": options.epochs, "minutes": options.minutes}
    print(json.dumps({"benchmark": "recipes", **asked, "accuracies": means, "met": met}))


if __name__ == "__main__":
    main()
