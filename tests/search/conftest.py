"""A small task on digits, for the searchers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from chronas.data import Images, Normalisation, load_dataset, split
from chronas.search import ObjectiveConfig, Task
from chronas.spaces import Skeleton, Space, make_space

MakeTask = Callable[..., Task]


def additive(space: Space) -> Callable[[Tensor], Tensor]:
    """An additive cost in ms, between about 1 and 2 ms a slot group."""
    slope = 0.1 + torch.rand(space.width, generator=torch.Generator().manual_seed(0))
    return lambda codes: codes @ slope + 1.0


def median_ms(space: Space) -> float:
    return float(additive(space)(torch.from_numpy(space.encode(space.sample(200, seed=0)))).median())


@pytest.fixture(scope="session")
def digits() -> tuple[Images, Images, Normalisation]:
    """192 training and 128 validation images of 8x8 digits."""
    images = load_dataset("digits").train
    train, validation = split(images, 0.4, seed=0)
    return train.subset(torch.arange(192)), validation.subset(torch.arange(128)), Normalisation.of(images)


@pytest.fixture
def make_task(digits: tuple[Images, Images, Normalisation], tmp_path: Path) -> MakeTask:
    """Make a task of a space (its name) with an objective and an additive cost, in `tmp_path/<folder>`."""

    def make(space: str = "darts", folder: str = "search", seed: int = 0, **objective: float) -> Task:
        train, validation, normalisation = digits
        found = make_space(space)
        return Task(
            space=found,
            skeleton=Skeleton(input_shape=(1, 8, 8), classes=10, width=4, depth=1 if space == "nasbench201" else 3),
            search_train=train,
            search_validation=validation,
            normalisation=normalisation,
            cost=additive(found),
            median_ms=median_ms(found),
            objective=ObjectiveConfig.model_validate(objective),
            folder=tmp_path / folder,
            seed=seed,
        )

    return make
