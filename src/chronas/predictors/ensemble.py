"""Small multi-layer networks trained side by side as one batched model.

Letters: G networks, N rows, P inputs, H hidden units.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import silu

BETAS = (0.9, 0.99)  # of Adam: a few hundred steps are too short for the usual 0.999
WARM_UP = 0.1  # share of the steps in which the learning rate rises


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
    steps: int,
    check_every: int,
    learning_rate: float,
    weight_decay: float,
) -> Iterator[tuple[Layers, Tensor]]:
    """Fit all networks at once by AdamW on full batches, each to the mean squared error over the rows it may see.

    Args:
        layers: initial networks; they are changed in place.
        inputs: [G, N, P].
        targets: [G, N].
        seen: 1 where a network may learn from a row, else 0 [G, N].
        steps: of the optimiser; the learning rate rises, then falls to zero along a cosine.
        check_every: steps between what is yielded.
        learning_rate: the highest.
        weight_decay: decoupled, of matrices only.

    Yields:
        The networks as they are then and their outputs [G, N], every `check_every` steps and after the last.
    """
    parameters = [parameter.requires_grad_() for parameter in layers]
    matrices, biases = [layers.first, layers.second, layers.last], [layers.first_bias, layers.second_bias]
    groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": biases, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=learning_rate, betas=BETAS)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, learning_rate, total_steps=steps, pct_start=WARM_UP)
    shares = seen / seen.sum(dim=1, keepdim=True)
    for step in range(steps):
        with torch.enable_grad():
            loss = ((outputs(layers, inputs) - targets) ** 2 * shares).sum()
            gradients = torch.autograd.grad(loss, parameters)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        optimiser.step()
        schedule.step()
        if (step + 1) % check_every == 0 or step + 1 == steps:
            frozen = Layers(*(parameter.detach().clone() for parameter in layers))
            yield frozen, outputs(frozen, inputs)
