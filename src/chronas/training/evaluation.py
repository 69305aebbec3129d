"""The share of images that a network gets right, and its loss on them."""

from __future__ import annotations

from itertools import islice
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from chronas.data import Images, Normalisation, every_batch
from chronas.errors import DataError
from chronas.training.process_group import SINGLE_PROCESS, ProcessGroup


class Verdict(NamedTuple):
    """What some images say of a network.

    Attributes:
        accuracy: in percent.
        loss: mean cross-entropy in nats, which tells networks apart that have equally many images right.
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
    """Accuracy in percent of a network in `eval()`; arguments and errors are those of `judge`."""
    return judge(network, images, normalisation, batch=batch, group=group).accuracy


def judge(
    network: nn.Module,
    images: Images,
    normalisation: Normalisation,
    *,
    batch: int = 500,
    group: ProcessGroup = SINGLE_PROCESS,
) -> Verdict:
    """Accuracy and loss of a network in `eval()`; it is left in the mode it had.

    Args:
        network: images [B, C, H, W] -> logits [B, classes], on any device.
        images: all of them are used once.
        normalisation: the one that the network was trained with.
        batch: images computed at once; the answer does not depend on it.
        group: processes that take turns with the batches; each gets the answer.

    Raises:
        DataError: the network gives NaN or infinite logits, of which the largest would mean nothing.
    """
    device = next(network.parameters()).device
    mode, correct, loss = network.training, 0, 0.0
    network.eval()
    try:
        with torch.inference_mode():
            for pixels, labels in islice(every_batch(images, batch, normalisation), group.rank, None, group.size):
                logits = network(pixels.to(device, memory_format=torch.channels_last))
                if not logits.isfinite().all():
                    raise DataError(
                        "the network gives NaN or infinite logits: train it again with a lower learning rate"
                    )
                logits = logits.cpu()
                correct += int((logits.argmax(dim=1) == labels).sum())
                loss += float(functional.cross_entropy(logits, labels, reduction="sum"))
    finally:
        network.train(mode)
    told = group.total(torch.tensor([correct, loss], dtype=torch.float64)) / len(images)
    return Verdict(100.0 * float(told[0]), float(told[1]))
