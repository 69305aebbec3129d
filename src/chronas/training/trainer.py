"""Training of one network from scratch as in DARTS's evaluation (arXiv:1806.09055), with a checkpoint each epoch.

Differences from `train.py` of quark0/darts: the cosine schedule advances with every step, not every epoch, and the
batches of an epoch have nearly equal sizes. Tensors are channels-last inside: on one CPU core this halves the time of a
step of an 8-cell network of width 16 on 32x32 images. All randomness follows from (seed, epoch, step), so a training
that was killed and restarted gives bit for bit the same weights on a CPU.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel

from chronas.data import Batches, Images, Normalisation, every_batch
from chronas.errors import DataError, DivergedError, UsageError
from chronas.files import fingerprint
from chronas.networks import set_drop_path, wiring
from chronas.progress import Progress, silent
from chronas.training.checkpoints import load_best, load_last, save_best, save_last
from chronas.training.process_group import SINGLE_PROCESS, ProcessGroup, synced_batch_norm
from chronas.training.recipe import Recipe

ADAM_BETA_2 = 0.999  # PyTorch's default
MIXUP = 2  # stream of the shares of mixup; the loader has 0 and 1


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
    """

    history: list[dict[str, Any]]
    best_epoch: int
    best_validation_accuracy: float | None


