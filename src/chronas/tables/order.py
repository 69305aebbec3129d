"""Whether two devices rank architectures alike, pair by pair.

LA-DARTS (Xu et al., arXiv 2001.06392) found that a GPU and a CPU agree on the order of 69 % of pairs of random
networks. Chance alone agrees on half of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from chronas.tables.repeatability import FEWEST, Repeatability
from chronas.tables.table import CostTable


@dataclass(frozen=True)
class Order:
    """How two tables rank the architectures that both have.

    Attributes:
        architectures: how many both have.
        pairs_percent: of all pairs that neither device finds equal, how many both rank the same way; None where there
            are none.
        kendall: rank correlation tau-b; None where it is not defined.
    """

    architectures: int
    pairs_percent: float | None
    kendall: float | None


def same_order(first: CostTable, second: CostTable) -> Order:
    """Compare the orders that the costs of two tables of one space put architectures into."""
    left, right = (
        table.frame.select("architecture", pl.col(table.provenance.cost).alias(name))
        for name, table in (("first", first), ("second", second))
    )
    both = left.join(right, on="architecture", maintain_order="left")
    costs = both["first"].to_numpy(), both["second"].to_numpy()
    kendall = Repeatability.between(*costs).kendall if len(both) >= FEWEST else None
    return Order(len(both), _pairs_percent(*costs), kendall)


def _pairs_percent(first: NDArray[np.float64], second: NDArray[np.float64]) -> float | None:
    same = ranked = 0
    for row in range(len(first) - 1):
        signs = np.sign(first[row + 1 :] - first[row]) * np.sign(second[row + 1 :] - second[row])
        same += int((signs > 0).sum())
        ranked += int((signs != 0).sum())
    return 100.0 * same / ranked if ranked else None
