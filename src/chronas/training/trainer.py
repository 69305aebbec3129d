"""Training of one network from scratch as in DARTS's evaluation (arXiv:1806.09055), with a checkpoint each epoch.

Differences from `train.py` of quark0/darts: the cosine schedule advances with every step, not every epoch, and the
batches of an epoch have nearly equal sizes. Tensors are channels-last inside: on one CPU core this halves the time of a
step of an 8-cell network of width 16 on 32x32 images. All randomness follows from (seed, epoch, step), so a training
that was killed and restarted gives bit for bit the same weights on a CPU.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from chronas.data import Batches, Images, Normalisation
from chronas.errors import DivergedError, UsageError
from chronas.files import fingerprint
from chronas.networks import set_drop_path, wiring
from chronas.progress import Progress, silent
from chronas.training.budget import Budget
from chronas.training.checkpoints import load_best, load_last, save_best, save_last
from chronas.training.distillation import Teacher
from chronas.training.evaluation import accuracy_and_loss
from chronas.training.learner import Learner, drawn_from
from chronas.training.length import Parts, planned_steps
from chronas.training.process_group import SINGLE_PROCESS, ProcessGroup, synced_batch_norm
from chronas.training.recipe import Recipe

LEARNT = 0.05  # nats; a training loss below is next to nothing


@dataclass(frozen=True)
class Training:
    """The result of a training.

    Attributes:
        history: one row for each epoch: epoch (from 1), train_loss, train_accuracy and validation_accuracy in percent,
            validation_loss in nats (both None without validation images), learning_rate at its start, seconds.
        best_epoch: the epoch whose weights were kept: the latest one whose validation accuracy is within one standard
            error of the highest (Breiman et al., Classification and Regression Trees, 1984), so that luck with few
            validation images does not beat a finished training. Without validation images, the last epoch.
        best_validation_accuracy: validation accuracy of that epoch in percent, or None without validation images.
        steps: number of optimiser steps that were planned.
        epochs: number of epochs that were planned; the last one may be a part of one.
    """

    history: list[dict[str, Any]]
    best_epoch: int
    best_validation_accuracy: float | None
    steps: int
    epochs: int

    @property
    def stopped_epoch(self) -> int | None:
        """The epoch after which the recipe's patience ended the training; None if it had its full length."""
        return len(self.history) if len(self.history) < self.epochs else None

    @property
    def still_learning(self) -> bool:
        """Whether it ended too early; not if it was stopped, as its validation accuracy rose no more.

        A training without steps is not. Its loss fell by over a tenth from the last but one fifth to the last fifth.
        The bound is ours. A training whose learning rate falls to zero in enough epochs is flat at its end.
        """
        return self.epochs > 0 and self.stopped_epoch is None and _falling([row["train_loss"] for row in self.history])


