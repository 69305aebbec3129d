"""The surrogate of Bayesian optimisation: a Gaussian process over features, plus prior knowledge of capacity.

Targets are normal scores of the mean rank by accuracy, validation loss and training loss, because each of these is
noisy after some seconds of training. A short training does not show the advantage of large networks after hours, and a
shallow network does not show the losses of a deep one. So MACs, SynFlow scores and skip multiplicity are added; they
are known for every architecture and need no regression. Penalties are added too: one standard deviation of the share of
wrong images counts as much as one standard deviation of the targets.

surrogate = Surrogate(space, size, trials, Weights(macs=1.5, synflow=1.0, skips=1.5))
rows = surrogate.rows(architectures)
best = architectures[surrogate.means(rows, penalties).argmax()]

Letters: `N` architectures, `F` features.
"""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import norm, rankdata
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from torch import nn

from chronas.networks import OpSpec, space_counts
from chronas.records import Trial
from chronas.spaces import NOTHING, Architecture, Cell, NetworkSize, Space, Topology

EXPLORED = 0.01  # required improvement
TINY = 1e-6  # smallest spread that counts as different

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Weights:
    """Weights of the terms that need no training, relative to the learned targets.

    Attributes:
        macs: weight of log MACs, in standard deviations over the evaluated architectures.
        synflow: weight of the log SynFlow score, likewise; the mean over kinds of cell.
        skips: penalty on the natural logarithm of the number of plain paths.
    """

    macs: float
    synflow: float
    skips: float


NO_WEIGHTS = Weights(0.0, 0.0, 0.0)


class Surrogate:
    """Predicts the quality of architectures in standard deviations; higher is better."""

    def __init__(
        self,
        space: Space,
        size: NetworkSize,
        trials: Sequence[Trial],
        weights: Weights,
        inside: Sequence[bool] | None = None,
    ) -> None:
        """Fit scale, length and noise by the likelihood of the evaluated architectures.

        Args:
            space: space of the architectures.
            size: size for which MACs are counted.
            trials: evaluated architectures.
            weights: weights of the terms that need no training; ignored without losses, that is if the trials are no
                proxy trainings.
            inside: whether each evaluated architecture can be the result and so has to be beaten; by default all can.
        """
        self._space, self._size = space, size
        self._weights = weights if _all_proxy_trained(trials) else NO_WEIGHTS
        self._rows = self.rows([each.architecture for each in trials])
        self._mean, self._spread = self._rows.mean(axis=0), self._rows.std(axis=0)
        self._goals = regression_targets(trials)
        self._penalties = np.array([each.penalty for each in trials])
        self._inside = np.ones(len(trials), dtype=bool) if inside is None else np.array(inside, dtype=bool)
        wrong = np.array([1.0 - each.score / 100.0 for each in trials])
        self._penalty_unit = max(float(wrong.std()), TINY) / max(float(self._goals.std()), TINY)
        kernel = ConstantKernel(1.0, (0.1, 10.0)) * RBF(1.0, (0.3, 10.0)) + WhiteKernel(0.3, (0.05, 2.0))
        self._process = GaussianProcessRegressor(kernel)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a length at its bound is a valid result
            self._process.fit(self._scaled(self._rows), self._goals)

    def rows(self, architectures: Sequence[Architecture]) -> Array:
        """[N, F] features of architectures, the input of the other methods."""
        return architecture_features(self._space, self._size, architectures)

    def means(self, rows: Array, penalties: Sequence[float] | Array) -> Array:
        """[N] predicted quality with penalties, from the regression and the terms without training."""
        found: Array = self._process.predict(self._scaled(rows)) + self._known(rows, penalties)
        return found

    def posterior_means(self, *, penalised: bool = True) -> Array:
        """[N] posterior means of the evaluated architectures, based on all of them and not on each one's luck."""
        return self.means(self._rows, self._penalties if penalised else np.zeros(len(self._rows)))

    def expected_improvement(self, rows: Array, penalties: Sequence[float]) -> Array:
        """[N] expected improvement over the best posterior mean among evaluated architectures that can be the result.

        If none can, the improvement is over the worst of all, so that mostly the mean counts.
        """
        means, deviations = self._process.predict(self._scaled(rows), return_std=True)
        noise = self._process.kernel_.k2.noise_level
        deviations = np.sqrt(np.maximum(deviations**2 - noise, TINY**2))
        posterior_means = self.posterior_means()
        best = posterior_means[self._inside].max() if self._inside.any() else posterior_means.min()
        better = means + self._known(rows, penalties) - best - EXPLORED
        found: Array = better * norm.cdf(better / deviations) + deviations * norm.pdf(better / deviations)
        return found

    def fantasize(self, row: Array, penalty: float) -> None:
        """Assume the mean as the result for an architecture [F] that is about to be trained."""
        self._goals = np.append(self._goals, self._process.predict(self._scaled(row[None])))
        self._rows, self._penalties = np.concatenate([self._rows, row[None]]), np.append(self._penalties, penalty)
        self._inside = np.append(self._inside, True)
        self._process = GaussianProcessRegressor(self._process.kernel_, optimizer=None)
        self._process.fit(self._scaled(self._rows), self._goals)

    def _scaled(self, rows: Array) -> Array:
        """Features in standard deviations over the evaluated architectures; constant features are dropped."""
        kept = (self._spread > 0) | (self._spread.max() == 0)  # if all are constant, keep them all for the regression
        found: Array = ((rows - self._mean) / np.where(self._spread > 0, self._spread, 1.0))[:, kept]
        found /= np.sqrt(kept.sum())
        return found

    def _known(self, rows: Array, penalties: Sequence[float] | Array) -> Array:
        """The terms without training: capacity counts for an architecture, skip multiplicity and penalty against it."""
        mean, spread = (capacity_features(self._space, each[None])[0] for each in (self._mean, self._spread))
        sizes = (capacity_features(self._space, rows) - mean) / np.where(spread > 0, spread, 1.0)
        found: Array = self._weights.macs * sizes[:, 0] - self._weights.skips * skip_multiplicity(self._space, rows)
        if sizes.shape[1] > 1:
            found += self._weights.synflow * sizes[:, 1:].mean(axis=1)
        found -= np.asarray(penalties) / self._penalty_unit
        return found


