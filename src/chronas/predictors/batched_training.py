"""Small networks trained side by side as one batched model, judged on rows not seen in training.

Their weights are a tuple of tensors whose first dimension counts the networks; those of size 1 in the second are
biases, which do not decay.

Letters: G networks, K members, A sets of inputs with K networks each, N rows, P inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from chronas.predictors.cv_ensemble import Rest

BETAS = (0.9, 0.99)  # of Adam: a few hundred steps are too short for the usual 0.999
WARM_UP = 0.1  # share of the steps in which the learning rate rises
CHECKS = 15  # of the networks in training
PART = 4096  # rows whose outputs are computed at once: what the caches hold
LONGER = 4  # times the steps, at most, where there are more rows than a batch holds

Weights = tuple[Tensor, ...]
Outputs = Callable[[Weights, Tensor], Tensor]  # (weights of G networks, inputs [G, N, P]) -> [G, N]


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

    def steps_for(self, count: int) -> int:
        """Steps on `count` rows."""
        return self.steps * min(LONGER, -(-count // self.batch_rows))

    def rows(self, count: int, generator: torch.Generator) -> Tensor | slice:
        """The rows of a step, of `count`."""
        if count <= self.batch_rows:
            return slice(None)
        return torch.randint(count, (self.batch_rows,), generator=generator)


@dataclass(frozen=True)
class Stage:
    """K networks at one moment of their training.

    Attributes:
        error: root of the mean squared error on held-out rows.
        share: of the networks in the prediction, 0..1.
        inputs: the number of the set of inputs that they have.
        weights: their weights.
    """

    error: float
    share: float
    inputs: int
    weights: Weights


def best_stage(
    weights: Weights, outputs: Outputs, inputs: Tensor, rest: Rest, schedule: Schedule, generator: torch.Generator
) -> Stage:
    """Train K networks for each set of inputs on what ridges leave; the stage with the least error on held-out rows.

    Args:
        weights: A * K initial networks; they are changed in place.
        outputs: what networks of such weights give.
        inputs: [A, N, P].
        rest: what ridges leave.
        schedule: steps, batches and rates.
        generator: of the batches.
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
            share, error = rest.judged(of_members)
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
    """Fit all networks at once by AdamW, each to the mean squared error over the rows it may see.

    Args:
        weights: of G initial networks; they are changed in place.
        outputs: what networks of such weights give.
        inputs: [A, N, P]; as many networks as go into G share each of the A.
        targets: [G, N].
        seen: 1 where a network may learn from a row, else 0 [G, N].
        schedule: steps, batches and rates.
        generator: of the batches, where there are more rows than one holds.

    Yields:
        The networks as they are then and their outputs [G, N], `CHECKS` times and after the last step.
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
