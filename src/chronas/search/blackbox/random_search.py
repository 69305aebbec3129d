"""Random search: networks drawn uniformly of those that let images through, each trained briefly, best first.

The baseline that differentiable search has to beat at equal time (Li and Talwalkar, arXiv 1902.07638). With limits,
only networks that are predicted inside them are drawn. With weights, best is the smallest sum of the share of
validation images that are wrong and of each weight * predicted cost / its table's median.
"""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import Field

from chronas.search.blackbox.loop import BlackBoxConfig, BlackBoxSearcher, Proposals
from chronas.search.blackbox.proxy_training import ProxyConfig, ProxyTraining
from chronas.search.feasible import FeasibleSet
from chronas.search.searcher import Task


class RandomConfig(BlackBoxConfig, ProxyConfig):
    """Settings of random search and of the trainings; a task's own evaluator does without the latter."""

    architectures: int = Field(default=16, ge=1, le=1_000_000, description="networks to train, at most")
    seconds: float | None = Field(default=None, gt=0, description="time for all trainings; at least one is done")

    @classmethod
    def digits(cls) -> Self:
        """Briefer than a fair verdict needs, for 8x8 digits."""
        return cls(architectures=8, epochs=4, batch=64, learning_rate=0.1, crop_padding=1, flip=False)

    @classmethod
    def cifar10_cpu(cls) -> Self:
        """Briefer than a fair verdict needs, for some thousand 32x32 images on a CPU."""
        return cls(architectures=8, epochs=3, learning_rate=0.1)


class RandomSearch(BlackBoxSearcher):
    """Draw, train briefly, keep the best."""

    name: ClassVar[str] = "random"
    Config: ClassVar[type[RandomConfig]] = RandomConfig
    supernet: ClassVar[bool] = False

    def __init__(self, config: RandomConfig | None = None) -> None:
        self.config: RandomConfig = config or RandomConfig()

    def _own_evaluator(self, task: Task) -> ProxyTraining:
        return ProxyTraining(task, self.config)

    def _proposals(self, feasible: FeasibleSet) -> Proposals:
        while drawn := [each for _ in range(self.config.workers) if (each := feasible.draw()) is not None]:
            yield drawn
