"""The gradient of the validation loss with respect to the alphas, first and second order (DARTS, arXiv 1806.09055).

First order uses the present weights. Second order uses the weights after one step of SGD on the training loss, w' = w -
rate * (momentum * buffer + dL_train/dw + weight_decay * w), and differentiates through that step; the product of
Hessian and vector is a finite difference of the alphas' gradients at w +- r v, with r = 0.01 / |v| as in the original
code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from chronas.training import SINGLE_PROCESS, ProcessGroup

RADIUS = 1e-2  # quark0/darts, cnn/architect.py

Loss = Callable[[], Tensor]


@dataclass(frozen=True)
class SgdStep:
    """The step of the weights for the look-ahead of second order; `buffers` has one momentum buffer for each weight."""

    learning_rate: float
    momentum: float
    weight_decay: float
    buffers: Sequence[Tensor | None]


def first_order(
    validation_loss: Loss, weights: Sequence[Tensor], alphas: Sequence[Tensor], group: ProcessGroup = SINGLE_PROCESS
) -> list[Tensor]:
    """dL_validation / dalphas at the present weights, one for each of `alphas`; weights get no gradient.

    Args:
        validation_loss: computes the loss on one validation batch at the present weights and alphas.
        weights: parameters of the loss; they are constants while it is computed.
        alphas: the tensors to differentiate by.
        group: processes whose mean loss is differentiated.
    """
    with _constant(weights):
        return gradients_of(validation_loss(), alphas, group)


def gradients_of(loss: Tensor, inputs: Sequence[Tensor], group: ProcessGroup = SINGLE_PROCESS) -> list[Tensor]:
    """The gradient of the processes' mean loss with respect to each input; zeros for an unused input."""
    if not loss.requires_grad:  # no input is used: a sampled path may be disconnected
        return [torch.zeros_like(each) for each in inputs]
    found = group.mean(torch.autograd.grad(loss, inputs, materialize_grads=True))
    return [each for each in found if each is not None]


def second_order(
    validation_loss: Loss,
    train_loss: Loss,
    weights: Sequence[Tensor],
    alphas: Sequence[Tensor],
    step: SgdStep,
    group: ProcessGroup = SINGLE_PROCESS,
) -> list[Tensor]:
    """dL_validation(w'(alphas), alphas) / dalphas, one tensor for each of `alphas`; the weights are restored.

    Args:
        validation_loss: computes the loss on one validation batch at the present weights and alphas.
        train_loss: the same on one training batch.
        weights: parameters of both losses.
        alphas: the tensors to differentiate by.
        step: the look-ahead step.
        group: processes whose mean losses are differentiated.
    """
    before = [weight.detach().clone() for weight in weights]
    ahead = gradients_of(train_loss(), weights, group)
    with torch.no_grad():
        for weight, gradient, buffer in zip(weights, ahead, step.buffers, strict=True):
            change = gradient + step.weight_decay * weight
            if buffer is not None:
                change += step.momentum * buffer
            weight -= step.learning_rate * change
    found = gradients_of(validation_loss(), [*alphas, *weights], group)
    direct, vector = found[: len(alphas)], found[len(alphas) :]
    norm = float(torch.cat([each.flatten() for each in vector]).norm())
    sides = []
    for distance in (RADIUS / norm, -RADIUS / norm) if norm > 0 else ():
        sides.append(_gradients_at(train_loss, weights, alphas, before, vector, distance, group))
    with torch.no_grad():
        for weight, saved in zip(weights, before, strict=True):
            weight.copy_(saved)
    if not sides:  # the loss depends on no weight: a sampled path may be disconnected
        return direct
    return [
        gradient - step.learning_rate * (plus - minus) * norm / (2 * RADIUS)
        for gradient, plus, minus in zip(direct, *sides, strict=True)
    ]


def _gradients_at(
    loss: Loss,
    weights: Sequence[Tensor],
    alphas: Sequence[Tensor],
    before: Sequence[Tensor],
    vector: Sequence[Tensor],
    distance: float,
    group: ProcessGroup,
) -> list[Tensor]:
    with torch.no_grad():
        for weight, saved, direction in zip(weights, before, vector, strict=True):
            weight.copy_(saved + distance * direction)
    return first_order(loss, weights, alphas, group)


@contextmanager
def _constant(weights: Sequence[Tensor]) -> Iterator[None]:
    """Stop gradients to the weights, because our own autograd functions cannot know that they are not needed."""
    for weight in weights:
        weight.requires_grad = False
    try:
        yield
    finally:
        for weight in weights:
            weight.requires_grad = True
