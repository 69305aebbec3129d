"""The gradient through samples and the real latency prediction module points where the true gradient points."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
from torch import Tensor

from chronas.predictors import Predictor, make_predictor
from chronas.search import Cost, Objective, ObjectiveConfig, Relaxation
from chronas.spaces import NetworkSize, make_space

SPACE = make_space("nasbench201")
SIZE = NetworkSize(input_shape=(3, 16, 16), outputs=10, width=8, depth=3)
OPTION_MS = np.array([0.0, 0.3, 1.0, 4.0, 0.8])


@functools.cache
def lpm() -> Predictor:
    """Fitted on costs of which a part is not additive: what leaves the last node waits for the slower input."""
    codes = SPACE.encode(SPACE.sample(400, seed=0))
    edges = codes.reshape(400, 6, 5) @ OPTION_MS
    costs = 2 + edges.sum(axis=1) + 2 * np.maximum(edges[:, 3], edges[:, 5])
    predictor = make_predictor("lpm", SPACE, SIZE)
    predictor.fit(codes, costs, seed=0)
    return predictor


@functools.cache
def everything() -> tuple[Tensor, Tensor]:
    """Numbers [15625, 6] and predicted ms [15625] of the whole space."""
    numbers = torch.cartesian_prod(*[torch.arange(5)] * 6)
    codes = Relaxation(SPACE, torch.zeros(6, 5, dtype=torch.float64)).codes(numbers)
    with torch.no_grad():
        return numbers, lpm().cost(codes)


def alphas_of(spread: float) -> Tensor:
    return (spread * torch.randn(6, 5, generator=torch.Generator().manual_seed(1)).double()).requires_grad_()


def true_expectation(alphas: Tensor) -> Tensor:
    """The expected cost over all 15,625 architectures, differentiable in the alphas."""
    numbers, costs = everything()
    log_p = alphas.log_softmax(1)[torch.arange(6), numbers].sum(dim=1)
    return log_p.exp() @ costs


def objective_of(weight: float, samples: int) -> Objective:
    config = ObjectiveConfig(weights={"latency_ms": weight}, samples=samples)
    return Objective(config, {"latency_ms": Cost(lpm().cost, lpm().median)})


@pytest.mark.parametrize("spread", [1e-3, 0.5, 1.5])
def test_the_term_descends_where_the_true_expectation_descends(spread: float) -> None:
    alphas = alphas_of(spread)
    exact = torch.autograd.grad(true_expectation(alphas), alphas)[0]
    objective = objective_of(1.0, samples=1000)
    term = objective.term(Relaxation(SPACE, alphas), torch.Generator().manual_seed(0))
    found = torch.autograd.grad(term, alphas)[0] * lpm().median
    assert float(torch.cosine_similarity(found.flatten(), exact.flatten(), dim=0)) >= 0.9
    large = exact.abs() > 0.1 * exact.abs().max()
    assert bool((found.sign() == exact.sign())[large].all())


@pytest.mark.parametrize("spread", [1e-3, 1.5])
def test_the_value_of_the_term_is_the_expected_cost_over_the_median(spread: float) -> None:
    alphas = alphas_of(spread)
    objective = objective_of(2.0, samples=4000)
    term = objective.term(Relaxation(SPACE, alphas), torch.Generator().manual_seed(0))
    expected = 2.0 * float(true_expectation(alphas).detach()) / lpm().median
    assert float(term.detach()) == pytest.approx(expected, rel=0.02)
