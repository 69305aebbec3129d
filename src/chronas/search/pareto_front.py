"""A Pareto front from one search: networks from fast to accurate, none dominated by another.

Among all contenders of a search for a sequence of limits, those are kept that no other dominates in predicted cost and
quality. Each limit takes the best of these within it. If several limits take the same network, the front is filled with
others, the farthest from the chosen ones first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from chronas.pareto import non_dominated
from chronas.progress import Progress, silent
from chronas.records import Trial
from chronas.search.derive import require_costs
from chronas.search.gradient.descend import Limits, rungs
from chronas.search.searcher import SearchResult, Task


def find_front(found: SearchResult, task: Task, cost: str, count: int, progress: Progress = silent) -> list[Trial]:
    """At most `count` architectures, none dominated by another, by rising predicted cost and quality.

    Args:
        found: result of a search for the task.
        task: the task of that search; its limits apply to all architectures.
        cost: the cost to trade against accuracy, a name in `task.costs`.
        count: number of architectures; there are fewer if the front is smaller.
        progress: called after each step.

    Raises:
        UsageError: the cost has no predictor.
        DataError: a prediction is not a finite number.
    """
    require_costs(task.costs, {cost: math.inf})
    ladder = rungs(task, cost, count)
    return choose_front(found.contenders(ladder, progress), cost, ladder)


def choose_front(contenders: Sequence[Trial], cost: str, ladder: Sequence[Limits]) -> list[Trial]:
    """For each limit the best non-dominated contender within it, filled up to one for each limit, by rising cost."""
    unbeaten = _unbeaten(contenders, cost)
    values = [each.costs[cost] for each in unbeaten]
    within = [
        max((n for n, value in enumerate(values) if value <= limits.get(cost, math.inf)), default=None)
        for limits in ladder
    ]
    taken = {n for n in within if n is not None}
    while len(taken) < min(len(ladder), len(unbeaten)):
        left = [n for n in range(len(unbeaten)) if n not in taken]
        taken.add(max(left, key=lambda n: min((abs(values[n] - values[t]) for t in taken), default=0.0)))
    return [unbeaten[n] for n in sorted(taken)]


def _unbeaten(contenders: Sequence[Trial], cost: str) -> list[Trial]:
    """The non-dominated contenders, one of equal ones, by rising cost and so by rising quality."""
    if not contenders:
        return []
    points = np.array([[each.costs[cost], -each.quality] for each in contenders])
    _, first = np.unique(points, axis=0, return_index=True)
    return [contenders[n] for n, on_front in zip(first, non_dominated(points[first]), strict=True) if on_front]
