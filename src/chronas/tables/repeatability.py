"""How well measurements agree with themselves: no predictor can be expected to do better."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import kendalltau, spearmanr

FEWEST = 3


@dataclass(frozen=True)
class Repeatability:
    """Latencies from odd rounds against latencies from even rounds, of the same networks.

    Attributes:
        kendall: rank correlation tau-b; None where it is not defined (too few networks, or all equal).
        spearman: rank correlation; None likewise.
        median_difference_percent: the median over networks of their difference, in percent of their mean; None where
            no network has two rounds.
        networks: how many have two rounds or more.
    """

    kendall: float | None
    spearman: float | None
    median_difference_percent: float | None
    networks: int

    @classmethod
    def of(cls, rounds: Sequence[Sequence[float]]) -> Repeatability:
        """The repeatability of in-round latencies, one list for each network; those with one round are left out."""
        repeated = [latencies for latencies in rounds if len(latencies) >= 2]
        if not repeated:
            return cls(None, None, None, 0)
        odd = np.array([np.median(latencies[0::2]) for latencies in repeated])
        even = np.array([np.median(latencies[1::2]) for latencies in repeated])
        difference = float(np.median(200 * np.abs(odd - even) / (odd + even)))
        if len(repeated) < FEWEST or np.ptp(odd) == 0 or np.ptp(even) == 0:
            return cls(None, None, difference, len(repeated))
        kendall, spearman = float(kendalltau(odd, even).statistic), float(spearmanr(odd, even).statistic)
        return cls(kendall, spearman, difference, len(repeated))
