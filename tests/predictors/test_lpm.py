"""The latency prediction module on costs that are not additive, on real tables, and its choices."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import torch
from numpy.typing import NDArray
from pydantic import ValidationError

from chronas.predictors import Scores, make_predictor
from chronas.predictors.lpm import LpmConfig
from chronas.spaces import NetworkSize, Space, make_space

SIZE = NetworkSize(input_shape=(3, 32, 32), outputs=10, width=8, depth=5)
OPERATION_MS = np.array([1.0, 1.2, 0.3, 4.0, 6.0, 2.0, 3.0])  # in the order of DARTS's operations


def darts_costs(count: int, noise: float) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Two streams run beside each other, one for each kind of cell: the slower one counts."""
    space = make_space("darts")
    codes = space.encode(space.sample(count, seed=0))
    streams = codes.reshape(count, 2, 14, 7).sum(axis=2) @ OPERATION_MS
    costs = 8 + np.maximum(streams[:, 0], 1.3 * streams[:, 1])
    return codes, costs * (1 + noise * np.random.default_rng(0).standard_normal(count))


def held_out_scores(
    name: str,
    space: Space,
    codes: NDArray[np.float32],
    costs: NDArray[np.float64],
    count: int,
    config: LpmConfig | None = None,
) -> Scores:
    predictor = make_predictor(name, space, SIZE, config)
    predictor.fit(codes[:count], costs[:count], seed=0)
    return Scores.of(costs[count:], predictor.predict(codes[count:]).mean)


def test_it_learns_an_interaction_that_no_table_can_hold() -> None:
    codes, costs = darts_costs(900, noise=0.02)
    space = make_space("darts")
    table = held_out_scores("lookup", space, codes, costs, 400)
    lpm = held_out_scores("lpm", space, codes, costs, 400)
    assert lpm.kendall > table.kendall + 0.05
    assert lpm.rmse < 0.8 * table.rmse
    assert lpm.mape_percent < 0.8 * table.mape_percent


def test_few_noisy_networks_are_ranked_by_counts_and_not_by_places() -> None:
    space = make_space("darts")
    codes = space.encode(space.sample(1200, seed=1))
    costs = 8 + codes.reshape(1200, 28, 7).sum(axis=1) @ OPERATION_MS
    costs *= 1 + 0.08 * np.random.default_rng(1).standard_normal(1200)
    table = held_out_scores("lookup", space, codes, costs, 200)
    lpm = held_out_scores("lpm", space, codes, costs, 200)
    assert lpm.kendall > table.kendall + 0.08


@pytest.mark.parametrize("column", ["gold_6240_ms", "raspi4_ms", "eyeriss_ms"])
def test_on_real_tables_it_is_as_good_as_the_look_up_table_or_better(shared_data, column: str) -> None:
    table = pl.read_parquet(shared_data / "nasbench201" / "latency_help.parquet").sample(2400, seed=1)
    table = table.filter(pl.col(column) > 0.1 * pl.col(column).median())
    space = make_space("nasbench201")
    codes, costs = space.encode([space.parse(text) for text in table["arch_str"]]), table[column].to_numpy()
    baseline = held_out_scores("lookup", space, codes, costs, 900)
    lpm = held_out_scores("lpm", space, codes, costs, 900)
    assert lpm.mape_percent < 1.02 * baseline.mape_percent + 1e-3
    assert lpm.kendall > baseline.kendall - 0.015
    if column == "raspi4_ms":
        assert lpm.mape_percent < 0.8 * baseline.mape_percent
        assert lpm.kendall > baseline.kendall + 0.03


def test_the_scale_that_was_asked_for_is_used() -> None:
    codes, costs = darts_costs(60, noise=0.1)
    space, far = make_space("darts"), torch.from_numpy(np.random.default_rng(0).uniform(-3, 3, (50, 196)))
    for scale in ("linear", "log"):
        predictor = make_predictor("lpm", space, SIZE, LpmConfig(scale=scale, steps=20, hidden=4))
        predictor.fit(codes, costs, seed=0)
        assert bool((predictor.cost(far) >= 0).all()) == (scale == "log")


def test_multiplicative_costs_choose_the_logarithm() -> None:
    space = make_space("nasbench201")
    codes = space.encode(space.sample(600, seed=0))
    costs = np.exp(codes.reshape(600, 6, 5).sum(axis=1) @ np.array([0.0, 0.1, 0.4, 0.9, 0.2]))
    small = {"steps": 20, "hidden": 4}
    automatic = held_out_scores("lpm", space, codes, costs, 300, LpmConfig(**small))
    assert automatic.mape_percent < 0.1
    assert held_out_scores("lpm", space, codes, costs, 300, LpmConfig(scale="linear", **small)).mape_percent > 2


def test_every_setting_acts() -> None:
    codes, costs = darts_costs(300, noise=0.0)
    space, base = make_space("darts"), {"steps": 40, "hidden": 8}
    changes = [{}, {"members": 3}, {"hidden": 5}, {"steps": 20}, {"learning_rate": 0.02}, {"weight_decay": 0.0}]
    seen = set()
    for change in changes:
        predictor = make_predictor("lpm", space, SIZE, LpmConfig(**{**base, **change}))
        predictor.fit(codes, costs, seed=0)
        seen.add(predictor.predict(codes).mean.tobytes())
    assert len(seen) == len(changes)


@pytest.mark.parametrize("wrong", [{"members": 1}, {"steps": 0}, {"scale": "sqrt"}, {"depth": 3}])
def test_settings_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        LpmConfig(**wrong)
