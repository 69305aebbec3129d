"""What is thought of a device's costs before any of them is known: a normal prior over sums of a few features.

A new device's log-cost is the other devices' mean, plus what tells these apart, plus its own weight on the work (MACs,
parameters), on how often operations occur and on where they stand. Each is a block of features; the prior variance of
a block is relative to how much the other devices' mean varies over the space. Devices differ in the directions in which
known devices differ, so those have their own spread as prior: a Gaussian process whose covariance is that of the known
devices (the principal components of their log-costs, unscaled), after the transfer learning of Bonilla et al., NIPS
2007; with a grid of variances for what known devices do not tell.

Letters: B batch, P columns of the basis, S sources, R features.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from chronas.networks import closed_form
from chronas.predictors.sources import DEGENERATE_SHARE, basis, basis_width
from chronas.spaces import Skeleton, Space

POPULATION = 1000  # random architectures over which features are scaled
POPULATION_SEED = 7_654_321
VARYING = 1e-9  # features that vary less are constants
# variances of blocks and of noise that are tried, relative to the variance of the sources' mean; chosen on all columns
# of NAS-Bench-201 and FBNet at once, where twice or a third of each moves mean Spearman by 0.002 (docs/log.md)
LEVEL = 1.0
SLOPE = 0.3
DEVIATIONS = 1.0
WORK = (0.1, 1.0)
COUNTS = (0.01, 0.1)
PLACES = (0.0, 0.01)
NOISE = (1e-4, 1e-3, 1e-2, 3e-2, 0.1, 0.3)


@dataclass(frozen=True)
class Prior:
    """Features of a space and what is thought of a level and of their weights; all over `spread`.

    Attributes:
        centre: of the basis [P].
        projection: features = (basis - centre) @ projection [P, R]; the first is the sources' mean, if there are any.
        mean: of level and weights [1 + R].
        weights: variances of level and weights that are tried [T, 1 + R].
        noises: variances of the noise that go with them [T].
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


def make_prior(space: Space, skeleton: Skeleton, slopes: Tensor, spread: Tensor) -> Prior:
    """The prior of a space from what its sources know.

    Args:
        space: whose encodings they are.
        skeleton: decides how much work a network is.
        slopes: of the sources [P, S].
        spread: how much the log-cost is thought to vary, for where no source tells [].
    """
    population = _population(space, skeleton, slopes)
    centre = population.mean(dim=0)
    blocks: list[Tensor] = []
    tried: list[Sequence[float]] = []
    if slopes.shape[1]:
        spread = ((population - centre) @ slopes.mean(dim=1)).std()
        blocks = list(_of_sources(population - centre, slopes, spread))
        tried = [(SLOPE,), (DEVIATIONS,)]
    for block, values in _own_blocks(space, skeleton, len(centre)):
        blocks.append(_unit(population - centre, block))
        tried.append(values)
    mean = torch.zeros(1 + sum(block.shape[1] for block in blocks), dtype=torch.float64)
    mean[1] = float(slopes.shape[1] > 0)
    number = torch.repeat_interleave(torch.arange(len(blocks)), torch.tensor([block.shape[1] for block in blocks]))
    grid = torch.tensor(list(itertools.product(*tried, NOISE)), dtype=torch.float64)
    weights = torch.cat([torch.full_like(grid[:, :1], LEVEL), grid[:, number]], dim=1)
    return Prior(centre, torch.cat(blocks, dim=1), mean, weights, grid[:, -1], spread)


def prior_size(space: Space, skeleton: Skeleton, sources: int) -> tuple[int, int]:
    """P and R for this number of sources."""
    width = basis_width(space, skeleton)
    own = sum(block.shape[1] for block, _ in _own_blocks(space, skeleton, width))
    return width, own + (1 + sources if sources else 0)


def _population(space: Space, skeleton: Skeleton, slopes: Tensor) -> Tensor:
    """The basis of random architectures [B, P], without those that next to nothing is left of on some source."""
    population = basis(space, skeleton, _random_codes(space))
    if not slopes.shape[1]:
        return population
    logs = population @ slopes
    usual = (logs >= logs.median(dim=0).values + math.log(DEGENERATE_SHARE)).all(dim=1)
    return population[usual]


@functools.cache
def _random_codes(space: Space) -> Tensor:
    return torch.from_numpy(space.encode(space.sample(min(POPULATION, space.size), POPULATION_SEED))).double()


def _of_sources(centred: Tensor, slopes: Tensor, spread: Tensor) -> tuple[Tensor, Tensor]:
    """The sources' mean [P, 1] and their deviations from it [P, S], over its spread."""
    mean = slopes.mean(dim=1, keepdim=True)
    along = centred @ mean
    shares = (centred @ slopes * along).mean(dim=0) / along.square().mean()
    return mean / spread, (slopes - mean * shares) / slopes.shape[1] ** 0.5 / spread


def _own_blocks(space: Space, skeleton: Skeleton, width: int) -> list[tuple[Tensor, Sequence[float]]]:
    """Work, counts and places as sums over the basis [P, features], with what is tried for each."""
    form, sums = closed_form(space, skeleton), torch.from_numpy(space.feature_map())
    work = torch.stack([torch.from_numpy(form.slot_macs), torch.from_numpy(form.slot_parameters)])
    counts = sums[(sums != 0).sum(dim=1) > 1]
    slots = torch.eye(space.width, width, dtype=torch.float64)
    return [((work @ slots).T, WORK), ((counts @ slots).T, COUNTS), (slots.T, PLACES)]


def _unit(centred: Tensor, block: Tensor) -> Tensor:
    """A block [P, features] with equal variances that add up to 1, zero where a feature is constant."""
    spread = (centred @ block).std(dim=0)
    varying = spread > VARYING * block.abs().amax(dim=0)
    scaled = block / spread.where(varying, 1.0) / varying.sum() ** 0.5
    return scaled.where(varying, 0.0)