def regression_targets(trials: Sequence[Trial]) -> Array:
    """[N] normal scores of the accuracies or, after proxy training, of the mean of three ranks.

    Args:
        trials: N evaluated architectures.
    """
    accuracy = _normal(np.array([each.score for each in trials]))
    if not _all_proxy_trained(trials):
        return accuracy
    losses = np.array([each.losses for each in trials]).T
    return _normal(np.mean([accuracy, *(_normal(-each) for each in losses)], axis=0))


def _all_proxy_trained(trials: Sequence[Trial]) -> bool:
    """Whether all trials are equal proxy trainings, which have losses."""
    return bool(trials[0].losses) and all(len(each.losses) == len(trials[0].losses) for each in trials)


def _normal(values: Array) -> Array:
    """[N] the normal scores of values: the quantiles of a normal distribution at their ranks."""
    found: Array = ndtri((rankdata(values) - 0.5) / len(values))
    return found


# ----
# Features of architectures from which a regression can learn accuracy with few examples.
#
# They are the encoding, the counts of operations, the capacity (MACs, parameters), and the paths of images through
# each cell. Paths were found to be more informative than positions (White et al., BANANAS, arXiv 1910.11858). For the
# paths of a cell we use their number, the number without any weights (as in a residual connection), the number of
# operations with weights on the longest, shortest and mean path, and their SynFlow score: the sum over paths of the
# product of each operation's gain, which is the square root of a convolution's fan-in, or 1 without weights. Up to
# constants this is the result for an image of ones of the absolute values of random weights at a scale that preserves
# signals (He et al., arXiv 1502.01852). So it is SynFlow's score (Tanaka et al., arXiv 2006.05467) without a network.
# Edges that lead nowhere are pruned first.
#
# Letters: `N` architectures, `F` features.

NUMBERS = 6  # of features for a cell's paths; the last one is their SynFlow score
PLAIN = 1  # index of the feature for paths without weights


