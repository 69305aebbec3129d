"""Random search: networks drawn uniformly, each trained briefly on the deployed skeleton, best first.

The baseline that differentiable search has to beat at equal time (Li and Talwalkar, arXiv 1902.07638). With limits,
only networks that are predicted inside them are drawn. With weights, best is the smallest sum of the share of
validation images that are wrong and of each weight * predicted cost / its table's median.
"""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import Field

from chronas.search.brief import BriefTraining
from chronas.search.region import Region
from chronas.search.sampling import Proposals, SamplingConfig, SamplingSearcher
from chronas.search.searcher import Task
from chronas.training import Recipe


class RandomConfig(SamplingConfig):
    """Settings of random search and of the trainings; a task's own evaluator does without the latter."""

    architectures: int = Field(default=16, ge=1, le=1_000_000, description="networks to train, at most")
    seconds: float | None = Field(default=None, gt=0, description="time for all trainings; at least one is done")
    epochs: int = Field(default=5, ge=1, le=10_000, description="of each brief training")
    batch: int = Field(default=96, ge=2, le=65_536, description="images of a step")
    learning_rate: float = Field(default=0.025, gt=0, le=10, description="at first; falls to zero on a cosine")
    crop_padding: int = Field(default=4, ge=0, le=64, description="pixels around an image before a random crop")
    flip: bool = Field(default=True, description="mirror every second image")

    @classmethod
    def digits(cls) -> Self:
        """Briefer than a fair verdict needs, for 8x8 digits."""
        return cls(architectures=8, epochs=4, batch=64, learning_rate=0.1, crop_padding=1, flip=False)

    @classmethod
    def cifar10_cpu(cls) -> Self:
        """Briefer than a fair verdict needs, for some thousand 32x32 images on a CPU."""
        return cls(architectures=8, epochs=3, learning_rate=0.1)

    def recipe(self) -> Recipe:
        """The brief training, without the regularisation that only long ones need."""
        return Recipe(
            epochs=self.epochs,
            batch=self.batch,
            learning_rate=self.learning_rate,
            auxiliary_weight=0.0,
            drop_path=0.0,
            crop_padding=self.crop_padding,
            flip=self.flip,
            cutout=0,
        )


class RandomSearch(SamplingSearcher):
    """Draw, train briefly, keep the best."""

    name: ClassVar[str] = "random"
    Config: ClassVar[type[RandomConfig]] = RandomConfig

    def __init__(self, config: RandomConfig | None = None) -> None:
        self.config: RandomConfig = config or RandomConfig()

    def _own_assessor(self, task: Task) -> BriefTraining:
        return BriefTraining(task, self.config.recipe())

    def _proposals(self, region: Region) -> Proposals:
        while (candidate := region.draw()) is not None:
            yield [candidate]
