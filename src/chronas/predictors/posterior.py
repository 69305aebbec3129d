"""Bayesian linear regression averaged over a grid of variances, each weighted by its evidence.

The evidence (marginal likelihood) and the posterior of a linear model with normal weights and noise: MacKay, Bayesian
interpolation, 1992, https://doi.org/10.1162/neco.1992.4.3.415. Where he takes the variances with the highest evidence,
we average: a few samples leave several likely. All goes by the Gram matrix of the features, so that 15,000 samples
take hardly longer than ten.

Letters: N samples, D columns of the design, T settings of the grid.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

NEGLIGIBLE = 1e-4  # settings with less weight than this share of the best one's are left out


class Posterior(NamedTuple):
    """What is thought of weights and noise once samples are in.

    Attributes:
        mean: of the weights [D].
        covariance: of these [D, D].
        noise: variance [].
    """

    mean: Tensor
    covariance: Tensor
    noise: Tensor


class _Setting(NamedTuple):
    """One setting: its evidence, what scales the weights [D], and the factor of their precision [D, D]."""

    log_evidence: Tensor
    scale: Tensor
    factor: Tensor
    noise: Tensor


def averaged(design: Tensor, targets: Tensor, weights: Tensor, noises: Tensor) -> Posterior:
    """The mixture of the posteriors of all settings.

    Args:
        design: [N, D].
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
