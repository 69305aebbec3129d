"""The accuracy and the loss of a network on some images, and its confusion matrix."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from chronas.data import Images, Normalisation, every_batch
from chronas.errors import DataError, UsageError
from chronas.training.process_group import SINGLE_PROCESS, ProcessGroup


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
