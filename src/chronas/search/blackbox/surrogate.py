"""How good architectures are, learned from some: a Gaussian process over features, and prior knowledge of size.

All is in standard deviations of what was learned. `learnt` is the mean of three orders, by accuracy, by validation loss
and by training loss, as each is noisy after some seconds of training. A brief training does not show what a large
network would learn in hours, nor a shallow one what a deep one loses, so MACs, the gain of the cells' paths and
dilution count beside it; they are known of every architecture and need no regression. So are penalties: a standard
deviation of the share of wrong images is worth as much as one of what was learned.

surrogate = Surrogate(space, size, trials, Weights(macs=1.5, synflow=1.0, skips=1.5))
rows = surrogate.rows(architectures)
best = architectures[surrogate.means(rows, penalties).argmax()]

Letters: `N` architectures, `F` architecture_features.
"""

from __future__ import annotations

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

from chronas.records import Trial
from chronas.search.blackbox.architecture_features import architecture_features, capacity_features, skip_multiplicity
from chronas.spaces import Architecture, NetworkSize, Space

EXPLORED = 0.01  # improvement that is asked for
TINY = 1e-6  # of a spread, below which all are alike

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Weights:
    """How much what is known counts beside what was learned.

    Attributes:
        macs: of the logarithm of MACs, in standard deviations of those that were evaluated.
        synflow: of the logarithm of the SynFlow score of each kind of cell, the same, their mean.
        skips: against the natural logarithm of plain paths.
    """

    macs: float
    synflow: float
    skips: float


NOTHING = Weights(0.0, 0.0, 0.0)


class Surrogate:
    """How good architectures are, in standard deviations; higher is better."""

    def __init__(
        self,
        space: Space,
        size: NetworkSize,
        trials: Sequence[Trial],
        weights: Weights,
        inside: Sequence[bool] | None = None,
    ) -> None:
        """Fit scale, length and noise by the likelihood of what was evaluated.

        Args:
            space: of the architectures.
            size: in which MACs are counted.
            trials: what is known.
            weights: of what is known, where the trainings were brief, as their losses tell; else it does not count.
            inside: whether each that was evaluated could be the answer, and so is to be beaten; all could by default.
        """
        self._space, self._size = space, size
        self._weights = weights if _brief(trials) else NOTHING
        self._rows = self.rows([each.architecture for each in trials])
        self._mean, self._spread = self._rows.mean(axis=0), self._rows.std(axis=0)
        self._goals = learnt(trials)
        self._penalties = np.array([each.penalty for each in trials])
        self._inside = np.ones(len(trials), dtype=bool) if inside is None else np.array(inside, dtype=bool)
        wrong = np.array([1.0 - each.score / 100.0 for each in trials])
        self._penalty_unit = max(float(wrong.std()), TINY) / max(float(self._goals.std()), TINY)
        kernel = ConstantKernel(1.0, (0.1, 10.0)) * RBF(1.0, (0.3, 10.0)) + WhiteKernel(0.3, (0.05, 2.0))
        self._process = GaussianProcessRegressor(kernel)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a length at its bound is an answer
            self._process.fit(self._scaled(self._rows), self._goals)

    def rows(self, architectures: Sequence[Architecture]) -> Array:
        """[N, F] what the other methods ask of architectures."""
        return architecture_features(self._space, self._size, architectures)

    def means(self, rows: Array, penalties: Sequence[float] | Array) -> Array:
        """[N] what each should be worth with its penalty, by the regression and by its size."""
        found: Array = self._process.predict(self._scaled(rows)) + self._known(rows, penalties)
        return found

    def posterior_means(self, *, penalised: bool = True) -> Array:
        """[N] what those that were evaluated are worth, by what all of them have shown, not each by its own luck."""
        return self.means(self._rows, self._penalties if penalised else np.zeros(len(self._rows)))

    def expected_improvement(self, rows: Array, penalties: Sequence[float]) -> Array:
        """[N] by how much each is expected to beat the best mean of those that were evaluated and could be the answer.

        Where none could, it is to beat the worst of all, so that little more than the mean counts.
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
        """Take the mean for the truth of an architecture that is about to be trained; its row is [F]."""
        self._goals = np.append(self._goals, self._process.predict(self._scaled(row[None])))
        self._rows, self._penalties = np.concatenate([self._rows, row[None]]), np.append(self._penalties, penalty)
        self._inside = np.append(self._inside, True)
        self._process = GaussianProcessRegressor(self._process.kernel_, optimizer=None)
        self._process.fit(self._scaled(self._rows), self._goals)

    def _scaled(self, rows: Array) -> Array:
        """In standard deviations of those that were evaluated; what is the same in all of them tells nothing."""
        kept = (self._spread > 0) | (self._spread.max() == 0)  # where all are alike there is still something to regress
        found: Array = ((rows - self._mean) / np.where(self._spread > 0, self._spread, 1.0))[:, kept]
        found /= np.sqrt(kept.sum())
        return found

    def _known(self, rows: Array, penalties: Sequence[float] | Array) -> Array:
        """Size counts for an architecture, skips that multiply and its penalty against it; no regression is needed."""
        mean, spread = (capacity_features(self._space, each[None])[0] for each in (self._mean, self._spread))
        sizes = (capacity_features(self._space, rows) - mean) / np.where(spread > 0, spread, 1.0)
        found: Array = self._weights.macs * sizes[:, 0] - self._weights.skips * skip_multiplicity(self._space, rows)
        if sizes.shape[1] > 1:
            found += self._weights.synflow * sizes[:, 1:].mean(axis=1)
        found -= np.asarray(penalties) / self._penalty_unit
        return found


def learnt(trials: Sequence[Trial]) -> Array:
    """[N] what each showed, as normal scores: of its accuracy, or where it was trained of the mean of its three orders.

    Args:
        trials: N architectures.
    """
    accuracy = _normal(np.array([each.score for each in trials]))
    if not _brief(trials):
        return accuracy
    losses = np.array([each.losses for each in trials]).T
    return _normal(np.mean([accuracy, *(_normal(-each) for each in losses)], axis=0))


def _brief(trials: Sequence[Trial]) -> bool:
    """Whether all were trained by the search itself, equally, and so left losses."""
    return bool(trials[0].losses) and all(len(each.losses) == len(trials[0].losses) for each in trials)


def _normal(values: Array) -> Array:
    """[N] the normal scores of values: what a normal distribution would have at their ranks."""
    found: Array = ndtri((rankdata(values) - 0.5) / len(values))
    return found
