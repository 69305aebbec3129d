"""The accuracy and the loss of a network on some images."""

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
    """Accuracy in percent of a network in eval mode; arguments and errors are those of `judge`."""
    return judge(network, images, normalisation, batch=batch, group=group).accuracy


def judge(
    network: nn.Module,
    images: Images,
    normalisation: Normalisation,
    *,
    batch: int = 500,
    group: ProcessGroup = SINGLE_PROCESS,
) -> Verdict:
    """Accuracy and loss of a network in eval mode; its own mode does not change.

    Args:
        network: images [B, C, H, W] -> logits [B, classes], on any device.
        images: all of them are used once.
        normalisation: the one that the network was trained with.
        batch: images computed at once; the result does not depend on it.
        group: processes that divide the batches among them; each gets the result.

    Raises:
        DataError: the network gives NaN or infinite logits.
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
