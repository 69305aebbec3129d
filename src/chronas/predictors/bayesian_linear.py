"""Bayesian linear regression with variances of feature blocks by maximum evidence, or averaged over a grid.

The evidence (marginal likelihood) and the posterior of a linear model with normal weights and noise: MacKay, Bayesian
interpolation, 1992, https://doi.org/10.1162/neco.1992.4.3.415. There is one variance for each block, as in automatic
relevance determination. No held-out rows are needed, so 20 networks are enough to see that MACs matter and that
positions do not matter yet. All computations use Gram matrices, so that the time for many rows is that of one matrix
product: 15,000 samples take hardly longer than ten.

`fit_variances` takes the variances with the highest evidence, as MacKay does. `averaged` averages over a grid instead,
because several settings are likely after a few samples.

Letters: `N` rows, `Q` features, `G` blocks; for `averaged` also `D` columns of the design, `T` settings of the grid.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

PRIOR_MEAN, PRIOR_SPREAD = -2.0, 5.0  # of the logarithms of all variances, for targets of variance 1; a weak prior
LOG_RANGE = (-18.0, 4.0)  # range of log variances: the noise of exact costs would fall for ever
LEVEL_VARIANCE = 100.0  # of the unknown mean of all targets; large compared to their variance of 1
STEPS = 40  # at most this many L-BFGS steps; on standardised targets it nearly always ends earlier


@dataclass(frozen=True)
class Variances:
    """Prior variances of slopes and noise.

    Attributes:
        slopes: variance of the slope of each feature [Q].
        noise: variance of the noise [].
    """

    slopes: Tensor
    noise: Tensor


@dataclass(frozen=True)
class Slopes:
    """A linear regression: target = base + design @ values.

    Attributes:
        base: intercept [].
        values: slopes [Q].
    """

    base: Tensor
    values: Tensor


def fit_variances(design: Tensor, targets: Tensor, blocks: Tensor) -> Variances:
    """The variances with the highest evidence, including a weak prior on them.

    Args:
        design: features [N, Q], each block of about variance 1 in total.
        targets: of variance 1 [N].
        blocks: index of the block of each feature [Q], from 0.
    """
    centred, moved = design - design.mean(dim=0), targets - targets.mean()
    loss = (_loss_by_rows if len(design) < design.shape[1] else _loss_by_features)(centred, moved, blocks)
    logarithms = highest_evidence(loss, torch.full((int(blocks.max()) + 2,), PRIOR_MEAN, dtype=design.dtype))
    return Variances(logarithms[:-1].exp()[blocks], logarithms[-1].exp())


def _loss_by_rows(design: Tensor, targets: Tensor, blocks: Tensor) -> Callable[[Tensor], Tensor]:
    """Minus the log evidence as a function of log variances, through a matrix [N, N]; for few rows."""
    count = int(blocks.max()) + 1
    parts = [design[:, blocks == block] @ design[:, blocks == block].T for block in range(count)]
    return kernel_loss(torch.stack(parts), targets)


def kernel_loss(parts: Tensor, targets: Tensor) -> Callable[[Tensor], Tensor]:
    """Minus the log evidence of log variances [G + 1], the last for the noise, for parts of a covariance [G, N, N]."""
    kernels = torch.cat([parts, torch.eye(len(targets), dtype=parts.dtype)[None]])
    level = torch.full_like(kernels[0], LEVEL_VARIANCE)

    def loss(logarithms: Tensor) -> Tensor:
        factor = factor_of(level + torch.tensordot(logarithms.exp(), kernels, dims=1))
        whitened = torch.linalg.solve_triangular(factor, targets[:, None], upper=False)
        value: Tensor = 0.5 * whitened.square().sum() + factor.diagonal().log().sum()
        return value

    return loss


def _loss_by_features(design: Tensor, targets: Tensor, blocks: Tensor) -> Callable[[Tensor], Tensor]:
    """Minus the log evidence as a function of log variances, through a matrix [Q, Q]; for many rows."""
    gram, together, total = design.T @ design, design.T @ targets, targets @ targets

    def loss(logarithms: Tensor) -> Tensor:
        noise, spread = logarithms[-1].exp(), (logarithms[:-1][blocks] - logarithms[-1]).mul(0.5).exp()
        inner = spread[:, None] * gram * spread + torch.eye(len(gram), dtype=gram.dtype)
        factor = factor_of(inner)
        explained = torch.linalg.solve_triangular(factor, (spread * together)[:, None], upper=False).square().sum()
        determinant = (len(targets) - 1) * logarithms[-1] + 2 * factor.diagonal().log().sum()
        value: Tensor = 0.5 * ((total - explained) / noise + determinant)
        return value

    return loss


def factor_of(matrix: Tensor) -> Tensor:
    """The Cholesky factor of a matrix [Q, Q] that is positive definite, but perhaps not after rounding.

    The possible rounding error of its smallest eigenvalue is added. It matters if exact costs of many networks make the
    noise nearly zero.
    """
    lost = torch.finfo(matrix.dtype).eps * len(matrix) * matrix.diagonal().max()
    factor: Tensor = torch.linalg.cholesky(matrix + lost * torch.eye(len(matrix), dtype=matrix.dtype))
    return factor


def highest_evidence(loss: Callable[[Tensor], Tensor], start: Tensor) -> Tensor:
    """The log variances that minimise minus log evidence and a weak normal prior, starting at `start`."""
    free = start.clone().requires_grad_()
    search = torch.optim.LBFGS([free], max_iter=STEPS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        with torch.enable_grad():
            within = free.clamp(*LOG_RANGE)
            value = loss(within) + 0.5 * ((free - PRIOR_MEAN) / PRIOR_SPREAD).square().sum()
            (free.grad,) = torch.autograd.grad(value, free)
        return value.detach()

    search.step(closure)  # type: ignore[no-untyped-call]
    return free.detach().clamp(*LOG_RANGE)


def fit_slopes(design: Tensor, targets: Tensor, variances: Variances) -> Slopes:
    """The most probable regression of targets [N] on a design [N, Q] under these variances."""
    centre, base = design.mean(dim=0), targets.mean()
    spread = (variances.slopes / variances.noise).sqrt()
    scaled = (design - centre) * spread
    inner = scaled.T @ scaled + torch.eye(len(spread), dtype=design.dtype)
    solved = torch.cholesky_solve((scaled.T @ (targets - base))[:, None], factor_of(inner))
    values = spread * solved[:, 0]
    return Slopes(base - centre @ values, values)


NEGLIGIBLE = 1e-4  # settings with less weight than this share of the best one's are left out


class Posterior(NamedTuple):
    """The posterior of weights and noise, given the samples.

    Attributes:
        mean: mean of the weights [D].
        covariance: covariance of the weights [D, D].
        noise: variance of the noise [].
    """

    mean: Tensor
    covariance: Tensor
    noise: Tensor


class _Setting(NamedTuple):
    """One setting: its evidence, the scale of the weights [D], and the factor of their precision [D, D]."""

    log_evidence: Tensor
    scale: Tensor
    factor: Tensor
    noise: Tensor


def averaged(design: Tensor, targets: Tensor, weights: Tensor, noises: Tensor) -> Posterior:
    """The mixture of the posteriors of all settings.

    Args:
        design: columns of the regression [N, D].
        targets: [N].
        weights: prior variances of the weights, whose prior means are 0 [T, D]; zero leaves a column out.
        noises: variances of the noise [T], above zero.
    """
    gram, together, total = design.T @ design, design.T @ targets, targets @ targets
    found = [_setting(gram, together, total, len(targets), *pair) for pair in zip(weights, noises, strict=True)]
    evidence = torch.stack([setting.log_evidence for setting in found])
    shares = (evidence - evidence.max()).exp()
    shares = shares.where(shares > NEGLIGIBLE, 0.0)
    shares = shares / shares.sum()
    mean, second = torch.zeros_like(together), torch.zeros_like(gram)
    for share, setting in zip(shares.tolist(), found, strict=True):
        if share:
            inverse = torch.cholesky_inverse(setting.factor)
            covariance = setting.scale[:, None] * inverse * setting.scale
            one = covariance @ together / setting.noise
            mean += share * one
            second += share * (covariance + torch.outer(one, one))
    return Posterior(mean, second - torch.outer(mean, mean), (shares * noises).sum())


def _setting(gram: Tensor, together: Tensor, total: Tensor, count: int, weights: Tensor, noise: Tensor) -> _Setting:
    scale = weights.sqrt()
    inner = scale[:, None] * gram * scale / noise + torch.eye(len(gram), dtype=gram.dtype)
    factor = torch.linalg.cholesky(inner)
    explained = torch.linalg.solve_triangular(factor, (scale * together / noise)[:, None], upper=False).square().sum()
    determinant = count * noise.log() + 2 * factor.diagonal().log().sum()
    return _Setting(0.5 * (explained - total / noise - determinant), scale, factor, noise)
