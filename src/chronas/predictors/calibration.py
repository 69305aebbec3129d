"""Intervals that hold as much as they say: one factor on the spreads that a model gives, from errors on unseen rows.

Split conformal prediction (Lei et al., arXiv 1604.04173) with errors of leave-one-out or of folds, as in the jackknife+
(Barber et al., arXiv 1905.02928). The rank of the error that decides is the ceiling of 0.9 (N + 1), not 0.9 N:
with 20 networks that is the nineteenth of them and not the eighteenth.

Costs to standardised targets and back, in ms or in their logarithm.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from chronas.predictors.predictor import NORMAL_90

RESOLUTION = 1e-4  # relative; no interval is narrower, however exact the fit: rounding errors are no normal noise
COVERED = 0.9  # share of networks that an interval of +- 1.645 standard deviations holds


def interval_factor(errors: Tensor, spreads: Tensor, floor: float, chosen: int = 0) -> float:
    """The factor s for which mean +- 1.645 s x spread holds 90 % of new networks; at least `floor`.

    Args:
        errors: of predictions of rows that the model has not seen [N].
        spreads: what it gave as their standard deviations [N].
        floor: the least factor.
        chosen: numbers that the same rows chose, like strengths of blocks; each takes one from what the rows tell.
    """
    count = len(errors)
    wider = math.sqrt(count / max(count - chosen, count / 2))
    ratios = (errors.abs() / spreads).sort().values
    rank = min(math.ceil(COVERED * (len(ratios) + 1)), len(ratios))
    return max(wider * float(ratios[rank - 1]) / NORMAL_90, floor)


ScaleName = Literal["auto", "ms", "log"]
SCALES: dict[ScaleName, tuple[bool, ...]] = {"auto": (False, True), "ms": (False,), "log": (True,)}  # logarithm taken?


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
    def of(cls, costs: Tensor, *, logarithmic: bool) -> Scale:
        """The scale on which these costs have mean 0 and standard deviation 1."""
        values = costs.log() if logarithmic else costs
        return cls(logarithmic, float(values.mean()), float(values.std()))

    def targets(self, costs: Tensor) -> Tensor:
        """Standardised targets of costs."""
        return ((costs.log() if self.logarithmic else costs) - self.centre) / self.spread

    def costs(self, targets: Tensor) -> Tensor:
        """Costs of standardised targets."""
        values = targets * self.spread + self.centre
        return values.exp() if self.logarithmic else values

    @property
    def state(self) -> Tensor:
        """As a tensor [3]."""
        return torch.tensor([self.logarithmic, self.centre, self.spread], dtype=torch.float64)

    @classmethod
    def from_state(cls, state: Tensor) -> Scale:
        """The scale of a tensor [3]."""
        logarithmic, centre, spread = state.tolist()
        return cls(bool(logarithmic), centre, spread)
