"""A sequence of limits, and alphas adapted to each of them: a whole Pareto front from one search.

The limits are quantiles of the predicted cost of random connected architectures. With eight limits, the tightest admits
one eighth of them, and the loosest admits all and anything beyond: the best networks of a large space are often slower
than thousands of random ones. Even steps of the cost or of its logarithm leave limits empty if a few unusual
architectures are far out: on a Raspberry Pi 4, NAS-Bench-201 begins at a thousandth of its median. With the best
network of each limit, quantiles reach 0.96 of the true front's hypervolume there and on a Xeon Gold 6240. Even steps of
the logarithm reach 0.90 and 0.98, even steps 0.92.

From limit to limit, a short loop adapts the alphas with frozen weights, starting from the previous alphas. Without
steps of the weights, it takes a fraction of the time of a search.

Letters: `K` limits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from chronas.progress import Progress
from chronas.search.objective import Objective
from chronas.search.relaxation import Relaxation
from chronas.search.searcher import Task

if TYPE_CHECKING:
    from chronas.search.gradient.loop import BilevelLoop

RANDOM = 4096  # random architectures for the quantiles of predicted costs
SHARE = 1 / 8  # of a search's steps for each limit; most of a search's time goes into steps of the weights

Limits = Mapping[str, float]


def limit_levels(task: Task, cost: str, count: int) -> list[Limits]:
    """The K limits, tightest first: the task's own limits, and a rising limit on one cost.

    The loosest has only the task's own limits.

    Args:
        task: the task, with its space and predictors.
        cost: a name in `task.costs`.
        count: K.

    Raises:
        DataError: a prediction is not a finite number.
    """
    own = task.objective.limits
    drawn = task.space.sample(min(RANDOM, task.space.cardinality), seed=0)
    rows = task.predict([architecture for architecture in drawn if architecture.connected()])
    inside = [row for row in rows if all(row[name] <= limit for name, limit in own.items())]
    quantiles = np.quantile([row[cost] for row in inside or rows], np.arange(1, count) / count)
    return [*({**own, cost: min(float(limit), own.get(cost, np.inf))} for limit in quantiles), dict(own)]


def descend(loop: BilevelLoop, levels: Sequence[Limits], progress: Progress) -> Iterator[Relaxation]:
    """Adapt the alphas to each of the limits, and yield the distribution for each, the loosest first.

    Args:
        loop: a finished search; its alphas change, its weights stay fixed.
        levels: the limits, tightest first.
        progress: called after each step.
    """
    steps = max(1, round(SHARE * loop.config.epochs * loop.train.steps_per_epoch))
    multipliers = loop.objective.multipliers
    for level, limits in enumerate(reversed(levels)):
        config = loop.task.objective.model_copy(update={"limits": dict(limits)})
        objective = Objective(config, loop.task.costs)
        objective.multipliers |= {name: value for name, value in multipliers.items() if name in limits}
        for step in loop.descend_alphas(objective, steps):
            progress("front", level * steps + step, len(levels) * steps, f"limit {level + 1} of {len(levels)}")
        multipliers = objective.multipliers
        with torch.no_grad():
            relaxation = loop.relaxation()
        yield relaxation
