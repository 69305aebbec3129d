"""The ridge regression against what it should equal, and the two linear predictors against known costs."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from chronas.devices import make_device
from chronas.predictors import Predictor, Scores, make_predictor
from chronas.predictors.linear import fit_ridge
from chronas.spaces import NetworkSize, make_space

SIZE = NetworkSize(input_shape=(3, 16, 16), outputs=10, width=8, depth=3)


@settings(max_examples=25, deadline=None)
@given(count=st.integers(12, 20), width=st.integers(1, 8), noise=st.floats(0.01, 3.0), seed=st.integers(0, 1000))
def test_leave_one_out_errors_are_those_of_really_leaving_one_out(
    count: int, width: int, noise: float, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    design = torch.randn(count, width, generator=generator, dtype=torch.float64)
    targets = design.sum(dim=1) + noise * torch.randn(count, generator=generator, dtype=torch.float64) + 5
    ridge = fit_ridge(design, targets)
    centred = design - design.mean(dim=0)
    penalty = torch.linalg.inv(ridge.covariance) - centred.T @ centred
    left_out = []
    for row in range(count):
        others = torch.arange(count) != row
        # The intercept is not penalised: solve for it and the coefficients together.
        columns = torch.cat([torch.ones(count, 1, dtype=torch.float64), centred], dim=1)
        gram = columns[others].T @ columns[others]
        gram[1:, 1:] += penalty
        solution = torch.linalg.solve(gram, columns[others].T @ targets[others])
        left_out.append(targets[row] - columns[row] @ solution)
    torch.testing.assert_close(ridge.residuals, torch.stack(left_out), rtol=1e-4, atol=1e-6)


def test_exact_collinear_targets_are_met_and_pure_noise_is_shrunk_away() -> None:
    generator = torch.Generator().manual_seed(0)
    design = torch.eye(4, dtype=torch.float64)[torch.randint(4, (200,), generator=generator)]
    exact = fit_ridge(design, design @ torch.tensor([1.0, 2, 3, 4], dtype=torch.float64))
    assert exact.residuals.abs().max() < 1e-6
    noise = torch.randn(200, generator=generator, dtype=torch.float64)
    assert fit_ridge(design, noise).coefficients.abs().max() < 0.1


def fitted_on_simulated(name: str, space_name: str, count: int) -> tuple[Predictor, np.ndarray, np.ndarray]:
    space = make_space(space_name)
    device = make_device("simulated")
    architectures = space.sample(count + 100, seed=0)
    codes = space.encode(architectures)
    costs = np.array([device.true_latency_ms(a, SIZE) for a in architectures])
    predictor = make_predictor(name, space, SIZE)
    predictor.fit(codes[:count], costs[:count], seed=0)
    return predictor, codes[count:], costs[count:]


@pytest.mark.parametrize(("space", "count"), [("nasbench201", 60), ("darts", 400)])
def test_the_look_up_table_is_exact_on_additive_costs(space: str, count: int) -> None:
    predictor, codes, costs = fitted_on_simulated("lookup", space, count)
    np.testing.assert_allclose(predictor.predict(codes).mean, costs, rtol=1e-4)


@pytest.mark.parametrize("count", [100, 160, 300])
def test_intervals_hold_with_fewer_networks_than_slots(count: int) -> None:
    predictor, codes, costs = fitted_on_simulated("lookup", "darts", count)
    prediction = predictor.predict(codes)
    error = np.abs(prediction.mean - costs)
    assert 0.75 <= np.mean(error <= 1.645 * prediction.std) <= 1.0
    assert np.median(prediction.std) < 3 * np.median(error) + 1e-4


def test_equal_macs_give_the_mean_and_its_spread() -> None:
    space = make_space("nasbench201")
    pools = [space.architecture([4, 1, 0, 1, 0, 4][k:] + [4, 1, 0, 1, 0, 4][:k]) for k in range(6)]
    predictor, costs = make_predictor("macs", space, SIZE), np.array([1.0, 2, 3, 2, 1, 3])
    predictor.fit(space.encode(pools), costs, seed=0)
    prediction = predictor.predict(space.encode(pools))
    np.testing.assert_allclose(prediction.mean, 2.0)
    assert (prediction.std > 0.5).all() and (prediction.std < 2).all()


def test_an_encoding_far_from_the_table_is_less_certain() -> None:
    predictor, codes, _ = fitted_on_simulated("macs", "nasbench201", 60)
    far, near = predictor.predict(codes * 30), predictor.predict(codes)
    assert far.std.mean() > 3 * near.std.mean()
    assert (far.std >= near.std.min()).all()


def test_on_real_tables_the_look_up_table_is_exact_where_costs_are_additive_and_beats_macs(shared_data) -> None:
    table = pl.read_parquet(shared_data / "nasbench201" / "latency_help.parquet").sample(1900, seed=0)
    space = make_space("nasbench201")
    codes = space.encode([space.parse(text) for text in table["arch_str"]])
    for column, error in [("eyeriss_ms", 1e-3), ("fpga_ms", 1e-3), ("gold_6240_ms", 9.0)]:
        costs = table[column].to_numpy()
        scores = {}
        for name in ("macs", "lookup"):
            predictor = make_predictor(name, space, space.sizes["cifar10"])
            predictor.fit(codes[:900], costs[:900], seed=0)
            scores[name] = Scores.of(costs[900:], predictor.predict(codes[900:]).mean)
        assert scores["lookup"].mape_percent < error
        assert scores["lookup"].kendall > scores["macs"].kendall + 0.005
