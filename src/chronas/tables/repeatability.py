"""How well measurements agree with themselves: no predictor can be expected to do better.

The first and the last rounds of a campaign share its process and its hour, though networks are built anew in between; a
check measures a sample again in new rounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

FEWEST = 3


@dataclass(frozen=True)
class Repeatability:
    """Two measurements of the same networks against each other.

    Attributes:
        kendall: rank correlation tau-b; None where it is not defined (too few networks, or all equal).
        spearman: rank correlation; None likewise.
        median_difference_percent: the median over networks of their difference, in percent of their mean; None where
            no network was measured twice.
        networks: how many were.
    """

    kendall: float | None
    spearman: float | None
    median_difference_percent: float | None
    networks: int

    @classmethod
    def between(cls, first_ms: ArrayLike, second_ms: ArrayLike) -> Repeatability:
        """How well two latencies of each network [N] agree."""
        first, second = np.asarray(first_ms, dtype=np.float64), np.asarray(second_ms, dtype=np.float64)
        if not len(first):
            return cls(None, None, None, 0)
        difference = float(np.median(200 * np.abs(first - second) / (first + second)))
        if len(first) < FEWEST or np.ptp(first) == 0 or np.ptp(second) == 0:
            return cls(None, None, difference, len(first))
        from scipy.stats import kendalltau, spearmanr  # a second of imports, which a query of a table can do without

        kendall, spearman = float(kendalltau(first, second).statistic), float(spearmanr(first, second).statistic)
        return cls(kendall, spearman, difference, len(first))

    @classmethod
    def of(cls, rounds: Sequence[Sequence[float]]) -> Repeatability:
        """The first half of the rounds against the last, from one list of in-round latencies for each network.

        Networks with one round are left out.
        """
        repeated = [latencies for latencies in rounds if len(latencies) >= 2]
        first = [np.median(latencies[: len(latencies) // 2]) for latencies in repeated]
        last = [np.median(latencies[len(latencies) // 2 :]) for latencies in repeated]
        return cls.between(first, last)

    def __str__(self) -> str:
        if self.median_difference_percent is None:
            return "unknown"
        kendall = "undefined" if self.kendall is None else f"{self.kendall:.3f}"
        return f"Kendall {kendall}, {self.median_difference_percent:.2g} % apart"
