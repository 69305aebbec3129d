"""The regression by evidence against formulas written out, and what it does with few rows."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from chronas.predictors.linear import (
    LEVEL_VARIANCE,
    LOG_RANGE,
    PRIOR_MEAN,
    PRIOR_SPREAD,
    Variances,
    fit_coefficients,
    fit_variances,
)


def problem(count: int, noise: float, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Targets that depend on the first of two blocks, of 2 and 30 features."""
    generator = torch.Generator().manual_seed(seed)
    design = torch.randn(count, 32, generator=generator, dtype=torch.float64)
    targets = design[:, 0] + noise * torch.randn(count, generator=generator, dtype=torch.float64)
    return design, (targets - targets.mean()) / targets.std(), torch.tensor([0] * 2 + [1] * 30)


@pytest.mark.parametrize("count", [20, 80], ids=["by-rows", "by-features"])
def test_the_variances_are_a_maximum_of_the_evidence(count: int) -> None:
    """The density of the targets under the model, in other words, is lower a step away in each direction."""
    design, targets, blocks = problem(count, noise=0.5)
    found = fit_variances(design, targets, blocks)

    def log_density(coefficients: Tensor, noise: Tensor) -> float:
        centred = design - design.mean(dim=0)
        covariance = (centred * coefficients[blocks]) @ centred.T + noise * torch.eye(count, dtype=torch.float64)
        covariance = covariance + LEVEL_VARIANCE
        density = MultivariateNormal(torch.zeros(count, dtype=torch.float64), covariance).log_prob(targets)
        logs = torch.cat([coefficients, noise[None]]).log()
        return float(density - 0.5 * ((logs - PRIOR_MEAN) / PRIOR_SPREAD).square().sum())

    coefficients = found.coefficients[[0, 31]]
    best = log_density(coefficients, found.noise)
    for factor in (0.5, 2.0):
        assert log_density(coefficients, factor * found.noise) < best
        for block in range(2):
            moved = coefficients.clone()
            moved[block] *= factor
            assert log_density(moved, found.noise) < best + 1e-3


def test_a_block_that_does_not_matter_is_shrunk_with_fewer_rows_than_features() -> None:
    design, targets, blocks = problem(20, noise=0.1)
    coefficients = fit_coefficients(design, targets, fit_variances(design, targets, blocks))
    assert coefficients.values[1:].abs().max() < 0.05 < 0.8 < coefficients.values[0]


@pytest.mark.parametrize("count", [20, 80])
def test_slopes_are_those_of_the_normal_equations(count: int) -> None:
    design, targets, blocks = problem(count, noise=0.5)
    variances = Variances(torch.tensor([0.5, 0.01], dtype=torch.float64)[blocks], torch.tensor(0.2).double())
    found = fit_coefficients(design, targets + 7, variances)
    centred = design - design.mean(dim=0)
    expected = torch.linalg.solve(
        centred.T @ centred / 0.2 + torch.diag(1 / variances.coefficients), centred.T @ targets / 0.2
    )
    torch.testing.assert_close(found.values, expected, rtol=1e-6, atol=1e-7)
    assert float(found.base) == pytest.approx(7 - float(design.mean(dim=0) @ expected))


def test_exact_targets_are_met_and_the_noise_stays_in_range() -> None:
    design, targets, blocks = problem(80, noise=0.0)
    variances = fit_variances(design, targets, blocks)
    found = fit_coefficients(design, targets, variances)
    torch.testing.assert_close(found.base + design @ found.values, targets, rtol=0, atol=1e-4)
    assert float(variances.noise.log()) >= LOG_RANGE[0] - 1e-9


def test_exact_targets_of_many_rows_with_dependent_columns_are_fitted() -> None:
    """The noise falls as far as it may, and matrices are then positive by less than rounding takes."""
    generator = torch.Generator().manual_seed(0)
    choices = torch.randint(7, (100_000, 14), generator=generator)
    design = torch.nn.functional.one_hot(choices, 7).flatten(1).double()
    design = torch.cat([design @ torch.rand(98, 2, generator=generator, dtype=torch.float64), design], dim=1)
    targets = design[:, 0] + design[:, 1]
    targets = (targets - targets.mean()) / targets.std()
    blocks = torch.tensor([0] * 2 + [1] * 98)
    found = fit_coefficients(design, targets, fit_variances(design, targets, blocks))
    assert float((found.base + design @ found.values - targets).abs().max()) < 1e-3
