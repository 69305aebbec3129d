"""Small multi-layer networks trained side by side as one batched model.

Letters: G networks, A groups of them, N rows, P inputs, H hidden units.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import silu

BETAS = (0.9, 0.99)  # of Adam: a few hundred steps are too short for the usual 0.999
WARM_UP = 0.1  # share of the steps in which the learning rate rises
CHECKS = 15  # of the networks in training
PART = 4096  # rows whose outputs are computed at once: what the caches hold


class Layers(NamedTuple):
    """Weights of G networks with two hidden layers.

    Attributes:
        first: [G, P, H].
        first_bias: [G, 1, H].
        second: [G, H, H].
        second_bias: [G, 1, H].
        last: [G, H, 1]; there is no bias behind it.
    """

    first: Tensor
    first_bias: Tensor
    second: Tensor
    second_bias: Tensor
    last: Tensor


@dataclass(frozen=True)
class Schedule:
    """How networks are trained.

    Attributes:
        steps: of the optimiser; the learning rate rises, then falls to zero along a cosine.
        batch_rows: most rows of a step; all of them where there are no more.
        learning_rate: the highest.
        weight_decay: decoupled, of matrices only.
    """

    steps: int
    batch_rows: int
    learning_rate: float
    weight_decay: float

    def rows(self, count: int, generator: torch.Generator) -> Tensor | slice:
        """The rows of a step, of `count`."""
        if count <= self.batch_rows:
            return slice(None)
        return torch.randint(count, (self.batch_rows,), generator=generator)


def outputs(layers: Layers, inputs: Tensor) -> Tensor:
    """Outputs [G, N] of all networks for inputs [G, N, P], or [N, P] that they share; smooth in the inputs."""
    hidden = silu(inputs @ layers.first + layers.first_bias)
    hidden = silu(hidden @ layers.second + layers.second_bias)
    return (hidden @ layers.last).squeeze(-1)


def initial_layers(count: int, width: int, hidden: int, generator: torch.Generator) -> Layers:
    """`count` random networks of `width` inputs whose output is zero."""
    first = torch.randn(count, width, hidden, generator=generator) / width**0.5
    second = torch.randn(count, hidden, hidden, generator=generator) / hidden**0.5
    zeros = torch.zeros(count, 1, hidden)
    return Layers(first, zeros, second, zeros.clone(), torch.zeros(count, hidden, 1))


def train(
    layers: Layers,
    inputs: Tensor,
    targets: Tensor,
    seen: Tensor,
    *,
    schedule: Schedule,
    generator: torch.Generator,
) -> Iterator[tuple[Layers, Tensor]]:
    """Fit all networks at once by AdamW, each to the mean squared error over the rows it may see.

    Args:
        layers: G initial networks; they are changed in place.
        inputs: [A, N, P]; as many networks as go into G share each of the A.
        targets: [G, N].
        seen: 1 where a network may learn from a row, else 0 [G, N].
        schedule: steps, batches and rates.
        generator: of the batches, where there are more rows than one holds.

    Yields:
        The networks as they are then and their outputs [G, N], `CHECKS` times and after the last step.
    """
    parameters = [parameter.requires_grad_() for parameter in layers]
    matrices, biases = [layers.first, layers.second, layers.last], [layers.first_bias, layers.second_bias]
    groups = [{"params": matrices, "weight_decay": schedule.weight_decay}, {"params": biases, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=schedule.learning_rate, betas=BETAS)
    rates = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, schedule.learning_rate, total_steps=schedule.steps, pct_start=WARM_UP
    )
    for step in range(schedule.steps):
        rows = schedule.rows(inputs.shape[1], generator)
        with torch.enable_grad():
            wrong = shared_outputs(layers, inputs[:, rows]) - targets[:, rows]
            shares = seen[:, rows] / seen[:, rows].sum(dim=1, keepdim=True).clamp_min(1)
            gradients = torch.autograd.grad((wrong**2 * shares).sum(), parameters)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        optimiser.step()
        rates.step()
        if (step + 1) % max(schedule.steps // CHECKS, 1) == 0 or step + 1 == schedule.steps:
            frozen = Layers(*(parameter.detach().clone() for parameter in layers))
            yield frozen, torch.cat([shared_outputs(frozen, part) for part in torch.split(inputs, PART, dim=1)], dim=1)


def shared_outputs(layers: Layers, inputs: Tensor) -> Tensor:
    """Outputs [G, N] of G networks for inputs [A, N, P] that G / A networks share each."""
    return outputs(layers, inputs.repeat_interleave(len(layers.first) // len(inputs), dim=0))
