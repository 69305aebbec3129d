"""The plane that the page draws: a cost against an accuracy or a second cost, its Pareto front, and the best network
within a limit.

A network is within a limit if the upper end of its interval is, as everywhere in chronas.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chronas.explore.catalogue import Quantity
from chronas.tables import pareto_front

STEPS = 200  # of the slider, from the least limit to the greatest
FINEST = 1e-3  # of a cost: no slider is finer


@dataclass(frozen=True)
class Plane:
    """M useful networks of a collection for which both quantities are known.

    Attributes:
        cost: what the limit is on.
        goal: what is to be as good as can be within it.
        rows: the networks' numbers in the collection [M].
        front: the rows on the Pareto front, in the order of rising cost.
        unknown: how many useful networks lack one of the two.
    """

    cost: Quantity
    goal: Quantity
    rows: NDArray[np.int64]
    front: NDArray[np.int64]
    unknown: int

    @classmethod
    def of(cls, cost: Quantity, goal: Quantity, useful: NDArray[np.bool_]) -> Plane:
        """The plane of two quantities of one collection, for the networks that are of use [N]."""
        rows = np.flatnonzero(cost.known() & goal.known() & useful)
        badness = -goal.values if goal.maximise else goal.values
        front = rows[pareto_front(np.column_stack([cost.values, badness])[rows])]
        return cls(
            cost, goal, rows, front[np.argsort(cost.values[front], kind="stable")], int(useful.sum()) - len(rows)
        )

    def within(self, limit: float) -> NDArray[np.int64]:
        """The rows whose whole interval of the cost is within the limit."""
        return self.rows[self.cost.high[self.rows] <= limit]

    def best(self, limit: float) -> int | None:
        """The row with the best goal within the limit, of equals the cheapest; None where none is within."""
        within = self.within(limit)
        if not len(within):
            return None
        goal = self.goal.values[within] * (-1 if self.goal.maximise else 1)
        return int(within[np.lexsort([self.cost.values[within], goal])[0]])

    def overall(self) -> int:
        """The row with the best goal at any cost."""
        best = self.best(np.inf)
        assert best is not None
        return best

    def limits(self) -> tuple[float, float, float, float]:
        """Where a slider for the limit begins, ends, stands at first, and its step.

        It begins where one network is within, and ends where the best of all is: higher limits change no answer. At
        first it stands in the middle of the front, where the choice is hardest.
        """
        lowest, highest = float(self.cost.high[self.rows].min()), float(self.cost.high[self.overall()])
        step = float(f"{max((highest - lowest) / STEPS, abs(highest) * FINEST):.0e}")
        digits = max(0, -math.floor(math.log10(step)))
        first, last = math.floor(lowest / step), max(math.ceil(highest / step), math.floor(lowest / step) + 1)
        middle = min(last, math.ceil(float(np.median(self.cost.high[self.front])) / step))
        low, high, stands = (round(number * step, digits) for number in (first, last, middle))
        return low, high, stands, step
