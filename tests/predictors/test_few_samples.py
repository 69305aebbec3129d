"""Which samples are taken: as many as asked, none twice, blind to costs unless they come one by one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from chronas.networks import space_counts
from chronas.predictors import make_predictor
from chronas.predictors.few_samples import choose_samples, spread_out
from chronas.spaces import make_space

SPACE = make_space("nasbench201")
SIZE = SPACE.sizes["cifar10"]
CODES = SPACE.encode(SPACE.sample(300, seed=0))
COSTS = 1 + space_counts(SPACE, SIZE).macs(CODES) / 1e7
WAYS = ["random", "spread", "sequential"]


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("name", ["transfer", "lookup"])
def test_as_many_as_asked_none_twice_and_the_same_for_a_seed(how: str, name: str) -> None:
    predictor = make_predictor(name, SPACE, SIZE)
    rows = choose_samples(how, predictor, CODES, COSTS, 12, seed=1)
    assert len(set(rows.tolist())) == 12
    assert rows.tolist() == choose_samples(how, predictor, CODES, COSTS, 12, seed=1).tolist()


@pytest.mark.parametrize("how", WAYS)
def test_only_a_sequence_looks_at_costs(how: str) -> None:
    predictor = make_predictor("transfer", SPACE, SIZE)
    rows = choose_samples(how, predictor, CODES, COSTS, 12, seed=1)
    others = COSTS * np.random.default_rng(0).uniform(0.5, 2, len(COSTS))
    again = choose_samples(how, predictor, CODES, others, 12, seed=1)
    assert (rows.tolist() == again.tolist()) == (how != "sequential")


def test_spread_samples_leave_less_variance_than_random_ones() -> None:
    generator = torch.Generator().manual_seed(0)
    design = torch.randn(200, 8, generator=generator, dtype=torch.float64) ** 3
    weights, noise = torch.ones(8, dtype=torch.float64), torch.tensor(0.1, dtype=torch.float64)

    def left(rows: list[int]) -> float:
        taken = design[rows]
        precision = weights.reciprocal().diag() + taken.T @ taken / noise
        return float(((design @ precision.inverse()) * design).sum())

    random = [left(torch.randperm(200, generator=generator)[:8].tolist()) for _ in range(20)]
    assert left(spread_out(design, weights, noise, 8)) < min(random)