def _falling(losses: list[float]) -> bool:
    fifth = max(1, len(losses) // 5)
    if len(losses) < 2 * fifth:
        return True
    before, last = losses[-2 * fifth : -fifth], losses[-fifth:]
    return sum(last) < 0.9 * sum(before) and sum(last) > LEARNT * fifth


def train(
    network: nn.Module,
    images: Images,
    validation: Images | None,
    normalisation: Normalisation,
    recipe: Recipe,
    *,
    folder: Path,
    seed: int,
    budget: Budget | None = None,
    teacher: Teacher | None = None,
    init: str | None = None,
    progress: Progress = silent,
    group: ProcessGroup = SINGLE_PROCESS,
) -> Training:
    """Train a network, or resume a training in the same folder; the network ends with the best weights.

    Args:
        network: images [B, C, H, W] -> logits [B, classes], with its initial weights; in training it may also return a
            tuple with an auxiliary head's logits. Its `DropPath` modules, if any, follow the recipe.
        images: training images; never the test split.
        validation: images that choose the epoch, or None.
        normalisation: normalisation of the training images.
        recipe: training settings.
        folder: gets `last.safetensors` and `best.safetensors`.
        seed: seed of order, augmentation and drop path.
        budget: steps or minutes, instead of the recipe's epochs. The last epoch ends where the steps do. The number of
            steps for minutes is decided once, by timing some on a copy, and kept in `plan.json` of the folder.
        teacher: a trained network to learn from too; it sees the same images.
        init: checksum of what the initial weights are from, so that the folder is not continued with others.
        progress: called every step with the step "train", and once more if the recipe's patience ends the training;
            with minutes also once with the step "plan training".
        group: processes that share every batch. The result equals that of one process up to rounding, also when a
            training resumes with another number of processes. The first one writes; all must see the folder.

    Raises:
        DivergedError: the loss is NaN or infinite; the previous epoch's checkpoint stays.
        UsageError: a batch has fewer images than there are processes, or the recipe has patience, and there are no
            validation images; or the teacher does not take the images.
        MismatchError: the folder holds a training of another architecture, recipe, seed, teacher or of other images, or
            some processes do not see it.
        DataError: a checkpoint in the folder is damaged or cannot be written, or the teacher's logits are not finite.
    """
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def batches_of() -> Batches:
        return Batches(images, recipe.batch, normalisation, seed=seed, augment=recipe.augment())

    def learner_of(network: nn.Module) -> Learner:
        return Learner(network, recipe, seed=seed, teacher=teacher, group=group)

    learner, batches = learner_of(network), batches_of()
    _require_usable(len(images) // batches.steps_per_epoch, recipe, validation, group)
    parts = Parts(network, learner_of, batches_of, validation, recipe, seed, group)
    identity = _identity(network, images, validation, recipe, seed, teacher, init)
    total = planned_steps(budget or Budget(), parts, identity, folder, progress)
    identity["steps"] = None if budget in (None, Budget()) else total  # None: the recipe's epochs decide
    epochs = math.ceil(total / batches.steps_per_epoch)
    saved = load_last(folder, network, learner.optimiser, learner.average, identity)
    history: list[dict[str, Any]] = saved["history"] if saved else []
    if saved:
        batches.restore(saved["batches"])
    group.require_same(len(history), "epochs in the folder")  # no process writes before all have read
    with synced_batch_norm(network, group) as set_whole_batch:
        while len(history) < epochs and not _stale(history, recipe.patience):
            epoch = len(history)
            start_s = time.perf_counter()
            with drawn_from(seed, epoch, next(network.parameters()).device):
                row = _epoch(learner, batches, recipe, epoch, total, progress, set_whole_batch)
            row |= {"validation_accuracy": None, "validation_loss": None}
            if validation is not None:
                found = accuracy_and_loss(learner.kept, validation, normalisation, group=group)
                row |= {"validation_accuracy": found.accuracy, "validation_loss": found.loss}
            history.append({**row, "seconds": time.perf_counter() - start_s})
            if group.first:
                if _best(history, validation)["epoch"] == epoch + 1:
                    save_best(folder, learner.kept, epoch + 1)
                content = {"history": history, "batches": batches.state()}
                save_last(folder, network, learner.optimiser, learner.average, identity, content)
    if len(history) < epochs:
        why = f"the validation accuracy has not risen since epoch {len(history) - recipe.patience}"
        progress("train", total, total, f"ended after epoch {len(history)} of {epochs}, as {why}")
    group.wait()  # for the files of the first process
    load_best(network, folder)
    network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    best = _best(history, validation)
    return Training(history, best["epoch"], best["validation_accuracy"], total, epochs)


def _require_usable(batch: int, recipe: Recipe, validation: Images | None, group: ProcessGroup) -> None:
    """Check that each process gets an image of every batch, and that the recipe's patience has images to look at."""
    if recipe.patience and validation is None:
        raise UsageError(f"a patience of {recipe.patience} epochs needs validation images, got none: give some, or 0")
    if batch < group.size:
        raise UsageError(
            f"{group.size} processes cannot share a batch of {batch} images: start fewer, or raise the batch"
        )


def _epoch(
    learner: Learner,
    batches: Batches,
    recipe: Recipe,
    epoch: int,
    total: int,
    progress: Progress,
    set_whole_batch: Callable[[int], None],
) -> dict[str, Any]:
    """Train on every image once, or until `total` steps are done; the epoch's row of the history without validation."""
    size = batches.steps_per_epoch
    first, last, epochs = epoch * size, min((epoch + 1) * size, total), math.ceil(total / size)
    learner.network.train()
    set_drop_path(learner.network, recipe.drop_path * epoch / epochs)
    loss_sum, correct, seen = 0.0, 0, 0
    for step in range(first, last):
        batch = next(batches)
        set_whole_batch(len(batch[1]))
        loss, right, count = learner.step(batch, step, total)
        if not np.isfinite(loss):
            where = f"in epoch {epoch + 1} of {epochs}; the checkpoint of the epoch before stays"
            advice = f"use a lower learning rate than {recipe.learning_rate:g}, and another folder"
            raise DivergedError(f"training diverged: the loss or its gradient is not finite {where}: {advice}")
        loss_sum, correct, seen = loss_sum + loss * count, correct + right, seen + count
        note = f"epoch {epoch + 1}/{epochs}, loss {loss_sum / seen:.3f}, accuracy {100 * correct / seen:.1f} %"
        progress("train", step + 1, total, note)
    return {
        "epoch": epoch + 1,
        "train_loss": loss_sum / seen,
        "train_accuracy": 100.0 * correct / seen,
        "learning_rate": recipe.learning_rate_at(first / total),
    }


def _stale(history: list[dict[str, Any]], patience: int) -> bool:
    """Whether the best validation accuracy is `patience` epochs old; never without patience."""
    if not patience or not history:
        return False
    accuracies = [row["validation_accuracy"] for row in history]
    return len(accuracies) - 1 - accuracies.index(max(accuracies)) >= patience


def _best(history: list[dict[str, Any]], validation: Images | None) -> dict[str, Any]:
    """The history row of the epoch to keep; see `Training.best_epoch`."""
    if validation is None:
        return history[-1]
    highest = max(row["validation_accuracy"] for row in history)
    share = (highest / 100.0 * len(validation) + 1) / (len(validation) + 2)  # Laplace's rule: never quite 1
    error = 100.0 * math.sqrt(share * (1.0 - share) / len(validation))
    return next(row for row in reversed(history) if row["validation_accuracy"] >= highest - error)


def _identity(
    network: nn.Module,
    images: Images,
    validation: Images | None,
    recipe: Recipe,
    seed: int,
    teacher: Teacher | None,
    init: str | None,
) -> dict[str, Any]:
    """The facts that a checkpoint must match, as JSON."""
    return {
        "network": fingerprint([repr(network), wiring(network)]),
        "images": images.checksum(),
        "validation": None if validation is None else validation.checksum(),
        "recipe": recipe.model_dump(mode="json"),
        "seed": seed,
        "teacher": None if teacher is None else teacher.checksum,
        "init": init,
    }
