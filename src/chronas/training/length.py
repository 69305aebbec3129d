"""The number of steps of a training: by epochs, as given, or as many as a few timed steps say fit into some minutes.

steps = planned_steps(Budget(minutes=5), parts, identity, folder)

The number for minutes is decided once and written into the training's folder. A training that goes on there has the
same steps, and so the same weights as one that nothing stopped. The steps that are timed are done on a copy.
"""

from __future__ import annotations

import copy
import math
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import nn

from chronas.data import Batches, Images
from chronas.files import read_as, write_json
from chronas.progress import Progress, silent
from chronas.training.budget import Budget
from chronas.training.checkpoints import require_identity, save_best, save_last
from chronas.training.evaluation import accuracy_and_loss
from chronas.training.learner import Learner, drawn_from
from chronas.training.process_group import ProcessGroup, synced_batch_norm
from chronas.training.recipe import Recipe
from chronas.units import duration_text

PLAN, SCHEMA = "plan.json", "chronas.training-plan/1"
STEP = "plan training"  # of the progress
TIMED_S = 2.0  # time to spend on steps that are timed, after a first one that is slower than the others
FEWEST, MOST = 4, 100  # steps that are timed


@dataclass(frozen=True)
class Plan:
    """The content of `plan.json`: the number of steps that were taken to fit into the minutes, and why.

    Attributes:
        identity: the facts that the training must match, as in a checkpoint, and the minutes.
        steps: the number of steps.
        step_s: seconds of a step.
        epoch_s: seconds at the end of each epoch, for validation and checkpoints.
    """

    identity: dict[str, Any]
    steps: int
    step_s: float
    epoch_s: float


@dataclass(frozen=True)
class Parts:
    """All that a training consists of, besides its length: the arguments of `train` with the same names."""

    network: nn.Module
    learner_of: Callable[[nn.Module], Learner]
    batches_of: Callable[[], Batches]
    validation: Images | None
    recipe: Recipe
    seed: int
    group: ProcessGroup


def planned_steps(
    budget: Budget, parts: Parts, identity: dict[str, Any], folder: Path, progress: Progress = silent
) -> int:
    """The number of optimiser steps of a training; for minutes that of `plan.json`, which is written if it is missing.

    Raises:
        MismatchError: the folder has the plan of another training, or one for other minutes.
        DataError: `plan.json` is damaged or cannot be written.
    """
    per_epoch, group = parts.batches_of().steps_per_epoch, parts.group
    if budget.minutes is None:
        return budget.steps or parts.recipe.epochs * per_epoch
    path = folder / PLAN
    identity = {**identity, "minutes": budget.minutes}
    known = read_as(path, SCHEMA, Plan) if path.exists() else None
    if known is not None:
        require_identity(path, identity, known.identity)
    group.wait()  # all processes have looked before one writes
    if known is not None:
        return known.steps
    began_s = time.perf_counter()
    step_s, epoch_s = _timed(parts)
    left_s = 60.0 * budget.minutes - (time.perf_counter() - began_s)
    plan = Plan(identity, max(1, int(left_s / (step_s + epoch_s / per_epoch))), step_s, epoch_s)
    steps = int(group.broadcast(str(plan.steps)))
    if group.first:
        write_json(path, SCHEMA, asdict(plan))
    told = f"{steps:,} steps ({steps / per_epoch:.1f} epochs) of {1000 * step_s:.3g} ms"
    progress(STEP, 1, 1, f"{told} fit into {duration_text(60 * budget.minutes)}")
    return steps


def _timed(parts: Parts) -> tuple[float, float]:
    """Seconds of a step, and of the end of an epoch, on a copy of the network."""
    network = copy.deepcopy(parts.network)
    learner, batches = parts.learner_of(network), parts.batches_of()
    device = next(network.parameters()).device
    network.train()
    with drawn_from(parts.seed, 0, device), synced_batch_norm(network, parts.group) as set_whole_batch:

        def steps(count: int) -> float:
            began_s = time.perf_counter()
            for _ in range(count):
                batch = next(batches)
                set_whole_batch(len(batch[1]))
                learner.step(batch, 0, 1)
            return (time.perf_counter() - began_s) / count

        count = math.ceil(TIMED_S / steps(1))
        count = int(parts.group.broadcast(str(min(MOST, max(FEWEST, count)))))
        step_s, began_s = steps(count), time.perf_counter()
        if parts.validation is not None:
            accuracy_and_loss(learner.kept, parts.validation, batches.normalisation, group=parts.group)
        with tempfile.TemporaryDirectory(prefix="chronas-") as folder:
            save_best(Path(folder), learner.kept, 1)
            save_last(Path(folder), network, learner.optimiser, learner.average, {}, {})
        return step_s, time.perf_counter() - began_s
