"""What is told of predictions against measurements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from scipy import stats

if TYPE_CHECKING:
    from numpy.typing import NDArray

TIE = 1e-6  # predictions closer than this share of the median are a tie, not a ranking of rounding errors


@dataclass(frozen=True)
class Scores:
    """Predicted against measured costs.

    Attributes:
        mape_percent: mean absolute error over the measured cost.
        rmse_ms: root of the mean squared error.
        within_5_percent: share of networks, in percent, whose error is at most 5 % of the measured cost.
        within_10_percent: the same for 10 %.
        kendall: tau-b; 0 where all predictions are tied.
        spearman: rho; 0 where all predictions are tied.
    """

    mape_percent: float
    rmse_ms: float
    within_5_percent: float
    within_10_percent: float
    kendall: float
    spearman: float

    @classmethod
    def of(cls, measured_ms: NDArray[np.float64], predicted_ms: NDArray[np.float64]) -> Self:
        """Scores of predictions [N] against measurements [N]."""
        error = predicted_ms - measured_ms
        relative = np.abs(error) / measured_ms
        ranked = np.round(predicted_ms / (TIE * np.median(measured_ms)))
        tied = ranked.min() == ranked.max()
        return cls(
            mape_percent=float(100 * relative.mean()),
            rmse_ms=float(np.sqrt(np.mean(error**2))),
            within_5_percent=float(100 * np.mean(relative <= 0.05)),
            within_10_percent=float(100 * np.mean(relative <= 0.10)),
            kendall=0.0 if tied else float(stats.kendalltau(measured_ms, ranked).statistic),
            spearman=0.0 if tied else float(stats.spearmanr(measured_ms, ranked).statistic),
        )
