"""Random search: networks are drawn uniformly among connected ones, and each gets a short proxy training.

It is the baseline that differentiable search has to beat at equal time (Li and Talwalkar, arXiv 1902.07638). With
limits, only networks that are predicted inside them are drawn. With weights, the best network has the smallest sum of
the share of wrong validation images and, for each cost, weight * predicted cost / its table's median.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from chronas.search.blackbox.loop import BlackBoxConfig, BlackBoxSearcher, Proposals
from chronas.search.blackbox.proxy_training import ProxyConfig, ProxyTraining
from chronas.search.feasible import FeasibleSet
from chronas.search.searcher import Task


class RandomConfig(BlackBoxConfig, ProxyConfig):
    """Settings of random search and of its proxy training, which a task's own evaluator does not use."""

    architectures: int = Field(default=16, ge=1, le=1_000_000, description="networks to train, at most")
    seconds: float | None = Field(default=None, gt=0, description="time for all trainings; at least one is done")


class RandomSearch(BlackBoxSearcher):
    """Draw, train briefly, keep the best."""

    name: ClassVar[str] = "random"
    Config: ClassVar[type[RandomConfig]] = RandomConfig
    config: RandomConfig
    weight_sharing: ClassVar[bool] = False

    def _own_evaluator(self, task: Task) -> ProxyTraining:
        return ProxyTraining(task, self.config)

    def _proposals(self, feasible: FeasibleSet) -> Proposals:
        while drawn := [each for _ in range(self.config.workers) if (each := feasible.draw()) is not None]:
            yield drawn
