"""Bayesian optimisation: networks are trained briefly, and a regression over their traits says which to train next.

After BANANAS (White et al., arXiv 1910.11858) and NAS-BOWL (Ru et al., arXiv 2006.07556), which put a regression over
whole architectures into the loop; the choice of the next one is by expected improvement (Jones et al., doi
10.1023/A:1008306431147), several at a time by believing the regression's own mean of those before (Ginsbourger et al.,
doi 10.1007/978-3-642-10701-6_6). Ours: the regression is over `traits`; what it learns is the mean of three orders, by
accuracy, by validation loss and by training loss, as each is noisy after some seconds, and of the order by MACs, as
seconds do not show what a large network would learn in hours (`capacity`); isomorphic cells are trained once; the
answer is the architecture of the highest mean among those that were trained, not the luckiest training. What one search
has trained, another one with other limits or costs can take as known.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.special import ndtri
from scipy.stats import norm, rankdata
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

from chronas.files import fingerprint
from chronas.search.brief import BriefConfig, BriefTraining
from chronas.search.derive import Candidate
from chronas.search.region import Region
from chronas.search.sampling import Judged, Proposals, SamplingConfig, SamplingSearcher
from chronas.search.searcher import Task
from chronas.search.traits import log_macs, traits
from chronas.search.variation import neighbours
from chronas.spaces import Architecture, Skeleton, Space

BEST = 8  # whose neighbours are looked at
EXPLORED = 0.01  # improvement that is asked for, in standard deviations of the orders

Array = NDArray[np.float64]


class BayesianConfig(SamplingConfig, BriefConfig):
    """Settings of Bayesian optimisation and of its brief trainings; a task's own evaluator does without the latter."""

    architectures: int = Field(default=64, ge=1, le=100_000, description="networks to train, at most")
    seconds: float | None = Field(default=None, gt=0, description="time for all trainings; at least one is done")
    initial: int = Field(default=24, ge=2, le=100_000, description="random networks before the regression is asked")
    together: int = Field(default=2, ge=1, le=1024, description="networks that are chosen at once, best for workers")
    capacity: float = Field(
        default=0.5, ge=0, le=10, description="weight of the order by MACs beside that of what was learned in brief"
    )
    drawn: int = Field(default=512, ge=1, le=1_000_000, description="random architectures that a choice looks at")

    @classmethod
    def digits(cls) -> Self:
        """Small and brief, for 8x8 digits in a minute on a CPU core."""
        return cls(
            architectures=32, initial=12, epochs=3, batch=64, learning_rate=0.1, crop_padding=1, flip=False,
            width=8, depth=3,
        )  # fmt: skip

    @classmethod
    def cifar10_cpu(cls) -> Self:
        """Small and brief, for some thousand 32x32 images on a CPU in minutes."""
        return cls(
            architectures=60, epochs=1, batch=64, learning_rate=0.1, crop_padding=2, width=8, depth=3, image_stride=2
        )


class Bayesian(SamplingSearcher):
    """Train some, learn what their traits say, train what should be best or is least known."""

    name: ClassVar[str] = "bayesian"
    Config: ClassVar[type[BayesianConfig]] = BayesianConfig

    def __init__(self, config: BayesianConfig | None = None, known: Sequence[Judged] = ()) -> None:
        """Take the settings, and what an earlier search of the same images, frame and recipe has found out.

        Args:
            config: the defaults where none is given.
            known: `SampledFound.judged` of the earlier search, which count as initial networks; only their costs are
                predicted anew.
        """
        self.config: BayesianConfig = config or BayesianConfig()
        self._known = tuple(known)

    def _identity(self) -> dict[str, Any]:
        known = [[str(each.candidate.architecture), each.accuracy, *each.losses] for each in self._known]
        return {**super()._identity(), "known": fingerprint(known)}

    def _own_assessor(self, task: Task) -> BriefTraining:
        return BriefTraining(task, self.config)

    def _proposals(self, region: Region) -> Proposals:
        judged = self._reconsidered(region)
        while len(judged) < self.config.initial:
            count = min(self.config.together, self.config.initial - len(judged))
            drawn = [candidate for _ in range(count) if (candidate := region.draw()) is not None]
            if not drawn:
                return
            judged += yield drawn
        while chosen := self._chosen(region, judged):
            judged += yield chosen

    def _reconsidered(self, region: Region) -> list[Judged]:
        """What is known, with the costs and prices of this search."""
        candidates = region.known([each.candidate.architecture for each in self._known])
        prices = [region.price(candidate) for candidate in candidates]
        return [
            replace(each, candidate=candidate, value=each.value - each.price + price, price=price)
            for each, candidate, price in zip(self._known, candidates, prices, strict=True)
        ]

    def _chosen(self, region: Region, judged: list[Judged]) -> list[Candidate]:
        """The next to train: the largest expected improvements, one after the other; given out by the region."""
        regression = Regression(region.space, region.skeleton, judged, self.config.capacity)
        order = np.argsort(-regression.means([each.candidate.architecture for each in judged]), kind="stable")
        near = [each for n in order[:BEST] for each in neighbours(judged[n].candidate.architecture)]
        pool = region.new([*near, *(region.space.draw(region.generator) for _ in range(self.config.drawn))])
        trained = {each.candidate.architecture.canonical() for each in judged if region.inside(each.candidate)}
        pool = [each for each in pool if each.architecture.canonical() not in trained]
        if not pool:
            left = region.draw()
            return [] if left is None else [left]
        chosen: list[Candidate] = []
        while pool and len(chosen) < self.config.together:
            best = int(np.argmax(regression.improvements([each.architecture for each in pool])))
            chosen.append(pool.pop(best))
            regression.believe(chosen[-1].architecture)
            pool = [each for each in pool if each.architecture.canonical() != chosen[-1].architecture.canonical()]
        return region.take(chosen)

    def _ranked(self, region: Region, judged: list[Judged]) -> list[Judged]:
        """By the regression's mean, which luck moves less than it moves an accuracy; what is known takes part."""
        everything = [*self._reconsidered(region), *judged]
        inside = [each for each in everything if region.inside(each.candidate)]
        if len(everything) <= 2:
            return super()._ranked(region, inside)
        regression = Regression(region.space, region.skeleton, everything, self.config.capacity)
        means = regression.means([each.candidate.architecture for each in inside])
        return [inside[n] for n in np.argsort(-means, kind="stable")]

    def _accuracies(self, region: Region, judged: list[Judged]) -> list[float]:
        """Those that were seen, dealt out anew by the regression's means of accuracy alone, for the same reason."""
        if len(judged) <= 2:
            return super()._accuracies(region, judged)
        free = [replace(each, price=0.0) for each in judged]
        regression = Regression(region.space, region.skeleton, free, self.config.capacity)
        means = regression.means([each.candidate.architecture for each in free])
        seen = np.sort([each.accuracy for each in judged])
        dealt: list[float] = seen[rankdata(means, "ordinal") - 1].tolist()
        return dealt


