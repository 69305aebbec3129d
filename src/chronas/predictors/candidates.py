"""Ways to set up an ensemble of ridge regressions with small networks on top, judged on rows not seen in training.

Letters: N rows, Q features, K members, A candidates, H hidden units.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from chronas.predictors.ensemble import Layers, initial_layers, train
from chronas.predictors.evidence import Slopes, fit_slopes, fit_variances

if TYPE_CHECKING:
    from chronas.predictors.mlp import LpmConfig

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
class Ridges:
    """A ridge regression for each member on the rows that it may see, and one on all rows.

    Attributes:
        slopes: of the members, by feature [K, Q].
        bases: of the members [K].
        whole: the one on all rows.
    """

    slopes: Tensor
    bases: Tensor
    whole: Slopes

    def predicted(self, design: Tensor) -> Tensor:
        """Targets [K, N] that the members predict for features [N, Q]."""
        return self.bases[:, None] + self.slopes @ design.T


@dataclass(frozen=True)
class Candidate:
    """One way to set up the ensemble, its ridge regressions fitted.

    Attributes:
        scale: of the targets.
        ridges: on these targets.
        inputs: weights of the features in the networks' inputs [Q].
    """

    scale: Scale
    ridges: Ridges
    inputs: Tensor


@dataclass(frozen=True)
class Stage:
    """A candidate at one moment of its networks' training.

    Attributes:
        error_ms: root of the mean squared error on held-out rows.
        share: of the networks in the prediction, 0..1.
        candidate: the candidate.
        layers: its K networks.
    """

    error_ms: float
    share: float
    candidate: Candidate
    layers: Layers


def fit_ridges(design: Tensor, targets: Tensor, blocks: Tensor, held_out: Tensor) -> Ridges:
    """Ridge regressions, each with the strengths that are most probable on its own rows.

    Args:
        design: [N, Q].
        targets: of variance 1 [N].
        blocks: the number of the block of each feature [Q].
        held_out: which rows each member does not see [K, N].
    """
    everything = torch.zeros_like(held_out[0])
    *members, whole = (_fit_ridge(design[~hidden], targets[~hidden], blocks) for hidden in (*held_out, everything))
    slopes, bases = torch.stack([ridge.values for ridge in members]), torch.stack([ridge.base for ridge in members])
    return Ridges(slopes, bases, whole)


def _fit_ridge(design: Tensor, targets: Tensor, blocks: Tensor) -> Slopes:
    return fit_slopes(design, targets, fit_variances(design, targets, blocks))


def ridge_error_ms(candidate: Candidate, design: Tensor, costs_ms: Tensor, held_out: Tensor) -> float:
    """Mean squared error of a candidate's ridges on rows [N] that they have not seen."""
    unseen = (candidate.ridges.predicted(design) * held_out).sum(dim=0)
    return float((candidate.scale.costs_ms(unseen) - costs_ms).square().mean())


def best_stage(
    candidates: Sequence[Candidate],
    design: Tensor,
    costs_ms: Tensor,
    held_out: Tensor,
    config: LpmConfig,
    generator: torch.Generator,
) -> Stage:
    """Train the networks of all candidates on what their ridges leave; the stage with the least error on held-out rows.

    Args:
        candidates: A of them.
        design: features [N, Q], of mean zero.
        costs_ms: [N].
        held_out: which rows each member does not see [K, N].
        config: size and training of the networks.
        generator: of the initial weights and the batches.
    """
    members = len(held_out)
    targets = torch.stack([candidate.scale.targets(costs_ms) for candidate in candidates])
    residuals = targets[:, None] - torch.stack([c.ridges.predicted(design) for c in candidates])
    inputs = torch.stack([design * candidate.inputs for candidate in candidates]).float()
    best: list[Stage] = []
    for layers, output in train(
        initial_layers(len(candidates) * members, inputs.shape[-1], config.hidden, generator),
        inputs,
        residuals.flatten(0, 1).float(),
        (~held_out).repeat(len(candidates), 1).float(),
        schedule=config.schedule(len(design)),
        generator=generator,
    ):
        unseen = (output.view(-1, members, len(design)) * held_out).sum(dim=1).double()
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
    share = safe_share(unseen, left)
    predicted_ms = candidate.scale.costs_ms(targets - left + share * unseen)
    return Stage(float((predicted_ms - costs_ms).square().mean().sqrt()), share, candidate, layers)


def safe_share(outputs: Tensor, left: Tensor) -> float:
    """How much of these outputs [N] to add, 0..1: the best share for what is left [N], less one standard error.

    With few rows the best share is mostly luck, and the standard error takes it to zero.
    """
    power = (outputs @ outputs).clamp_min(TINY)
    share = (outputs @ left) / power
    error = ((left - share * outputs) * outputs).square().sum().sqrt() / power
    return float((share - error).clamp(0, 1))
