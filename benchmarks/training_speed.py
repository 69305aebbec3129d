"""How many images a second training takes in, against plain PyTorch loops around the same network.

    python benchmarks/training_speed.py

Three sides take turns: `chronas.training.train`; a DataLoader over per-image transforms, as most code has it; and a
plain loop over shuffled tensors, without augmentation, which is what the network alone costs. Then the same without a
network: batches alone. Ratios are medians of pairs; CPU seconds of this process, so that other work on the machine
hardly changes them. Last line JSON.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from chronas.data import Batches, Images, Normalisation
from chronas.networks import build
from chronas.spaces import NetworkSize, make_space
from chronas.training import Recipe, train

RECIPE = Recipe(epochs=1, batch=96, auxiliary_weight=0.0, drop_path=0.0)


class OneByOne(Dataset[tuple[Tensor, int]]):
    """Crop, flip, normalise and cut out an image at a time, in torch; random numbers from Python's loop over images."""

    def __init__(self, images: Images, normalisation: Normalisation) -> None:
        self.images = images
        self.mean = torch.tensor(normalisation.mean).view(-1, 1, 1)
        self.std = torch.tensor(normalisation.std).view(-1, 1, 1)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        pixels = self.images.pixels[index].float() / 255
        _, height, width = pixels.shape
        padding = RECIPE.crop_padding
        top, left = torch.randint(0, 2 * padding + 1, (2,)).tolist()
        pixels = functional.pad(pixels, [padding] * 4)[:, top : top + height, left : left + width]
        if torch.rand(()) < 0.5:
            pixels = pixels.flip(2)
        pixels = (pixels - self.mean) / self.std
        row, column = int(torch.randint(0, height, ())), int(torch.randint(0, width, ()))
        half = RECIPE.cutout // 2
        pixels[:, max(row - half, 0) : row + half, max(column - half, 0) : column + half] = 0
        return pixels, int(self.images.labels[index])


def plain_loop(network: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
    """The loop of a tutorial."""
    network.train()
    optimiser = torch.optim.SGD(
        network.parameters(), RECIPE.learning_rate, momentum=RECIPE.momentum, weight_decay=RECIPE.weight_decay
    )
    for pixels, labels in batches:
        optimiser.zero_grad()
        loss = functional.cross_entropy(network(pixels), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), RECIPE.gradient_clip)
        optimiser.step()
        loss.item()


def tensor_batches(images: Images, normalisation: Normalisation) -> Iterable[tuple[Tensor, Tensor]]:
    for indices in torch.randperm(len(images)).split(RECIPE.batch):  # type: ignore[no-untyped-call]
        yield normalisation(images.pixels[indices]), images.labels[indices]


def cpu_s(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def sides(images: Images, width: int, depth: int) -> dict[str, Callable[[], object]]:
    """What is timed, by name; each begins with the same weights."""
    normalisation = Normalisation.of(images)
    size = NetworkSize(input_shape=images.shape, outputs=10, width=width, depth=depth)
    network = build(make_space("darts").sample(1, seed=0)[0], size)
    loader = DataLoader(OneByOne(images, normalisation), RECIPE.batch, shuffle=True)
    ours = Batches(images, RECIPE.batch, normalisation, seed=0, augment=RECIPE.augment())

    def chronas() -> None:
        with tempfile.TemporaryDirectory() as folder:
            train(copy.deepcopy(network), images, None, normalisation, RECIPE, folder=Path(folder), seed=0)

    return {
        "chronas": chronas,
        "transforms": lambda: plain_loop(copy.deepcopy(network), loader),
        "tensors": lambda: plain_loop(copy.deepcopy(network), tensor_batches(images, normalisation)),
        "chronas batches": lambda: [next(ours) for _ in range(ours.steps_per_epoch)],
        "transforms batches": lambda: list(loader),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=384)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--depth", type=int, default=8)
    parser.add_argument("--pairs", type=int, default=5)
    options = parser.parse_args()
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (options.images, 3, 32, 32), dtype=torch.uint8, generator=generator)
    images = Images(pixels, torch.arange(options.images) % 10)
    work = sides(images, options.width, options.depth)
    times: dict[str, list[float]] = {name: [] for name in work}
    for turn in range(options.pairs + 1):
        for name, each in work.items():
            seconds = cpu_s(each)
            if turn:  # the first one warms up
                times[name].append(seconds)
    for name, found in times.items():
        print(f"{name:<18} {options.images / statistics.median(found):9.0f} images per CPU second")
    ratios = {
        f"times_{other}".replace(" ", "_"): round(
            statistics.median(b / a for a, b in zip(times[ours], times[other], strict=True)), 2
        )
        for ours, other in (
            ("chronas", "transforms"),
            ("chronas", "tensors"),
            ("chronas batches", "transforms batches"),
        )
    }
    print(json.dumps({"benchmark": "training_speed", "threads": torch.get_num_threads(), **ratios}))


if __name__ == "__main__":
    main()
