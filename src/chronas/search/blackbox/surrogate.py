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


NOTHING = Weights(0.0, 0.0, 0.0)


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


def learnt(trials: Sequence[Trial]) -> Array:
    """[N] normal scores of the accuracies or, after proxy training, of the mean of three ranks.

    Args:
        trials: N evaluated architectures.
    """
    accuracy = _normal(np.array([each.score for each in trials]))
    if not _brief(trials):
        return accuracy
    losses = np.array([each.losses for each in trials]).T
    return _normal(np.mean([accuracy, *(_normal(-each) for each in losses)], axis=0))


def _brief(trials: Sequence[Trial]) -> bool:
    """Whether all trials are equal proxy trainings, which have losses."""
    return bool(trials[0].losses) and all(len(each.losses) == len(trials[0].losses) for each in trials)


def _normal(values: Array) -> Array:
    """[N] the normal scores of values: the quantiles of a normal distribution at their ranks."""
    found: Array = ndtri((rankdata(values) - 0.5) / len(values))
    return found
