"""A training of a small network on digits that takes a second, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from chronas.data import Images, Normalisation, load_dataset, split
from chronas.networks import load_state
from chronas.training import Recipe, Training, train

RECIPE = Recipe(
    epochs=3, batch=50, learning_rate=0.1, auxiliary_weight=0.0, drop_path=0.0, crop_padding=1, flip=False, cutout=2
)
PER_EPOCH = 4  # steps


class Killed(BaseException):
    """What ends a training in the middle of an epoch."""


def parts() -> tuple[Images, Images]:
    """200 images of digits, and 50 for validation."""
    return split(load_dataset("digits", limit=250).train, 0.2, seed=0)


def network(seed: int = 0) -> nn.Module:
    """A convolution with batch norm, and a linear layer."""
    torch.manual_seed(seed)
    layers = [nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10)]
    return nn.Sequential(*layers)


def trained(
    folder: Path, recipe: Recipe = RECIPE, *, kill_at: int = -1, told: list[str] | None = None, **options: Any
) -> tuple[nn.Module, Training]:
    """A network and its training; `told` gets the progress that is not of a step, and notes of the last one."""

    def progress(step: str, done: int, total: int, note: str) -> None:
        if told is not None and (step != "train" or done == total):
            told.append(f"{step}: {note}")
        if step == "train" and done == kill_at:
            raise Killed

    images, validation = parts()
    found = network()
    normalisation = Normalisation.of(images)
    training = train(
        found, images, validation, normalisation, recipe, folder=folder, seed=0, progress=progress, **options
    )
    return found, training


def weights(folder: Path, name: str = "best") -> dict[str, Tensor]:
    """The tensors of `best.safetensors` or `last.safetensors`."""
    return load_state(folder / f"{name}.safetensors")[0]


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    """Whether two states are equal to the bit."""
    return first.keys() == second.keys() and all(first[name].equal(second[name]) for name in first)
