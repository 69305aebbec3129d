"""Knowledge distillation: a network learns from a trained one beside the labels (Hinton et al., arXiv:1503.02531).

With weight w and temperature T the loss is (1 - w) * cross-entropy + w * T^2 * KL(teacher || student), where both
distributions are softmax(logits / T). An auxiliary head learns from the labels alone. Where we differ from the paper:
the weights of both parts add up to one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from chronas.errors import DataError, UsageError, said_as


@dataclass(frozen=True, eq=False)
class Teacher:
    """A trained network to learn from.

    Attributes:
        name: its name, for messages.
        network: the normalised images [B, C, H, W] that the student sees -> logits [B, classes]; a module is in eval
            mode.
        classes: number of classes.
        checksum: differs for another network; part of a training's identity.
    """

    name: str
    network: Callable[[Tensor], Tensor]
    classes: int
    checksum: str

    def logits(self, images: Tensor) -> Tensor:
        """The logits [B, classes] for normalised images [B, C, H, W], without a gradient.

        Raises:
            UsageError: the network fails, or gives something else.
            DataError: it gives NaN or infinite logits.
        """
        with torch.no_grad(), said_as(UsageError, f"teacher {self.name} does not take a batch of images"):
            found = self.network(images)
        expected = [len(images), self.classes]
        if not isinstance(found, Tensor) or list(found.shape) != expected:
            got = list(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise UsageError(f"teacher {self.name} should give logits {expected}, got {got}: give another teacher")
        if not found.isfinite().all():
            raise DataError(f"teacher {self.name} gives NaN or infinite logits: give another teacher")
        return found.detach()


def distillation_loss(logits: Tensor, told: Tensor, temperature: float) -> Tensor:
    """The sum over images of T^2 * KL(teacher || student), in nats.

    Args:
        logits: the student's, [B, classes].
        told: the teacher's, [B, classes].
        temperature: divisor T of all logits.
    """
    student, teacher = (functional.log_softmax(each / temperature, dim=1) for each in (logits, told))
    return temperature**2 * functional.kl_div(student, teacher, reduction="sum", log_target=True)
