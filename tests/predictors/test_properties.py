"""What must not matter to a predictor does not: the unit of time, the company in a batch, a shift of all costs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from chronas.devices import make_device
from chronas.devices.simulated import Simulated, SimulatedConfig
from chronas.predictors import Predictor, Scores, fit_and_report, make_predictor
from chronas.predictors.calibration import Scale
from chronas.predictors.evaluation import assign_folds
from chronas.predictors.linear import fit_ridge
from chronas.spaces import NetworkSize, make_space
from chronas.tables import CostTable
from predictors_here import EVERY_PREDICTOR, HERE, QUICK

SPACE = make_space("nasbench201")
SIZE = NetworkSize(input_shape=(3, 16, 16), outputs=10, width=8, depth=3)
every_predictor = pytest.mark.parametrize("name", EVERY_PREDICTOR)


def measured(count: int, seed: int, noise: float = 0.03) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Encodings and costs that are neither additive nor multiplicative, with noise."""
    architectures = SPACE.sample(count, seed=seed)
    device = make_device("simulated", SimulatedConfig(noise=0.0))
    assert isinstance(device, Simulated)
    true_ms = np.array([device.true_latency_ms(architecture, SIZE) for architecture in architectures])
    codes = SPACE.encode(architectures)
    together = 1 + 0.2 * codes[:, 3] * codes[:, 8]
    return codes, true_ms * together * (1 + noise * np.random.default_rng(seed).standard_normal(count))


def fitted(name: str, codes: NDArray[np.float32], costs: NDArray[np.float64], seed: int = 0) -> Predictor:
    predictor = make_predictor(name, SPACE, SIZE, QUICK.get(name))
    predictor.fit(codes, costs, seed=seed)
    return predictor


@every_predictor
@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_seconds_and_microseconds_give_the_same_predictor(name: str, factor: float) -> None:
    """No threshold may be in ms: a table of another magnitude scales means and deviations, and nothing else."""
    codes, costs = measured(80, seed=0)
    unseen, _ = measured(50, seed=1)
    one, other = (fitted(name, codes, costs * scale).predict(unseen) for scale in (1.0, factor))
    np.testing.assert_allclose(other.mean, factor * one.mean, rtol=1e-3)
    np.testing.assert_allclose(other.std, factor * one.std, rtol=1e-2)


@every_predictor
def test_a_prediction_does_not_depend_on_the_rest_of_the_batch(name: str) -> None:
    predictor = fitted(name, *measured(80, seed=0))
    unseen, _ = measured(20, seed=1)
    together, exact = predictor.predict(unseen), 1e-9 if predictor.precision == torch.float64 else 1e-5
    alone = [predictor.predict(unseen[row : row + 1]) for row in range(len(unseen))]
    np.testing.assert_allclose(together.mean, [float(each.mean[0]) for each in alone], rtol=exact)
    np.testing.assert_allclose(together.std, [float(each.std[0]) for each in alone], rtol=max(exact, 1e-7))
    backwards = predictor.predict(unseen[::-1].copy())
    np.testing.assert_allclose(backwards.mean[::-1], together.mean, rtol=exact)


@pytest.mark.parametrize("name", ["macs", "lookup"])
def test_linear_predictors_do_not_care_for_the_order_of_rows_and_follow_a_shift(name: str) -> None:
    codes, costs = measured(80, seed=0)
    unseen, _ = measured(50, seed=1)
    shuffle = np.random.default_rng(0).permutation(len(codes))
    plain = fitted(name, codes, costs).predict(unseen)
    shuffled = fitted(name, codes[shuffle], costs[shuffle]).predict(unseen)
    shifted = fitted(name, codes, costs + 5.0).predict(unseen)
    np.testing.assert_allclose(shuffled.mean, plain.mean, rtol=1e-7)
    np.testing.assert_allclose(shifted.mean, plain.mean + 5.0, rtol=1e-6)
    np.testing.assert_allclose(shifted.std, plain.std, rtol=1e-3)


@every_predictor
@pytest.mark.parametrize("noise", [0.02, 0.1])
def test_nine_of_ten_intervals_hold_whatever_the_noise(name: str, noise: float) -> None:
    codes, costs = measured(150, seed=0, noise=noise)
    unseen, truth_ms = measured(600, seed=2, noise=noise)
    prediction = fitted(name, codes, costs).predict(unseen)
    covered = np.mean(np.abs(truth_ms - prediction.mean) <= 1.645 * prediction.std)
    assert 0.8 <= covered <= 0.99


@every_predictor
def test_noisier_measurements_give_wider_intervals(name: str) -> None:
    widths = [
        float(np.median(fitted(name, *measured(150, seed=0, noise=noise)).predict(measured(50, seed=1)[0]).std))
        for noise in (0.05, 0.4)
    ]
    assert widths[1] > 1.5 * widths[0]


@every_predictor
def test_fitting_again_forgets_what_was_learned_before(name: str) -> None:
    codes, costs = measured(80, seed=0)
    again = fitted(name, codes, 9 * costs[::-1].copy())
    again.fit(codes, costs, seed=0)
    assert again.predict(codes).mean.tobytes() == fitted(name, codes, costs).predict(codes).mean.tobytes()
    assert again.median == np.median(costs)


