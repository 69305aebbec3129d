"""The averaged regression against a Gaussian process written out in full."""

from __future__ import annotations

import torch
from torch.distributions import MultivariateNormal

from chronas.predictors.linear import averaged


def test_it_is_the_mixture_of_gaussian_processes() -> None:
    generator = torch.Generator().manual_seed(1)
    design = torch.randn(6, 4, generator=generator, dtype=torch.float64)
    targets = torch.randn(6, generator=generator, dtype=torch.float64)
    weights = torch.tensor([[1.0, 0.5, 0.1, 0.0], [2.0, 0.1, 0.1, 1.0]], dtype=torch.float64)
    noises = torch.tensor([0.1, 0.3], dtype=torch.float64)
    log_evidence, means, seconds = [], [], []
    for weight, noise in zip(weights, noises, strict=True):
        together = design @ weight.diag() @ design.T + noise * torch.eye(6, dtype=torch.float64)
        log_evidence.append(MultivariateNormal(torch.zeros(6, dtype=torch.float64), together).log_prob(targets))
        gain = weight.diag() @ design.T @ together.inverse()
        means.append(gain @ targets)
        seconds.append(weight.diag() - gain @ design @ weight.diag() + torch.outer(means[-1], means[-1]))
    shares = torch.stack(log_evidence).softmax(dim=0)
    mean = sum(share * one for share, one in zip(shares, means, strict=True))
    second = sum(share * one for share, one in zip(shares, seconds, strict=True))
    found = averaged(design, targets, weights, noises)
    torch.testing.assert_close(found.mean, mean)
    torch.testing.assert_close(found.covariance, second - torch.outer(mean, mean))
    torch.testing.assert_close(found.noise, shares @ noises)
