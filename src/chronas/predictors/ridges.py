"""Ridge regressions that are each blind to some rows, in the scale that predicts those rows best.

Letters: N rows, Q features, K members.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from chronas.predictors.evidence import Slopes, fit_slopes, fit_variances
from chronas.predictors.scale import Scale


@dataclass(frozen=True)
class Ridges:
    """A ridge regression for each member on the rows that it may see, and one on all rows.

    Attributes:
        scale: of the targets.
        slopes: of the members, by feature [K, Q].
        bases: of the members [K].
        whole: the one on all rows.
    """

    scale: Scale
    slopes: Tensor
    bases: Tensor
    whole: Slopes

    def predicted(self, design: Tensor) -> Tensor:
        """Targets [K, N] that the members predict for features [N, Q]."""
        return self.bases[:, None] + self.slopes @ design.T


def best_ridges(
    design: Tensor, costs_ms: Tensor, blocks: Tensor, held_out: Tensor, logarithmic: Sequence[bool]
) -> Ridges:
    """Ridge regressions in the scale with the least squared error, in ms, on rows that members have not seen.

    Args:
        design: [N, Q].
        costs_ms: [N].
        blocks: the number of the block of each feature [Q].
        held_out: which rows each member does not see [K, N].
        logarithmic: for each scale that is tried, whether the logarithm is taken.
    """
    found = [fit_ridges(design, costs_ms, blocks, held_out, logarithmic=each) for each in logarithmic]

    def error(ridges: Ridges) -> float:
        unseen = (ridges.predicted(design) * held_out).sum(dim=0)
        return float((ridges.scale.costs_ms(unseen) - costs_ms).square().mean())

    return min(found, key=error)


def fit_ridges(design: Tensor, costs_ms: Tensor, blocks: Tensor, held_out: Tensor, *, logarithmic: bool) -> Ridges:
    """Ridge regressions in one scale, each with the strengths that are most probable on its own rows."""
    scale = Scale.of(costs_ms, logarithmic=logarithmic)
    targets = scale.targets(costs_ms)
    everything = torch.zeros_like(held_out[0])
    *members, whole = (_fit_ridge(design[~hidden], targets[~hidden], blocks) for hidden in (*held_out, everything))
    slopes, bases = torch.stack([ridge.values for ridge in members]), torch.stack([ridge.base for ridge in members])
    return Ridges(scale, slopes, bases, whole)


def _fit_ridge(design: Tensor, targets: Tensor, blocks: Tensor) -> Slopes:
    return fit_slopes(design, targets, fit_variances(design, targets, blocks))
