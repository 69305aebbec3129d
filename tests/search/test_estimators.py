"""Forward a sample of one option is exact, and its slope is on average what each estimator says that it is."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
from scipy import stats
from torch import Tensor

from chronas.search.gradient.gdas import ESTIMATORS, gumbel_noise, reinmax, straight_through

Function = Callable[[Tensor], Tensor]
LOGITS = torch.tensor([[0.4, -0.9, 1.3, 0.1], [-0.2, 0.8, 0.3, -1.1]], dtype=torch.float64)
GENERATOR = torch.Generator().manual_seed(3)
MATRIX = torch.randn((8, 8), generator=GENERATOR, dtype=torch.float64)
CUBE = torch.randn((4, 4, 4), generator=GENERATOR, dtype=torch.float64)


def quadratic(codes: Tensor) -> Tensor:
    """Of both decisions [2, 4], with squares and products."""
    flat = codes.flatten()
    return flat @ MATRIX @ flat + flat @ MATRIX[0]


def cubic(codes: Tensor) -> Tensor:
    """Of the first decision."""
    return torch.einsum("abc,a,b,c->", CUBE, codes[0], codes[0], codes[0])


def noise_for(choice: tuple[int, ...]) -> Tensor:
    """Noise that samples these options, whatever the alphas."""
    return 100.0 * torch.nn.functional.one_hot(torch.tensor(choice), 4).double()


def true_slope(function: Function, alphas: Tensor) -> Tensor:
    """The slope of the expected value, over all samples."""
    alphas = alphas.clone().requires_grad_()
    p = alphas.softmax(dim=1)
    expected = sum(
        p[0, first] * p[1, second] * function(torch.eye(4, dtype=torch.float64)[[first, second]]).detach()
        for first, second in itertools.product(range(4), repeat=2)
    )
    assert isinstance(expected, Tensor)
    return torch.autograd.grad(expected, alphas)[0]


def mean_slope_of_reinmax(function: Function, alphas: Tensor, temperature: float) -> Tensor:
    """The slope that ReinMax gives for each sample, weighed by its probability."""
    p = alphas.softmax(dim=1)
    mean = torch.zeros_like(alphas)
    for choice in itertools.product(range(4), repeat=2):
        live = alphas.clone().requires_grad_()
        slope = torch.autograd.grad(function(reinmax(live, noise_for(choice), temperature)), live)[0]
        mean += p[0, choice[0]] * p[1, choice[1]] * slope
    return mean


@pytest.mark.parametrize("name", ESTIMATORS)
def test_samples_are_exactly_one_hot_and_follow_the_softmax(name: str) -> None:
    counts = torch.zeros(4)
    generator = torch.Generator().manual_seed(0)
    alphas = LOGITS[:1].float().requires_grad_()
    for _ in range(2000):
        sample = ESTIMATORS[name].sample(alphas, gumbel_noise((1, 4), generator), 1.5).detach()
        assert sorted(sample[0].tolist()) == [0.0, 0.0, 0.0, 1.0]
        counts += sample[0]
    expected = LOGITS[0].softmax(dim=0) * counts.sum()
    assert stats.chisquare(counts.double().numpy(), expected.numpy()).pvalue > 1e-3


def test_reinmax_is_exact_on_average_for_quadratic_functions() -> None:
    """Of each decision, that is; here of two, with products of both."""
    found = mean_slope_of_reinmax(quadratic, LOGITS, 1.0)
    torch.testing.assert_close(found, true_slope(quadratic, LOGITS), rtol=0, atol=1e-12)


def test_reinmax_is_not_exact_for_cubic_functions_nor_at_other_temperatures() -> None:
    """Else the test of exactness could not fail."""
    assert float((mean_slope_of_reinmax(cubic, LOGITS, 1.0) - true_slope(cubic, LOGITS)).abs().max()) > 1e-3
    assert float((mean_slope_of_reinmax(quadratic, LOGITS, 2.0) - true_slope(quadratic, LOGITS)).abs().max()) > 1e-2


def test_random_samples_of_reinmax_come_to_the_true_slope_and_those_of_straight_through_do_not() -> None:
    """Means of 20,000 samples in units of their standard errors."""
    generator = torch.Generator().manual_seed(1)
    wanted = true_slope(quadratic, LOGITS)[0]
    rows = LOGITS.repeat(20_000, 1, 1)
    worst = {}
    for name in ESTIMATORS:
        live = rows.clone().requires_grad_()
        noise = gumbel_noise(rows.shape, generator).double()
        codes = torch.stack([ESTIMATORS[name].sample(live[:, d], noise[:, d], 1.0) for d in range(2)], dim=1)
        flat = codes.flatten(1)
        total = ((flat @ MATRIX) * flat).sum() + (flat @ MATRIX[0]).sum()
        gradients = torch.autograd.grad(total, live)[0][:, 0]
        worst[name] = float(((gradients.mean(0) - wanted).abs() / (gradients.std(0) / len(gradients) ** 0.5)).max())
    assert worst["reinmax"] < 4
    assert worst["straight-through"] > 10


@pytest.mark.parametrize("temperature", [0.5, 10.0])
def test_straight_through_has_the_slope_of_the_softmax_of_noisy_logits(temperature: float) -> None:
    noise = gumbel_noise((2, 4), torch.Generator().manual_seed(2)).double()
    value = torch.arange(8, dtype=torch.float64).reshape(2, 4)
    live = LOGITS.clone().requires_grad_()
    found = torch.autograd.grad((straight_through(live, noise, temperature) * value).sum(), live)[0]
    step = 1e-6

    def soft(alphas: Tensor) -> float:
        return float((((alphas + noise) / temperature).softmax(dim=1) * value).sum())

    for row, column in itertools.product(range(2), range(4)):
        change = torch.zeros_like(LOGITS)
        change[row, column] = step
        difference = (soft(LOGITS + change) - soft(LOGITS - change)) / (2 * step)
        assert float(found[row, column]) == pytest.approx(difference, abs=1e-7)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_options_of_no_probability_leave_all_slopes_finite(name: str) -> None:
    alphas = torch.tensor([[300.0, -300.0, 0.0, -400.0]], requires_grad=True)
    noise = gumbel_noise((1, 4), torch.Generator().manual_seed(0))
    sample = ESTIMATORS[name].sample(alphas, noise, 1.0)
    slope = torch.autograd.grad(sample @ torch.tensor([1.0, 2.0, 3.0, 4.0]), alphas)[0]
    assert bool(slope.isfinite().all())


def test_noise_is_that_of_gumbel_and_follows_its_generator() -> None:
    noise = gumbel_noise((4000,), torch.Generator().manual_seed(5))
    assert stats.kstest(noise.numpy(), "gumbel_r").pvalue > 1e-3
    assert torch.equal(noise, gumbel_noise((4000,), torch.Generator().manual_seed(5)))
