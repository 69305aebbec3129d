"""The learning curve: from few networks to half of them, by fits that see no network that they are judged on."""

from __future__ import annotations

import numpy as np
import pytest

from chronas.devices import make_device
from chronas.networks import space_counts
from chronas.predictors import PredictorReport, fit_and_report, fit_on_samples
from chronas.predictors.evaluation import learning_curve
from chronas.spaces import NetworkSize, make_space
from chronas.tables import CostTable

SPACE = make_space("nasbench201")
SIZE = NetworkSize(input_shape=(3, 16, 16), outputs=10, width=8, depth=1)


@pytest.fixture(scope="module")
def table() -> CostTable:
    """A cost that a look-up does not learn at once: the places of 200 networks, with noise."""
    architectures = SPACE.sample(200, seed=0)
    macs = space_counts(SPACE, SIZE).macs(SPACE.encode(architectures)) / 1e6
    costs = (1 + macs) * np.random.default_rng(0).normal(1, 0.05, 200)
    return CostTable.from_rows(SPACE, SIZE, make_device("simulated"), list(zip(architectures, costs, strict=True)))


def test_each_fit_takes_the_first_networks_and_is_judged_on_others() -> None:
    seen: list[tuple[list[int], list[int]]] = []

    def predict(rows: np.ndarray, judged: np.ndarray) -> np.ndarray:
        seen.append((rows.tolist(), judged.tolist()))
        return costs[judged] * (1 + 1 / len(rows))

    costs = np.linspace(1, 2, 30)
    rows, judged = np.arange(20, 0, -1), np.arange(21, 30)
    points = learning_curve(rows, judged, costs, predict, minimum=2)
    assert [point.networks for point in points] == [2, 5, 10]
    assert [point.mape_percent for point in points] == pytest.approx([50, 20, 10])
    assert seen == [(rows[:size].tolist(), judged.tolist()) for size in (2, 5, 10)]
    costs[rows[:2]] = 1.0
    assert [point.networks for point in learning_curve(rows, judged, costs, predict, minimum=2)] == [5, 10]


def test_reports_have_it_and_more_networks_are_better(table: CostTable) -> None:
    report = fit_and_report("lookup", table)[1]
    assert [point.networks for point in report.curve] == [10, 20, 40, 80]
    assert report.curve[-1].mape_percent < report.curve[0].mape_percent
    assert PredictorReport.from_json(report.to_json()) == report
    old = {key: value for key, value in report.to_json().items() if key != "curve"}
    assert PredictorReport.from_json(old).curve == ()
    sampled = fit_on_samples("transfer", table, samples=24)[1]
    assert [point.networks for point in sampled.curve] == [3, 6, 12]