@dataclass(frozen=True)
class Paths:
    """Summary of the paths from a cell's inputs to a state.

    Attributes:
        count: number of paths.
        plain: number of paths without operations with weights.
        steps: operations with weights on all paths together.
        longest: operations with weights on the longest path.
        shortest: operations with weights on the shortest path.
        gain: the sum over paths of the product of their operations' gains.
    """

    count: int = 0
    plain: int = 0
    steps: int = 0
    longest: int = 0
    shortest: int = 0
    gain: float = 0.0

    def through(self, gain: float | None) -> Paths:
        """Each path extended by one operation; the gain is None for an operation without weights."""
        if gain is None:
            return self
        step = int(self.count > 0)
        return Paths(
            self.count,
            0,
            self.steps + step * self.count,
            self.longest + step,
            self.shortest + step,
            self.gain * gain,
        )

    def joined_with(self, other: Paths) -> Paths:
        """The paths of both together."""
        if not (self.count and other.count):
            return self if self.count else other
        return Paths(
            self.count + other.count,
            self.plain + other.plain,
            self.steps + other.steps,
            max(self.longest, other.longest),
            min(self.shortest, other.shortest),
            self.gain + other.gain,
        )

    def numbers(self) -> list[float]:
        """`NUMBERS` features of similar size."""
        mean = self.steps / self.count if self.count else 0.0
        return [
            np.log1p(self.count),
            np.log1p(self.plain),
            mean,
            float(self.longest),
            float(self.shortest),
            np.log1p(self.gain),
        ]


def architecture_features(
    space: Space, size: NetworkSize, architectures: Sequence[Architecture]
) -> NDArray[np.float64]:
    """Features [N, F] of architectures; architectures with the same graph have the same features.

    Args:
        space: space of the architectures.
        size: size for which MACs and parameters are counted.
        architectures: N architectures.
    """
    pruned = [architecture.pruned() for architecture in architectures]
    codes = space.encode(pruned)
    form = space_counts(space, size)
    sizes = np.log(np.stack([form.macs(codes), form.parameters(codes)], axis=1))
    found = [codes @ space.feature_map().T, sizes]
    found += [np.array([each.numbers() for each in paths]) for paths in _paths(space, size, pruned)]
    return np.concatenate(found, axis=1)


def capacity_features(space: Space, found: NDArray[np.float64]) -> NDArray[np.float64]:
    """The features that grow with network size [N, C]: log MACs and the log SynFlow score of each kind of cell.

    Args:
        space: space of the architectures; a space of layers has no cells, so only MACs.
        found: features from `architecture_features`.
    """
    cells = len(space.topology.cells)
    sizes = found.shape[1] - NUMBERS * cells - 2
    return found[:, [sizes, *(sizes + 1 + NUMBERS * (n + 1) for n in range(cells))]]


def skip_multiplicity(space: Space, found: NDArray[np.float64]) -> NDArray[np.float64]:
    """The log factor by which plain paths multiply the residual stream in each kind of cell, summed [N].

    A plain path has no operation with weights. If a cell's output is the next cell's only input, two plain paths double
    the residual stream in each cell. So the learned branches contribute less with depth. With preprocessing between
    cells, as in DARTS, there is no such stream, and the value is 0.

    Args:
        space: space of the architectures.
        found: features from `architecture_features`.
    """
    cells = space.topology.cells
    first = found.shape[1] - NUMBERS * len(cells)
    streams = [first + NUMBERS * n + PLAIN for n, cell in enumerate(cells) if cell.inputs == len(cell.output) == 1]
    plain = np.expm1(found[:, streams])
    total: NDArray[np.float64] = np.log(np.maximum(plain, 1.0)).sum(axis=1)
    return total


def _paths(space: Space, size: NetworkSize, pruned: Sequence[Architecture]) -> list[list[Paths]]:
    """The paths of each kind of cell, for some pruned architectures."""
    return [[_cell_paths(each, cell, size.width) for each in pruned] for cell in space.topology.cells]


@functools.cache
def _gain(topology: Topology, name: str, channels: int) -> float | None:
    """The gain of an operation: the product of its convolutions' gains; None if it has no weights."""
    operation = topology.operations[name].make(OpSpec(channels))
    weights = [module.weight for module in operation.modules() if isinstance(module, nn.Conv2d)]
    return math.prod(math.sqrt(weight[0].numel()) for weight in weights) if weights else None


def _cell_paths(architecture: Architecture, cell: Cell, channels: int) -> Paths:
    """All paths from the inputs of a cell to its output."""
    states = [Paths(count=1, plain=1, gain=1.0)] * cell.inputs + [Paths()] * cell.nodes
    for edge, (source, target) in sorted(enumerate(cell.edges), key=lambda each: each[1][1]):
        name = architecture.operation(cell.decision(edge))
        if name not in (None, NOTHING):
            gain = _gain(architecture.space.topology, str(name), channels)
            states[target] = states[target].joined_with(states[source].through(gain))
    found = Paths()
    for state in cell.output:
        found = found.joined_with(states[state])
    return found
