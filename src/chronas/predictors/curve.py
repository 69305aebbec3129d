"""How a predictor gets better with more networks: the curve that tells whether measuring more is worth it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from chronas.predictors.scores import Scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

HALVINGS = 4
Predict = Callable[["NDArray[np.int64]", "NDArray[np.int64]"], "NDArray[np.float64]"]


@dataclass(frozen=True)
class CurvePoint:
    """How a predictor did that was fitted on fewer networks.

    Attributes:
        networks: that it was fitted on.
        mape_percent: mean absolute error on networks not seen, over the measured cost.
        kendall: tau-b on these.
    """

    networks: int
    mape_percent: float
    kendall: float


def learning_curve(
    rows: NDArray[np.int64], judged: NDArray[np.int64], costs: NDArray[np.float64], predict: Predict, minimum: int
) -> tuple[CurvePoint, ...]:
    """The points of a half, a quarter and so on of the networks, from few to many.

    Args:
        rows: networks to fit on, in the order in which they are taken.
        judged: networks to judge on.
        costs: of all networks.
        predict: the costs of the second networks by a fit on the first.
        minimum: fewest networks that the predictor can be fitted on.
    """
    sizes = [len(rows) // 2**halvings for halvings in range(HALVINGS, 0, -1)]
    points = []
    for size in sizes:
        if size < minimum or np.ptp(costs[rows[:size]]) == 0:
            continue
        scores = Scores.of(costs[judged], predict(rows[:size], judged))
        points.append(CurvePoint(size, scores.mape_percent, scores.kendall))
    return tuple(points)
