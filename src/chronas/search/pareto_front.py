"""A front out of one search: networks from fast to accurate, of which none beats another.

Of all contenders of a search along a ladder of limits, those stay that no other beats in predicted cost and quality;
of these each rung takes the best one within its limits. Where several rungs take the same one, the others of
the front fill up, those first that lie farthest from what is taken.
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
    """At most `count` architectures of which none beats another, by rising predicted cost and quality.

    Args:
        found: what a search for the task gave.
        task: the one that was searched for; its limits hold for all of them.
        cost: that accuracy is traded against, a name in `task.costs`.
        count: of architectures; there are fewer where fewer are not beaten.
        progress: told of each step.

    Raises:
        UsageError: the cost has no predictor.
        DataError: a predictor gave no finite number.
    """
    require_costs(task.costs, {cost: math.inf})
    ladder = rungs(task, cost, count)
    return choose_front(found.contenders(ladder, progress), cost, ladder)


def choose_front(contenders: Sequence[Trial], cost: str, ladder: Sequence[Limits]) -> list[Trial]:
    """For each rung the best of the unbeaten within it, filled up to one a rung, by rising cost and quality."""
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
    """Those that no other beats, one of equals, by rising cost and so by rising quality."""
    if not contenders:
        return []
    points = np.array([[each.costs[cost], -each.quality] for each in contenders])
    _, first = np.unique(points, axis=0, return_index=True)
    return [contenders[n] for n, on_front in zip(first, non_dominated(points[first]), strict=True) if on_front]
