"""Scaling of costs to standardised targets, and calibrated intervals: one factor on a model's standard deviations.

The factor comes from errors on unseen rows, by split conformal prediction (Lei et al., arXiv 1604.04173) with
leave-one-out or out-of-fold errors, as in the jackknife+ (Barber et al., arXiv 1905.02928). The rank of the decisive
error is the ceiling of 0.9 (N + 1), not 0.9 N: with 20 networks it is the nineteenth error, not the eighteenth.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from chronas.predictors.predictor import NORMAL_90

RESOLUTION = 1e-4  # relative; smallest width of an interval, because rounding errors are not normal noise
COVERED = 0.9  # share of networks within +- 1.645 standard deviations


def interval_factor(errors: Tensor, spreads: Tensor, floor: float, chosen: int = 0) -> float:
    """The factor s for which mean +- 1.645 s x spread contains 90 % of new networks; at least `floor`.

    Args:
        errors: errors of the predictions for unseen rows [N].
        spreads: the model's standard deviations for these rows [N].
        floor: smallest factor.
        chosen: number of parameters chosen by the same rows, such as strengths of blocks; each takes one degree of
            freedom.
    """
    count = len(errors)
    wider = math.sqrt(count / max(count - chosen, count / 2))
    ratios = (errors.abs() / spreads).sort().values
    rank = min(math.ceil(COVERED * (len(ratios) + 1)), len(ratios))
    return max(wider * float(ratios[rank - 1]) / NORMAL_90, floor)


ScaleName = Literal["auto", "linear", "log"]
SCALES: dict[ScaleName, tuple[bool, ...]] = {  # to try, by whether the logarithm is taken
    "auto": (False, True),
    "linear": (False,),
    "log": (True,),
}


@dataclass(frozen=True)
class Scale:
    """Conversion between costs and standardised targets.

    Attributes:
        logarithmic: whether the logarithm is taken first.
        centre: mean of the costs, or of their logarithms.
        spread: standard deviation of the costs, or of their logarithms.
    """

    logarithmic: bool
    centre: float
    spread: float

    @classmethod
    def of(cls, costs: Tensor, *, logarithmic: bool) -> Scale:
        """The scale that gives these costs mean 0 and standard deviation 1."""
        values = costs.log() if logarithmic else costs
        return cls(logarithmic, float(values.mean()), float(values.std()))

    def targets(self, costs: Tensor) -> Tensor:
        """Standardised targets from costs."""
        return ((costs.log() if self.logarithmic else costs) - self.centre) / self.spread

    def costs(self, targets: Tensor) -> Tensor:
        """Costs from standardised targets."""
        values = targets * self.spread + self.centre
        return values.exp() if self.logarithmic else values

    @property
    def state(self) -> Tensor:
        """The scale as a tensor [3]."""
        return torch.tensor([self.logarithmic, self.centre, self.spread], dtype=torch.float64)

    @classmethod
    def from_state(cls, state: Tensor) -> Scale:
        """The scale from a tensor [3]."""
        logarithmic, centre, spread = state.tolist()
        return cls(bool(logarithmic), centre, spread)