class Regression:
    """A Gaussian process from traits to how good architectures are, in standard deviations; higher is better."""

    def __init__(self, space: Space, skeleton: Skeleton, judged: Sequence[Judged], capacity: float) -> None:
        """Fit scale, length and noise by the likelihood of what was judged."""
        self._space, self._skeleton = space, skeleton
        architectures = [each.candidate.architecture for each in judged]
        rows = traits(space, skeleton, architectures)
        self._mean, spread = rows.mean(axis=0), rows.std(axis=0)
        self._kept = (spread > 0) | (spread.max() == 0)  # where all are alike there is still something to regress on
        self._spread = np.where(spread > 0, spread, 1.0)[self._kept] * np.sqrt(self._kept.sum())
        self._rows = self._scaled(rows)
        self._goals = goals(judged, capacity * _normal(log_macs(space, skeleton, architectures)))
        kernel = ConstantKernel(1.0, (0.1, 10.0)) * RBF(1.0, (0.3, 10.0)) + WhiteKernel(0.3, (0.05, 2.0))
        self._process = GaussianProcessRegressor(kernel)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a length at its bound is an answer
            self._process.fit(self._rows, self._goals)

    def _scaled(self, rows: Array) -> Array:
        scaled: Array = (rows - self._mean)[:, self._kept] / self._spread
        return scaled

    def _of(self, architectures: Sequence[Architecture]) -> Array:
        return self._scaled(traits(self._space, self._skeleton, architectures))

    def means(self, architectures: Sequence[Architecture]) -> Array:
        """[N] how good each should be."""
        found: Array = self._process.predict(self._of(architectures))
        return found

    def improvements(self, architectures: Sequence[Architecture]) -> Array:
        """[N] by how much each is expected to beat the best mean so far."""
        means, deviations = self._process.predict(self._of(architectures), return_std=True)
        noise = self._process.kernel_.k2.noise_level
        deviations = np.sqrt(np.maximum(deviations**2 - noise, 1e-12))
        better = means - self._process.predict(self._rows).max() - EXPLORED
        found: Array = better * norm.cdf(better / deviations) + deviations * norm.pdf(better / deviations)
        return found

    def believe(self, architecture: Architecture) -> None:
        """Take the mean for the truth of an architecture that is about to be trained."""
        row = self._of([architecture])
        self._rows = np.concatenate([self._rows, row])
        self._goals = np.concatenate([self._goals, self._process.predict(row)])
        self._process = GaussianProcessRegressor(self._process.kernel_, optimizer=None).fit(self._rows, self._goals)


def goals(judged: Sequence[Judged], capacity: Array | float = 0.0) -> Array:
    """[N] how good each is, as normal scores: of the mean of its orders, plus its price where costs have weights.

    Args:
        judged: N architectures.
        capacity: [N] what is added where a training was brief, as its losses tell.
    """
    merged = _normal(np.array([each.accuracy for each in judged]))
    if judged[0].losses and all(len(each.losses) == len(judged[0].losses) for each in judged):
        losses = np.array([each.losses for each in judged]).T
        merged = _normal(np.mean([merged, *(_normal(-each) for each in losses)], axis=0)) + capacity
    wrong = np.sort([1.0 - each.accuracy / 100.0 for each in judged])[::-1][rankdata(merged, "ordinal") - 1]
    return (
        _normal(-(wrong + [each.price for each in judged])) if any(each.price for each in judged) else _normal(merged)
    )


def _normal(values: Array) -> Array:
    """[N] the normal scores of values: what a normal distribution would have at their ranks."""
    found: Array = ndtri((rankdata(values) - 0.5) / len(values))
    return found
