"""A ladder of limits, and a supernet's alphas taken down it: a whole front out of one search.

The rungs are quantiles of the predicted cost of random architectures that let images through: with eight, the
tightest lets every eighth one in, the loosest all and whatever is beyond them: the best networks of a large space are
often slower than thousands of random ones. Even steps of the cost or of its logarithm leave rungs empty where a
few strange architectures lie far out: on a Raspberry Pi 4, NAS-Bench-201 begins at a thousandth of its median. With the
best network of each rung, quantiles reach 0.96 of the true front's hypervolume there and on a Xeon Gold 6240, even
steps of the logarithm 0.90 and 0.98, even steps 0.92.

Logits go down from rung to rung, each with a short loop that starts where the last one ended, with the rung's limit
and frozen weights: no step of the weights, so each is a fraction of a search.

Letters: `K` rungs.
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

RANDOM = 4096  # architectures whose predicted costs make the quantiles
SHARE = 1 / 8  # of a search's steps that a rung takes; most of a search's time goes into steps of the weights

Limits = Mapping[str, float]


def rungs(task: Task, cost: str, count: int) -> list[Limits]:
    """The limits of each of K rungs, tightest first: the task's own, and one on a cost that rises from rung to rung.

    The loosest rung has the task's own alone.

    Args:
        task: whose space and predictors are used.
        cost: a name in `task.costs`.
        count: K.

    Raises:
        DataError: a predictor gave no finite number.
    """
    own = task.objective.limits
    drawn = task.space.sample(min(RANDOM, task.space.cardinality), seed=0)
    rows = task.predict([architecture for architecture in drawn if architecture.connected()])
    inside = [row for row in rows if all(row[name] <= limit for name, limit in own.items())]
    quantiles = np.quantile([row[cost] for row in inside or rows], np.arange(1, count) / count)
    return [*({**own, cost: min(float(limit), own.get(cost, np.inf))} for limit in quantiles), dict(own)]


def descend(loop: BilevelLoop, ladder: Sequence[Limits], progress: Progress) -> Iterator[Relaxation]:
    """Take the alphas down the ladder, and give the distribution of each rung, the loosest first.

    Args:
        loop: a search that is done; its alphas move, its weights stay.
        ladder: the limits of each rung, tightest first.
        progress: told of each step.
    """
    steps = max(1, round(SHARE * loop.config.epochs * loop.train.steps_per_epoch))
    multipliers = loop.objective.multipliers
    for rung, limits in enumerate(reversed(ladder)):
        config = loop.task.objective.model_copy(update={"limits": dict(limits)})
        objective = Objective(config, loop.task.costs)
        objective.multipliers |= {name: value for name, value in multipliers.items() if name in limits}
        for step in loop.descend_alphas(objective, steps):
            progress("front", rung * steps + step, len(ladder) * steps, f"rung {rung + 1} of {len(ladder)}")
        multipliers = objective.multipliers
        with torch.no_grad():
            relaxation = loop.relaxation()
        yield relaxation
