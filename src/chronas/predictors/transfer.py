"""Cost prediction for a new device from few samples, with the tables of other devices as a prior.

The log-cost is a sum of features whose prior comes from the other devices. The posterior is that of Bayesian linear
regression, averaged over a grid of prior and noise variances by their evidence: with ten samples no single choice is
certain, and a cross-validation of ten is a lottery. HELP (arXiv 2106.08630) and NASFLAT (arXiv 2403.02446) meta-learn a
network for the same task; ours has no training beyond ridge regressions. The prediction is the exponential of a
polynomial of the encoding, so it has a gradient for searches. Without sources the prior is on work, counts and
positions alone.

Sources: each table of another device becomes a smooth function of the encoding, one log-cost for each device. Phones
are timed in whole milliseconds and every table has noise, so a ridge regression of the log-costs removes the noise
first (as features for ten samples of another device, mean Spearman on FBNet is 0.926 with the tables' numbers, 0.961
with these functions; docs/log.md, 2026-11-22). They are sums over a basis that is a polynomial of the encoding, so they
are defined outside of the tables and have a gradient.

Prior: a new device's log-cost is the mean of the other devices, plus their differences, plus its own weight on the work
(MACs, parameters), on counts of operations and on positions. Each of these is a block of features; a block's prior
variance is relative to the variance of the other devices' mean over the space. New devices differ in the directions in
which known devices differ, so these directions have their own spread as prior: a Gaussian process whose covariance is
that of the known devices (the unscaled principal components of their log-costs), after the transfer learning of Bonilla
et al., NIPS 2007. A grid of variances covers what known devices do not determine.

Letters: `N` networks, `B` batch, `W` slots of the encoding, `P` columns of the basis, `S` sources, `R` features.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from chronas.errors import DataError, MismatchError
from chronas.networks import space_counts
from chronas.predictors.features import forms, kind_counts, terms
from chronas.predictors.linear import averaged, fit_ridge
from chronas.predictors.predictor import Predictor, Shape, State
from chronas.spaces import NetworkSize, Space
from chronas.tables import CostTable

FEWEST_ROWS = 50  # a table with fewer rows says too little about positions to be a source
DEGENERATE_SHARE = 0.1  # of a table's median; the logarithms of cells that were folded away would dominate


def basis(space: Space, size: NetworkSize, codes: Tensor) -> Tensor:
    """The basis [B, P] of encodings [B, W]: its forms, its terms and, in listable spaces, pairs of slots."""
    parts = [*forms(space, codes), terms(space, size, codes)]
    if space.listable:
        first, second = _pairs(space)
        parts.append(codes[:, first] * codes[:, second])
    return torch.cat(parts, dim=1)


def basis_width(space: Space, size: NetworkSize) -> int:
    """The number of columns P of the basis."""
    return basis(space, size, torch.zeros(1, space.encoding_length, dtype=torch.float64)).shape[1]


def source_coefficients(space: Space, size: NetworkSize, paths: Sequence[Path], cost: str | None) -> Tensor:
    """The log-cost of each source as a sum over the basis [P, S], without its level.

    Args:
        space: space of all tables.
        size: size of all tables.
        paths: paths of the tables.
        cost: name of the cost; None means each table's own.

    Raises:
        DataError: a table is missing or damaged, or lacks the cost, or has too few rows.
        MismatchError: a table is of another space or size.
    """
    if not paths:
        return torch.zeros(basis_width(space, size), 0, dtype=torch.float64)
    found = []
    for path in paths:
        try:
            changed_ns = path.stat().st_mtime_ns
        except OSError as error:
            raise DataError(f"cannot read the source {path}: {error.strerror}; give tables that are there") from error
        found.append(_coefficients(space, size, path, changed_ns, cost))
    return torch.stack(found, dim=1)


@functools.lru_cache(maxsize=64)
def _coefficients(space: Space, size: NetworkSize, path: Path, changed_ns: int, cost: str | None) -> Tensor:  # noqa: ARG001 - a file that changed is read again
    table = CostTable.load(path)
    try:
        table.require(space=space, size=size)
    except MismatchError as error:
        raise MismatchError(f"{path} cannot be a source: {error}") from error
    table = table if cost is None else table.of(cost)
    costs = table.costs()
    kept = costs >= DEGENERATE_SHARE * np.median(costs)
    if kept.sum() < FEWEST_ROWS:
        raise DataError(f"{path} cannot be a source: it should have {FEWEST_ROWS} networks, got {kept.sum()}")
    codes = torch.from_numpy(space.encode(table.architectures())[kept]).double()
    return fit_ridge(basis(space, size, codes), torch.from_numpy(costs[kept]).log()).coefficients


@functools.cache
def _pairs(space: Space) -> tuple[Tensor, Tensor]:
    """The slots of all pairs of options of two decisions."""
    decisions = [decision for decision, _ in space.slots]
    pairs = [
        (one, two)
        for one, two in itertools.combinations(range(space.encoding_length), 2)
        if decisions[one] != decisions[two]
    ]
    first, second = zip(*pairs, strict=True)
    return torch.tensor(first), torch.tensor(second)


POPULATION = 1000  # random architectures over which features are scaled
POPULATION_SEED = 7_654_321
VARYING = 1e-9  # features that vary less are constants
# variances of blocks and of noise to try, relative to the variance of the sources' mean; chosen on all columns
# of NAS-Bench-201 and FBNet together, where twice or a third of each changes mean Spearman by 0.002 (docs/log.md)
LEVEL = 1.0
SLOPE = 0.3
DEVIATIONS = 1.0
WORK = (0.1, 1.0)
COUNTS = (0.01, 0.1)
PLACES = (0.0, 0.01)
NOISE = (1e-4, 1e-3, 1e-2, 3e-2, 0.1, 0.3)


@dataclass(frozen=True)
class Prior:
    """Features of a space, and the prior of the level and the features' weights; all relative to `spread`.

    Attributes:
        centre: mean of the basis [P].
        projection: features = (basis - centre) @ projection [P, R]; the first is the sources' mean, if there are any.
        mean: prior means of level and weights [1 + R].
        weights: prior variances of level and weights, for each of T settings [T, 1 + R].
        noises: variances of the noise of these settings [T].
        spread: standard deviation of the sources' mean over the space [].
    """

    centre: Tensor
    projection: Tensor
    mean: Tensor
    weights: Tensor
    noises: Tensor
    spread: Tensor

    def features(self, basis_codes: Tensor) -> Tensor:
        """Features [B, R] of a basis [B, P]."""
        return (basis_codes - self.centre) @ self.projection


def make_prior(space: Space, size: NetworkSize, coefficients: Tensor, spread: Tensor) -> Prior:
    """The prior of a space from its sources.

    Args:
        space: space of the encodings.
        size: size of the networks; it determines their work.
        coefficients: functions of the sources [P, S].
        spread: assumed standard deviation of the log-cost if there are no sources [].
    """
    population = _population(space, size, coefficients)
    centre = population.mean(dim=0)
    blocks: list[Tensor] = []
    tried: list[Sequence[float]] = []
    if coefficients.shape[1]:
        spread = ((population - centre) @ coefficients.mean(dim=1)).std()
        blocks = list(_of_sources(population - centre, coefficients, spread))
        tried = [(SLOPE,), (DEVIATIONS,)]
    for block, values in _own_blocks(space, size, len(centre)):
        blocks.append(_unit(population - centre, block))
        tried.append(values)
    mean = torch.zeros(1 + sum(block.shape[1] for block in blocks), dtype=torch.float64)
    mean[1] = float(coefficients.shape[1] > 0)
    number = torch.repeat_interleave(torch.arange(len(blocks)), torch.tensor([block.shape[1] for block in blocks]))
    grid = torch.tensor(list(itertools.product(*tried, NOISE)), dtype=torch.float64)
    weights = torch.cat([torch.full_like(grid[:, :1], LEVEL), grid[:, number]], dim=1)
    return Prior(centre, torch.cat(blocks, dim=1), mean, weights, grid[:, -1], spread)


def prior_size(space: Space, size: NetworkSize, sources: int) -> tuple[int, int]:
    """P and R for this number of sources."""
    width = basis_width(space, size)
    own = sum(block.shape[1] for block, _ in _own_blocks(space, size, width))
    return width, own + (1 + sources if sources else 0)


def _population(space: Space, size: NetworkSize, coefficients: Tensor) -> Tensor:
    """The basis of random architectures [B, P], without those that are degenerate on some source."""
    population = basis(space, size, _random_codes(space))
    if not coefficients.shape[1]:
        return population
    logs = population @ coefficients
    usual = (logs >= logs.median(dim=0).values + math.log(DEGENERATE_SHARE)).all(dim=1)
    return population[usual]


@functools.cache
def _random_codes(space: Space) -> Tensor:
    return torch.from_numpy(space.encode(space.sample(min(POPULATION, space.cardinality), POPULATION_SEED))).double()


def _of_sources(centred: Tensor, coefficients: Tensor, spread: Tensor) -> tuple[Tensor, Tensor]:
    """The sources' mean [P, 1] and their deviations from it [P, S], relative to its spread."""
    mean = coefficients.mean(dim=1, keepdim=True)
    along = centred @ mean
    shares = (centred @ coefficients * along).mean(dim=0) / along.square().mean()
    return mean / spread, (coefficients - mean * shares) / coefficients.shape[1] ** 0.5 / spread


