"""What torchrun starts in the tests: searches on digits, each `[searcher, space, settings]`, one after another.

It computes in float64, where rounding cannot hide a difference. The first process writes FOLDER/SEARCHER/history.json.
"""

from __future__ import annotations

import json
import sys
from dataclasses import astuple
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from chronas.data import Normalisation, load_dataset, split
from chronas.search import Cost, ObjectiveConfig, SearchImages, Task, make_searcher, searcher_class
from chronas.spaces import NetworkSize, make_space
from chronas.training import ProcessGroup, launched_group


class Double(Normalisation):
    """Pixels as float64."""

    def __call__(self, pixels: Tensor) -> Tensor:
        return super().__call__(pixels).double()


def main(folder: Path, searches: list[tuple[str, str, dict[str, Any]]], killed_after: int) -> None:
    torch.set_default_dtype(torch.float64)
    with launched_group() as group:
        for searcher, space, settings in searches:
            search(folder / searcher, searcher, space, settings, killed_after, group)


def search(
    folder: Path, searcher: str, space_name: str, settings: dict[str, Any], killed_after: int, group: ProcessGroup
) -> None:
    space = make_space(space_name)
    slope = torch.arange(space.encoding_length) / space.encoding_length + 1.0
    images = load_dataset("digits", limit=150).train
    train, validation = split(images, 0.5, seed=0)
    config = {"epochs": 2, "batch": 25, "width": 8, "depth": 1, "flip": False, "crop_padding": 1}
    config |= settings

    def progress(step: str, done: int, total: int, note: str) -> None:
        if done == total // 2 * killed_after + 1:
            sys.exit(0)

    task = Task(
        space=space,
        size=NetworkSize(input_shape=(1, 8, 8), outputs=10, width=8, depth=1),
        images=SearchImages(train, validation, Double(*astuple(Normalisation.of(images)))),
        costs={"latency_ms": Cost(lambda codes: codes.double() @ slope, 20.0)},
        objective=ObjectiveConfig(weights={"latency_ms": 0.3}),
        folder=folder,
        group=group,
    )
    found = make_searcher(searcher, searcher_class(searcher).Config.model_validate(config)).search(task, progress)
    if group.first:
        best = next(found.candidates({}))
        (folder / "history.json").write_text(json.dumps([*found.history, {"best": str(best.architecture)}]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]), int(sys.argv[3]))
