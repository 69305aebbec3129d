"""Small networks trained together as one batched model, scored on held-out rows.

The weights are a tuple of tensors whose first dimension is the network; tensors of size 1 in the second dimension are
biases, which have no weight decay.

Letters: G networks, K members, A sets of inputs with K networks each, N rows, P inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from chronas.predictors.cv_ensemble import Rest

BETAS = (0.9, 0.99)  # of Adam; the usual 0.999 is too slow for a few hundred steps
WARM_UP = 0.1  # share of the steps in which the learning rate rises
CHECKS = 15  # number of checks of the networks during training
PART = 4096  # rows whose outputs are computed at once, so that they fit the caches
LONGER = 4  # at most this many times the steps, if there are more rows than in a batch

Weights = tuple[Tensor, ...]
Outputs = Callable[[Weights, Tensor], Tensor]  # (weights of G networks, inputs [G, N, P]) -> [G, N]


@dataclass(frozen=True)
class Schedule:
    """Training settings.

    Attributes:
        steps: optimiser steps; the learning rate rises, then falls to zero along a cosine.
        batch_rows: largest number of rows of a step.
        learning_rate: highest learning rate.
        weight_decay: decoupled weight decay, for matrices only.
    """

    steps: int
    batch_rows: int
    learning_rate: float
    weight_decay: float

    def steps_for(self, count: int) -> int:
        """The number of steps for `count` rows."""
        return self.steps * min(LONGER, -(-count // self.batch_rows))

    def rows(self, count: int, generator: torch.Generator) -> Tensor | slice:
        """The rows of one step, among `count`."""
        if count <= self.batch_rows:
            return slice(None)
        return torch.randint(count, (self.batch_rows,), generator=generator)


@dataclass(frozen=True)
class Stage:
    """K networks at one moment of their training.

    Attributes:
        error: root of the mean squared error on held-out rows.
        share: weight of the networks in the prediction, 0..1.
        inputs: index of their set of inputs.
        weights: their weights.
    """

    error: float
    share: float
    inputs: int
    weights: Weights


def best_stage(
    weights: Weights, outputs: Outputs, inputs: Tensor, rest: Rest, schedule: Schedule, generator: torch.Generator
) -> Stage:
    """Train K networks for each set of inputs on the ridges' residuals; the stage with the least held-out error.

    Args:
        weights: A * K initial networks; they are changed in place.
        outputs: function from weights and inputs to outputs.
        inputs: [A, N, P].
        rest: residuals of the ridges.
        schedule: steps, batches and rates.
        generator: draws the batches.
    """
    members = len(rest.held_out)
    best: list[Stage] = []
    for then, output in train(
        weights,
        outputs,
        inputs.float(),
        rest.left.repeat(len(inputs), 1).float(),
        (~rest.held_out).repeat(len(inputs), 1).float(),
        schedule=schedule,
        generator=generator,
    ):
        for number, of_members in enumerate(output.double().view(len(inputs), members, -1)):
            share, error = rest.share_and_error(of_members)
            own = tuple(each[number * members : (number + 1) * members] for each in then)
            best = [min([*best, Stage(error, share, number, own)], key=lambda stage: stage.error)]
    return best[0]


def train(
    weights: Weights,
    outputs: Outputs,
    inputs: Tensor,
    targets: Tensor,
    seen: Tensor,
    *,
    schedule: Schedule,
    generator: torch.Generator,
) -> Iterator[tuple[Weights, Tensor]]:
    """Fit all networks together by AdamW, each to the mean squared error over its training rows.

    Args:
        weights: weights of G initial networks; they are changed in place.
        outputs: function from weights and inputs to outputs.
        inputs: [A, N, P]; each of the A sets is shared by G / A networks.
        targets: [G, N].
        seen: 1 if a row is a training row of a network, else 0 [G, N].
        schedule: steps, batches and rates.
        generator: draws the batches, if there are more rows than in a batch.

    Yields:
        The current networks and their outputs [G, N], `CHECKS` times and after the last step.
    """
    parameters = [each.requires_grad_() for each in weights]
    decays = [[p for p in parameters if p.shape[1] > 1], [p for p in parameters if p.shape[1] == 1]]
    groups = [{"params": decays[0], "weight_decay": schedule.weight_decay}, {"params": decays[1], "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=schedule.learning_rate, betas=BETAS)
    steps, copies = schedule.steps_for(inputs.shape[1]), len(targets) // len(inputs)
    rates = torch.optim.lr_scheduler.OneCycleLR(optimiser, schedule.learning_rate, total_steps=steps, pct_start=WARM_UP)
    for step in range(steps):
        rows = schedule.rows(inputs.shape[1], generator)
        with torch.enable_grad():
            wrong = outputs(weights, inputs[:, rows].repeat_interleave(copies, dim=0)) - targets[:, rows]
            shares = seen[:, rows] / seen[:, rows].sum(dim=1, keepdim=True).clamp_min(1)
            gradients = torch.autograd.grad((wrong**2 * shares).sum(), parameters)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        optimiser.step()
        rates.step()
        if (step + 1) % max(steps // CHECKS, 1) == 0 or step + 1 == steps:
            frozen = tuple(parameter.detach().clone() for parameter in parameters)
            parts = torch.split(inputs, PART, dim=1)
            yield frozen, torch.cat([outputs(frozen, p.repeat_interleave(copies, dim=0)) for p in parts], dim=1)