def _own_blocks(space: Space, size: NetworkSize, width: int) -> list[tuple[Tensor, Sequence[float]]]:
    """Work, counts and positions as sums over the basis [P, features], with the variances to try for each."""
    form = space_counts(space, size).additive
    slots = torch.eye(space.encoding_length, width, dtype=torch.float64)
    if form is None:  # the first two terms are the amounts
        work = torch.eye(width, dtype=torch.float64)[space.encoding_length :][:2]
    else:
        work = torch.from_numpy(np.stack([form.slot_macs, form.slot_parameters])) @ slots
    return [(work.T, WORK), ((kind_counts(space) @ slots).T, COUNTS), (slots.T, PLACES)]


def _unit(centred: Tensor, block: Tensor) -> Tensor:
    """A block [P, features] with equal variances that add up to 1; constant features are zero."""
    spread = (centred @ block).std(dim=0)
    varying = spread > VARYING * block.abs().amax(dim=0)
    scaled = block / spread.where(varying, 1.0) / varying.sum() ** 0.5
    return scaled.where(varying, 0.0)


class TransferConfig(BaseModel):
    """The tables of other devices."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sources: tuple[Path, ...] = Field(default=(), description="tables of other devices on the same space and size")
    cost: str = Field(default="", description="name of the cost to read from the sources; empty: each one's own cost")


class Transfer(Predictor):
    """exp(level + features @ weights), learned from the costs of a few networks and from tables of other devices."""

    name = "transfer"
    Config = TransferConfig
    minimum = 3
    config: TransferConfig

    def prior(self, spread: Tensor) -> Prior:
        """The prior before any sample; without sources, `spread` [] is the assumed deviation of the log-cost.

        Raises:
            DataError: a source is missing or damaged, lacks the cost or has too few rows.
            MismatchError: a source is of another space or size.
        """
        coefficients = source_coefficients(self.space, self.size, self.config.sources, self.config.cost or None)
        return make_prior(self.space, self.size, coefficients, spread)

    def _fit(self, codes: Tensor, costs: Tensor, seed: int) -> dict[str, Tensor]:  # noqa: ARG002 - nothing is random here
        logs = costs.log()
        prior = self.prior(logs.std())
        targets = logs / prior.spread
        level = targets.mean()
        design = with_level(prior.features(basis(self.space, self.size, codes)))
        posterior = averaged(design, targets - level - design @ prior.mean, prior.weights, prior.noises)
        mean = prior.mean + posterior.mean
        mean[0] += level
        return {
            "centre": prior.centre,
            "projection": prior.projection,
            "mean": prior.spread * mean,
            "covariance": prior.spread**2 * posterior.covariance,
            "noise": prior.spread**2 * posterior.noise,
        }

    def _mean(self, codes: Tensor, state: State) -> Tensor:
        return self._design(codes, state).matmul(state["mean"]).exp()

    def _std(self, codes: Tensor, state: State) -> Tensor:
        design = self._design(codes, state)
        unsure = ((design @ state["covariance"]) * design).sum(dim=1).clamp_min(0)
        return (unsure + state["noise"]).sqrt() * design.matmul(state["mean"]).exp()

    def _design(self, codes: Tensor, state: State) -> Tensor:
        """A column of ones and the features [B, 1 + R]."""
        return with_level((basis(self.space, self.size, codes) - state["centre"]) @ state["projection"])

    def _shapes(self) -> dict[str, Shape]:
        width, count = prior_size(self.space, self.size, len(self.config.sources))
        return {
            "centre": (width,),
            "projection": (width, count),
            "mean": (1 + count,),
            "covariance": (1 + count, 1 + count),
            "noise": (),
        }


def with_level(features: Tensor) -> Tensor:
    """A column of ones and the features [B, 1 + R]."""
    return torch.cat([torch.ones_like(features[:, :1]), features], dim=1)