def train(
    network: nn.Module,
    images: Images,
    validation: Images | None,
    normalisation: Normalisation,
    recipe: Recipe,
    *,
    folder: Path,
    seed: int,
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
        progress: called every step with the step "train".
        group: processes that share every batch. The result equals that of one process up to rounding, also when a
            training resumes with another number of processes. The first one writes; all must see the folder.

    Raises:
        DivergedError: the loss is NaN or infinite; the previous epoch's checkpoint stays.
        UsageError: a batch has fewer images than there are processes.
        MismatchError: the folder holds a training of another architecture, recipe, seed or of other images, or some
            processes do not see it.
        DataError: a checkpoint in the folder is damaged or cannot be written.
    """
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    parameters = list(network.parameters())
    optimiser = _optimiser(parameters, recipe)
    batches = Batches(images, recipe.batch, normalisation, seed=seed, augment=recipe.augment())
    _require_shareable(len(images) // batches.steps_per_epoch, group)
    identity = _identity(network, images, validation, recipe, seed)
    average = running_mean(network, recipe.ema) if recipe.ema else None
    saved = load_last(folder, network, optimiser, average, identity)
    history: list[dict[str, Any]] = saved["history"] if saved else []
    if saved:
        batches.restore(saved["batches"])
    group.require_same(len(history), "epochs in the folder")  # no process writes before all have read
    with synced_batch_norm(network, group) as set_whole_batch:
        for epoch in range(len(history), recipe.epochs):
            start_s = time.perf_counter()
            with _drawn_from(seed, epoch, parameters[0].device):
                row = _epoch(network, optimiser, average, batches, recipe, epoch, progress, group, set_whole_batch)
            row |= {"validation_accuracy": None, "validation_loss": None}
            kept: nn.Module = network if average is None else average.module
            if validation is not None:
                found = accuracy_and_loss(kept, validation, normalisation, group=group)
                row |= {"validation_accuracy": found.accuracy, "validation_loss": found.loss}
            history.append({**row, "seconds": time.perf_counter() - start_s})
            if group.first:
                if _best(history, validation)["epoch"] == epoch + 1:
                    save_best(folder, kept, epoch + 1)
                content = {"history": history, "batches": batches.state()}
                save_last(folder, network, optimiser, average, identity, content)
    group.wait()  # for the files of the first process
    load_best(network, folder)
    network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    best = _best(history, validation)
    return Training(history, best["epoch"], best["validation_accuracy"])


def running_mean(network: nn.Module, decay: float) -> AveragedModel:
    """A copy of a network whose weights and buffers follow the network's by an exponential mean.

    In the first steps the mean is over all steps so far, so that random weights do not stay in it.
    """

    def follow(mean: Tensor, now: Tensor, steps: Tensor | int) -> Tensor:
        if not mean.is_floating_point():
            return now
        return mean.lerp(now, max(1.0 - decay, 1.0 / (1.0 + float(steps))))

    return AveragedModel(network, avg_fn=follow, use_buffers=True)


def _optimiser(parameters: list[nn.Parameter], recipe: Recipe) -> torch.optim.Optimizer:
    if recipe.optimizer == "adamw":
        betas = (recipe.momentum, ADAM_BETA_2)
        return torch.optim.AdamW(
            parameters, recipe.learning_rate, betas, weight_decay=recipe.weight_decay, foreach=True
        )
    return torch.optim.SGD(
        parameters, recipe.learning_rate, momentum=recipe.momentum, weight_decay=recipe.weight_decay, foreach=True
    )


def _require_shareable(batch: int, group: ProcessGroup) -> None:
    """Check that each process gets an image of every batch."""
    if batch < group.size:
        raise UsageError(
            f"{group.size} processes cannot share a batch of {batch} images: start fewer, or raise the batch"
        )


def _epoch(
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    average: AveragedModel | None,
    batches: Batches,
    recipe: Recipe,
    epoch: int,
    progress: Progress,
    group: ProcessGroup,
    set_whole_batch: Callable[[int], None],
) -> dict[str, Any]:
    """Train on every image once; returns the epoch's row of the history without validation."""
    network.train()
    set_drop_path(network, recipe.drop_path * epoch / recipe.epochs)
    total = recipe.epochs * batches.steps_per_epoch
    loss_sum, correct, seen = 0.0, 0, 0
    for step in range(epoch * batches.steps_per_epoch, (epoch + 1) * batches.steps_per_epoch):
        optimiser.param_groups[0]["lr"] = recipe.learning_rate_at(step / total)
        pixels, labels = next(batches)
        set_whole_batch(len(labels))
        share = mixed_share(recipe.mixup, batches.seed, step)
        loss, right, count = _step(network, optimiser, (pixels, labels), share, recipe, group)
        if average is not None:
            average.update_parameters(network)
        if not np.isfinite(loss):
            where = f"in epoch {epoch + 1} of {recipe.epochs}; the checkpoint of the epoch before stays"
            advice = f"use a lower learning rate than {recipe.learning_rate:g}, and another folder"
            raise DivergedError(f"training diverged: the loss or its gradient is not finite {where}: {advice}")
        loss_sum, correct, seen = loss_sum + loss * count, correct + right, seen + count
        note = f"epoch {epoch + 1}/{recipe.epochs}, loss {loss_sum / seen:.3f}, accuracy {100 * correct / seen:.1f} %"
        progress("train", step + 1, total, note)
    return {
        "epoch": epoch + 1,
        "train_loss": loss_sum / seen,
        "train_accuracy": 100.0 * correct / seen,
        "learning_rate": recipe.learning_rate_at(epoch / recipe.epochs),
    }


def mixed_share(alpha: float, seed: int, step: int) -> float:
    """The share of an image in its mixture with another, for mixup (arXiv:1710.09412); 1 without it."""
    return float(np.random.default_rng([seed, MIXUP, step]).beta(alpha, alpha)) if alpha else 1.0


def _step(
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    batch: tuple[Tensor, Tensor],
    share: float,
    recipe: Recipe,
    group: ProcessGroup,
) -> tuple[float, int, int]:
    """One optimiser step: loss (NaN if loss or gradient is not finite), number correct, and number of images."""
    parameters = optimiser.param_groups[0]["params"]
    whole, others = len(batch[1]), batch[1].flip(0)
    if share < 1.0:  # with the batch in reverse, which is in random order already
        batch = batch[0].lerp(batch[0].flip(0), 1.0 - share), batch[1]
    pixels, labels, others = (tensor[group.part(whole)].to(parameters[0].device) for tensor in (*batch, others))
    output = network(pixels.to(memory_format=torch.channels_last))
    logits, auxiliary = output if isinstance(output, tuple) else (output, None)
    entropy = partial(functional.cross_entropy, label_smoothing=recipe.label_smoothing, reduction="sum")

    def error(logits: Tensor) -> Tensor:
        own = entropy(logits, labels) / whole
        return own if share == 1.0 else share * own + (1.0 - share) * entropy(logits, others) / whole

    loss = error(logits)
    descended = loss
    if auxiliary is not None:
        extra = error(auxiliary)
        descended = loss + recipe.auxiliary_weight * extra
    optimiser.zero_grad(set_to_none=True)
    descended.backward()  # type: ignore[no-untyped-call]
    group.add_up([parameter.grad for parameter in parameters if parameter.grad is not None])
    norm = torch.nn.utils.clip_grad_norm_(parameters, recipe.gradient_clip, foreach=True)
    if not norm.isfinite():
        return float("nan"), 0, whole
    optimiser.step()
    total = group.total(torch.stack([loss.detach().double(), (logits.argmax(dim=1) == labels).sum()]))
    return float(total[0]), int(total[1]), whole


def _best(history: list[dict[str, Any]], validation: Images | None) -> dict[str, Any]:
    """The history row of the epoch to keep; see `Training.best_epoch`."""
    if validation is None:
        return history[-1]
    highest = max(row["validation_accuracy"] for row in history)
    share = (highest / 100.0 * len(validation) + 1) / (len(validation) + 2)  # Laplace's rule: never quite 1
    error = 100.0 * math.sqrt(share * (1.0 - share) / len(validation))
    return next(row for row in reversed(history) if row["validation_accuracy"] >= highest - error)


def _identity(
    network: nn.Module, images: Images, validation: Images | None, recipe: Recipe, seed: int
) -> dict[str, Any]:
    """The facts that a checkpoint must match, as JSON."""
    return {
        "network": fingerprint([repr(network), wiring(network)]),
        "images": images.checksum(),
        "validation": None if validation is None else validation.checksum(),
        "recipe": recipe.model_dump(mode="json"),
        "seed": seed,
    }


@contextmanager
def _drawn_from(seed: int, epoch: int, device: torch.device) -> Iterator[None]:
    """Seed torch's own generators from `seed` and `epoch` for the block, and restore them afterwards."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(int(np.random.SeedSequence((seed, epoch)).generate_state(1, np.uint64)[0] >> np.uint64(1)))
        yield


# ----
# The accuracy and the loss of a network on some images.


class AccuracyAndLoss(NamedTuple):
    """Accuracy and loss of a network on some images.

    Attributes:
        accuracy: accuracy in percent.
        loss: mean cross-entropy in nats; it separates networks of equal accuracy.
    """

    accuracy: float
    loss: float


def evaluate(
    network: nn.Module,
    images: Images,
    normalisation: Normalisation,
    *,
    batch: int = 500,
    group: ProcessGroup = SINGLE_PROCESS,
) -> float:
    """Accuracy in percent of a network in eval mode; arguments and errors are those of `accuracy_and_loss`."""
    return accuracy_and_loss(network, images, normalisation, batch=batch, group=group).accuracy


def accuracy_and_loss(
    network: nn.Module,
    images: Images,
    normalisation: Normalisation,
    *,
    batch: int = 500,
    group: ProcessGroup = SINGLE_PROCESS,
) -> AccuracyAndLoss:
    """Accuracy and loss of a network in eval mode; its own mode does not change.

    Args:
        network: images [B, C, H, W] -> logits [B, classes], on any device.
        images: all of them are used once.
        normalisation: the one that the network was trained with.
        batch: images computed at once; the result does not depend on it.
        group: processes that divide the batches among them; each gets the result.

    Raises:
        DataError: the network gives NaN or infinite logits.
        UsageError: it gives another number of outputs than images.
    """
    correct, loss = 0, 0.0
    for logits, labels in _outputs(network, images, normalisation, batch, group):
        correct += int((logits.argmax(dim=1) == labels).sum())
        loss += float(functional.cross_entropy(logits, labels, reduction="sum"))
    total = group.total(torch.tensor([correct, loss], dtype=torch.float64)) / len(images)
    return AccuracyAndLoss(100.0 * float(total[0]), float(total[1]))


def confusion_matrix(
    network: nn.Module,
    images: Images,
    normalisation: Normalisation,
    classes: int,
    *,
    batch: int = 500,
    group: ProcessGroup = SINGLE_PROCESS,
) -> Tensor:
    """The number of images of each class (rows) that a network names each class (columns): int64 [classes, classes].

    Arguments and errors are those of `accuracy_and_loss`.
    """
    counts = torch.zeros(classes * classes, dtype=torch.float64)
    for logits, labels in _outputs(network, images, normalisation, batch, group):
        counts += torch.bincount(labels * classes + logits.argmax(dim=1), minlength=classes * classes)
    return group.total(counts).round().long().view(classes, classes)


def _outputs(
    network: nn.Module, images: Images, normalisation: Normalisation, batch: int, group: ProcessGroup
) -> Iterator[tuple[Tensor, Tensor]]:
    """Logits and labels of this process's batches, by the network in eval mode; its own mode does not change."""
    first = next(network.parameters(), None)
    device = torch.device("cpu") if first is None else first.device
    mode = network.training
    network.eval()
    try:
        with torch.inference_mode():
            for pixels, labels in islice(every_batch(images, batch, normalisation), group.rank, None, group.size):
                logits = network(pixels.to(device, memory_format=torch.channels_last))
                if len(logits) != len(labels):
                    raise UsageError(
                        f"the network gives {len(logits)} outputs for {len(labels)} images: give one for each"
                    )
                if not logits.isfinite().all():
                    raise DataError(
                        "the network gives NaN or infinite logits: train it again with a lower learning rate"
                    )
                yield logits.cpu(), labels
    finally:
        network.train(mode)
