"""What torchrun starts in the tests: `FOLDERS` trains a small network on digits for each folder, or goes on in it.

A folder of the name `minutes` gets a training of 0.02 minutes. It computes in float64, where rounding cannot hide a
difference. The first process writes history.json in each.
"""

from __future__ import annotations

import json
import sys
from dataclasses import astuple
from pathlib import Path

from torch import Tensor

from chronas.data import Normalisation, load_dataset, split
from chronas.networks import build
from chronas.spaces import NetworkSize, make_space
from chronas.training import Budget, ProcessGroup, Recipe, launched_group, train

SIZE = NetworkSize(input_shape=(1, 8, 8), outputs=10, width=4, depth=3)
NEVER = 9  # more epochs than the training has
RECIPE = Recipe(
    epochs=2, batch=45, learning_rate=0.02, drop_path=0.4, crop_padding=1, flip=False, cutout=2, label_smoothing=0.05,
    warmup=0.1, ema=0.8, mixup=0.2,
)  # fmt: skip


class Double(Normalisation):
    """Pixels as float64."""

    def __call__(self, pixels: Tensor) -> Tensor:
        return super().__call__(pixels).double()


def main(folders: list[Path], killed_after: int) -> None:
    with launched_group() as group:
        for folder in folders:
            trained(folder, killed_after, group)
    left = [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]  # threads; empty off Linux
    assert not any("gloo" in name for name in left), left  # one that lives until exit may end the process with SIGABRT


def trained(folder: Path, killed_after: int, group: ProcessGroup) -> None:
    images, validation = split(load_dataset("digits", limit=225).train, 0.2, seed=0)
    network = build(make_space("darts").sample(1, seed=4)[0], SIZE, seed=0, auxiliary=True).double()
    steps = 4 * killed_after

    def progress(step: str, done: int, total: int, note: str) -> None:
        if done == steps + 1:
            sys.exit(0)

    training = train(
        network,
        images,
        validation,
        Double(*astuple(Normalisation.of(images))),
        RECIPE,
        folder=folder,
        seed=0,
        budget=Budget(minutes=0.02) if folder.name == "minutes" else None,
        progress=progress,
        group=group,
    )
    if group.first:
        rows = [{key: value for key, value in row.items() if key != "seconds"} for row in training.history]
        (folder / "history.json").write_text(json.dumps(rows))


if __name__ == "__main__":
    main([Path(each) for each in sys.argv[1:]], NEVER)