@settings(max_examples=40, deadline=None)
@given(
    costs=st.lists(st.floats(1e-3, 1e6), min_size=3, max_size=30).filter(
        lambda values: max(values) > 1.1 * min(values)
    ),
    logarithmic=st.booleans(),
)
def test_a_scale_standardises_and_comes_back(costs: list[float], logarithmic: bool) -> None:
    costs = torch.tensor(costs, dtype=torch.float64)
    scale = Scale.of(costs, logarithmic=logarithmic)
    targets = scale.targets(costs)
    assert float(targets.mean()) == pytest.approx(0.0, abs=1e-6)
    assert float(targets.std()) == pytest.approx(1.0)
    torch.testing.assert_close(scale.costs(targets), costs, rtol=1e-6, atol=1e-6)
    assert bool((targets[costs.argsort()].diff() >= 0).all()), "neighbouring floats may share a target"


few_costs = st.lists(st.floats(0.1, 100.0), min_size=4, max_size=25, unique=True)


@given(costs=few_costs, factor=st.floats(0.5, 2.0))
def test_scores_of_scaled_predictions_are_known(costs: list[float], factor: float) -> None:
    truth_ms = np.array(costs)
    scores = Scores.of(truth_ms, factor * truth_ms)
    error = abs(factor - 1)
    assert scores.mape_percent == pytest.approx(100 * error, abs=1e-9)
    assert scores.rmse == pytest.approx(error * np.sqrt(np.mean(truth_ms**2)), abs=1e-9)
    if abs(error - 0.05) > 1e-9 and abs(error - 0.1) > 1e-9:
        assert scores.within_5_percent == (100.0 if error < 0.05 else 0.0)
        assert scores.within_10_percent == (100.0 if error < 0.1 else 0.0)


@given(costs=few_costs, data=st.data())
def test_rank_scores_are_those_of_counting_pairs(costs: list[float], data: st.DataObject) -> None:
    truth_ms = np.array([float(round(cost, 2)) for cost in costs]) + np.arange(len(costs))
    predicted = np.array(data.draw(st.permutations(truth_ms.tolist())))
    pairs = [(i, j) for i in range(len(costs)) for j in range(i)]
    order = [np.sign((truth_ms[i] - truth_ms[j]) * (predicted[i] - predicted[j])) for i, j in pairs]
    if len(set(truth_ms.tolist())) == len(costs) and np.abs(np.diff(np.sort(truth_ms))).min() > 1e-3:
        assert Scores.of(truth_ms, predicted).kendall == pytest.approx(sum(order) / len(pairs))
        assert Scores.of(truth_ms, -predicted + 1e4).kendall == pytest.approx(-sum(order) / len(pairs))


def test_predictions_that_are_all_the_same_rank_nothing() -> None:
    truth_ms = np.array([1.0, 2.0, 3.0])
    scores = Scores.of(truth_ms, np.full(3, 2.0) + np.array([0.0, 1e-12, -1e-12]))
    assert (scores.kendall, scores.spearman) == (0.0, 0.0)


@settings(max_examples=20, deadline=None)
@given(count=st.integers(10, 80), folds=st.integers(2, 8), seed=st.integers(0, 99))
def test_folds_are_a_partition_that_keeps_twins_together(count: int, folds: int, seed: int) -> None:
    architectures = SPACE.sample(count, seed=seed)
    fold = assign_folds(architectures, folds, seed)
    assert set(fold.tolist()) <= set(range(folds))
    assert assign_folds(architectures, folds, seed).tolist() == fold.tolist()
    twins = np.array(
        [[a.canonical() == b.canonical() or a.pruned() == b.pruned() for b in architectures] for a in architectures]
    )
    families = np.linalg.matrix_power(twins.astype(np.float64), count) > 0  # twins of twins are held together
    assert all((fold[family] == fold[row]).all() for row, family in enumerate(families))
    sizes = np.bincount(fold, minlength=folds)
    assert sizes.max() - sizes.min() <= families.sum(axis=1).max()


def test_scores_do_not_depend_on_who_is_asked() -> None:
    """What is left out is decided by measurements: the baseline's scores are the same in every predictor's report."""
    architectures = SPACE.sample(60, seed=3)
    costs = measured(60, seed=3, noise=0.5)[1].clip(min=0.01)
    costs[:5] *= 0.01
    table = CostTable.from_rows(
        SPACE, SIZE, make_device("simulated"), list(zip(architectures, costs.tolist(), strict=True))
    )
    reports = [fit_and_report(name, table, config=QUICK.get(name))[1] for name in HERE]
    assert len({report.degenerate for report in reports}) == 1
    for baseline in ("macs", "lookup"):
        assert len({report.baselines[baseline] for report in reports}) == 1


@settings(max_examples=20, deadline=None)
@given(count=st.integers(6, 25), width=st.integers(1, 6), seed=st.integers(0, 999))
def test_a_ridge_is_least_squares_where_the_costs_are_exact(count: int, width: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    design = torch.randn(count + width, width, generator=generator, dtype=torch.float64)
    coefficients = torch.randn(width, generator=generator, dtype=torch.float64)
    ridge = fit_ridge(design, 3.0 + design @ coefficients)
    torch.testing.assert_close(ridge.coefficients, coefficients, rtol=1e-4, atol=1e-5)
    assert float(ridge.base) == pytest.approx(3.0, abs=1e-4)
    assert bool(((ridge.leverages > 0) & (ridge.leverages <= 1 + 1e-9)).all())
    assert float(ridge.leverages.sum()) == pytest.approx(width + 1, abs=0.01)
