"""A small task on digits, for the searchers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from chronas.data import Images, Normalisation, load_dataset, split
from chronas.search import Cost, ObjectiveConfig, SearchImages, Task
from chronas.spaces import NetworkSize, Space, make_space

MakeTask = Callable[..., Task]


def additive(space: Space) -> Callable[[Tensor], Tensor]:
    """An additive cost in ms, between about 1 and 2 ms a slot group."""
    slope = 0.1 + torch.rand(space.encoding_length, generator=torch.Generator().manual_seed(0))
    return lambda codes: codes @ slope + 1.0


def latency(space: Space) -> Cost:
    cost = additive(space)
    codes = torch.from_numpy(space.encode(space.sample(min(200, space.cardinality), seed=0)))
    return Cost(cost, float(cost(codes).median()))


def objective_of(weight: float = 0.0, limit_ms: float | None = None, **others: Any) -> ObjectiveConfig:
    """An objective on latency alone."""
    limits = {} if limit_ms is None else {"latency_ms": limit_ms}
    return ObjectiveConfig(weights={"latency_ms": weight}, limits=limits, **others)


@pytest.fixture(scope="session")
def digits() -> tuple[Images, Images, Normalisation]:
    """192 training and 128 validation images of 8x8 digits."""
    images = load_dataset("digits").train
    train, validation = split(images, 0.4, seed=0)
    return train.subset(torch.arange(192)), validation.subset(torch.arange(128)), Normalisation.of(images)


@pytest.fixture
def make_task(digits: tuple[Images, Images, Normalisation], tmp_path: Path) -> MakeTask:
    """Make a task of a space (or of its name) with an objective and an additive latency, in `tmp_path/<folder>`."""

    def make(space: str | Space = "darts", folder: str = "search", seed: int = 0, **objective: float) -> Task:
        train, validation, normalisation = digits
        found = make_space(space) if isinstance(space, str) else space
        return Task(
            space=found,
            size=NetworkSize(input_shape=(1, 8, 8), outputs=10, width=4, depth=1 if space == "nasbench201" else 3),
            images=SearchImages(train, validation, normalisation),
            costs={"latency_ms": latency(found)},
            objective=objective_of(**objective),
            folder=tmp_path / folder,
            seed=seed,
        )

    return make
