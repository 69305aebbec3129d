"""Intervals that hold as much as they say: one factor on the spreads that a model gives, from errors on unseen rows.

Split conformal prediction (Lei et al., arXiv 1604.04173) with errors of leave-one-out or of folds, as in the jackknife+
(Barber et al., arXiv 1905.02928). The rank of the error that decides is the ceiling of 0.9 (N + 1), not 0.9 N:
with 20 networks that is the nineteenth of them and not the eighteenth.
"""

from __future__ import annotations

import math

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
