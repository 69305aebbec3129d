"""What torchrun starts in the tests: `FOLDER SEARCHER SPACE ORDER` searches on digits, and dies after an epoch if told.

It computes in float64, where rounding cannot hide a difference. The first process writes FOLDER/history.json.
"""

from __future__ import annotations

import json
import sys
from dataclasses import astuple
from pathlib import Path

import torch
from torch import Tensor

from chronas.data import Normalisation, load_dataset, split
from chronas.search import Cost, ObjectiveConfig, SearchImages, Task, make_searcher, searcher_class
from chronas.spaces import NetworkSize, make_space
from chronas.training import launched_group


class Double(Normalisation):
    """Pixels as float64."""

    def __call__(self, pixels: Tensor) -> Tensor:
        return super().__call__(pixels).double()


def main(folder: Path, searcher: str, space_name: str, settings: str, killed_after: int) -> None:
    torch.set_default_dtype(torch.float64)
    space = make_space(space_name)
    slope = torch.arange(space.encoding_length) / space.encoding_length + 1.0
    images = load_dataset("digits", limit=150).train
    train, validation = split(images, 0.5, seed=0)
    config = {"epochs": 2, "batch": 25, "width": 8, "depth": 1, "flip": False, "crop_padding": 1}
    config |= json.loads(settings)

    def progress(step: str, done: int, total: int, note: str) -> None:
        if done == total // 2 * killed_after + 1:
            sys.exit(0)

    with launched_group() as group:
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
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5]))
