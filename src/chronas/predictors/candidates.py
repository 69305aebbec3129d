"""Ways to set up an ensemble of ridge regressions with small networks on top, judged on rows not seen in training.

Letters: N rows, W slots of the encoding, P inputs, K members, A candidates, H hidden units.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from chronas.predictors.ensemble import Layers, initial_layers, train
from chronas.predictors.linear import fit_ridge

if TYPE_CHECKING:
    from chronas.predictors.mlp import LpmConfig

CHECK_EVERY = 10  # steps
TINY = torch.finfo(torch.float64).tiny


@dataclass(frozen=True)
class Scale:
    """Costs to standardised targets and back.

    Attributes:
        logarithmic: whether the logarithm is taken first.
        centre: mean of the costs, or of their logarithms.
        spread: standard deviation of these.
    """

    logarithmic: bool
    centre: float
    spread: float

    @classmethod
    def of(cls, costs_ms: Tensor, *, logarithmic: bool) -> Scale:
        """The scale on which these costs have mean 0 and standard deviation 1."""
        values = costs_ms.log() if logarithmic else costs_ms
        return cls(logarithmic, float(values.mean()), float(values.std()))

    def targets(self, costs_ms: Tensor) -> Tensor:
        """Standardised targets of costs."""
        return ((costs_ms.log() if self.logarithmic else costs_ms) - self.centre) / self.spread

    def costs_ms(self, targets: Tensor) -> Tensor:
        """Costs of standardised targets."""
        values = targets * self.spread + self.centre
        return values.exp() if self.logarithmic else values


@dataclass(frozen=True)
class Candidate:
    """One way to set up the ensemble, its ridge regressions fitted.

    Attributes:
        scale: of the targets.
        projection: the networks' inputs as sums over slots [P, W].
        slopes: of the ridges, by slot [K, W].
        bases: of the ridges [K].
    """

    scale: Scale
    projection: Tensor
    slopes: Tensor
    bases: Tensor


@dataclass(frozen=True)
class Stage:
    """A candidate at one moment of its networks' training.

    Attributes:
        error_ms: root of the mean squared error on held-out rows.
        share: of the networks in the prediction, 0..1: the best on held-out rows.
        candidate: the candidate.
        layers: its K networks.
    """

    error_ms: float
    share: float
    candidate: Candidate
    layers: Layers


def fit_ridges(codes: Tensor, targets: Tensor, designs: Sequence[Tensor], held_out: Tensor) -> tuple[Tensor, Tensor]:
    """A ridge regression for each member on the rows that it may see, by the design with the least leave-one-out error.

    Args:
        codes: [N, W].
        targets: [N].
        designs: inputs as sums over slots [P, W] each.
        held_out: which rows each member does not see [K, N].

    Returns:
        Slopes by slot [K, W] and bases [K].
    """
    slopes, bases = [], []
    for hidden in held_out:
        ridges = [(fit_ridge(codes[~hidden] @ design.T, targets[~hidden]), design) for design in designs]
        ridge, design = min(ridges, key=lambda pair: pair[0].error)
        slopes.append(ridge.slopes @ design)
        bases.append(ridge.base)
    return torch.stack(slopes), torch.stack(bases)


def best_stage(
    candidates: Sequence[Candidate],
    codes: Tensor,
    costs_ms: Tensor,
    held_out: Tensor,
    config: LpmConfig,
    generator: torch.Generator,
) -> Stage:
    """Train the networks of all candidates on what their ridges leave; the stage with the least error on held-out rows.

    Args:
        candidates: A of them, with as many inputs each.
        codes: [N, W], their mean taken off.
        costs_ms: [N].
        held_out: which rows each member does not see [K, N].
        config: size and training of the networks.
        generator: of the initial weights.
    """
    members = len(held_out)
    targets = torch.stack([candidate.scale.targets(costs_ms) for candidate in candidates])
    residuals = targets[:, None] - torch.stack([c.bases[:, None] + c.slopes @ codes.T for c in candidates])
    inputs = torch.stack([codes @ candidate.projection.T for candidate in candidates]).float()
    best: list[Stage] = []
    for layers, output in train(
        initial_layers(len(candidates) * members, inputs.shape[-1], config.hidden, generator),
        inputs.repeat_interleave(members, dim=0),
        residuals.flatten(0, 1).float(),
        (~held_out).repeat(len(candidates), 1).float(),
        steps=config.steps,
        check_every=CHECK_EVERY,
        learning_rate=config.learning_rate,
        weight_decay=config.weight_decay,
    ):
        unseen = (output.view(-1, members, len(codes)) * held_out).sum(dim=1).double()
        left = (residuals * held_out).sum(dim=1)
        judged = [
            _stage(candidate, Layers(*(w[number * members : (number + 1) * members] for w in layers)), costs_ms, *rows)
            for number, (candidate, *rows) in enumerate(zip(candidates, targets, left, unseen, strict=True))
        ]
        best = [min(best + judged, key=lambda stage: stage.error_ms)]
    return best[0]


def _stage(
    candidate: Candidate, layers: Layers, costs_ms: Tensor, targets: Tensor, left: Tensor, unseen: Tensor
) -> Stage:
    """Judge networks by their outputs `unseen` [N] on rows where the ridges leave `left` [N]."""
    share = float(((unseen @ left) / (unseen @ unseen).clamp_min(TINY)).clamp(0, 1))
    predicted_ms = candidate.scale.costs_ms(targets - left + share * unseen)
    return Stage(float((predicted_ms - costs_ms).square().mean().sqrt()), share, candidate, layers)
