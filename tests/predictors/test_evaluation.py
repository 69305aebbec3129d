"""The report: scores against scikit-learn and scipy, honest folds, degenerate networks, tables that are too small."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
from scipy import stats
from sklearn.metrics import mean_absolute_percentage_error, root_mean_squared_error

from chronas.devices import make_device
from chronas.errors import DataError, UsageError
from chronas.measurement import Plan, run_campaign
from chronas.predictors import PredictorReport, Scores, fit_and_report
from chronas.predictors.evaluation import assign_folds
from chronas.spaces import NetworkSize, make_space
from chronas.tables import CostTable
from predictors_here import EVERY_PREDICTOR, QUICK

SPACE = make_space("nasbench201")
SIZE = NetworkSize(input_shape=(3, 16, 16), outputs=10, width=8, depth=1)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> CostTable:
    """60 networks, measured with some noise."""
    journal = tmp_path_factory.mktemp("campaign") / "journal.sqlite"
    run_campaign(make_device("simulated"), SIZE, SPACE.sample(60, seed=0), Plan(), journal)
    return CostTable.from_journal(journal)


def made(costs: list[float]) -> CostTable:
    rows = list(zip(SPACE.sample(len(costs), seed=0), costs, strict=True))
    return CostTable.from_rows(SPACE, SIZE, make_device("simulated"), rows)


def test_scores_are_those_of_other_libraries() -> None:
    generator = np.random.default_rng(0)
    measured = generator.uniform(5, 20, 300)
    predicted = measured * generator.normal(1, 0.08, 300)
    scores = Scores.of(measured, predicted)
    assert scores.mape_percent == pytest.approx(100 * mean_absolute_percentage_error(measured, predicted))
    assert scores.rmse == pytest.approx(root_mean_squared_error(measured, predicted))
    assert scores.kendall == pytest.approx(stats.kendalltau(measured, predicted).statistic, abs=1e-3)
    assert scores.spearman == pytest.approx(stats.spearmanr(measured, predicted).statistic, abs=1e-3)
    close = np.abs(predicted / measured - 1)
    assert scores.within_5_percent == pytest.approx(100 * np.mean(close <= 0.05))
    assert scores.within_10_percent == pytest.approx(100 * np.mean(close <= 0.1))


def test_rounding_errors_are_no_ranking_and_constant_predictions_rank_nothing() -> None:
    measured = np.array([1.0, 1.0, 2.0, 2.0, 3.0])
    assert Scores.of(measured, measured + 1e-9 * np.array([1, -1, 2, -2, 0])).kendall == pytest.approx(1.0)
    constant = Scores.of(measured, np.full(5, 2.0))
    assert (constant.kendall, constant.spearman) == (0.0, 0.0)


@pytest.mark.parametrize("name", EVERY_PREDICTOR)
def test_the_report_says_how_it_does_on_networks_it_has_not_seen(name: str, table: CostTable) -> None:
    predictor, report = fit_and_report(name, table, config=QUICK.get(name), seed=3)
    assert predictor.name == report.predictor == name
    assert list(report.architectures) == [str(a) for a in table.architectures()]
    assert list(report.measured) == table.costs().tolist()
    assert report.scores == Scores.of(table.costs(), np.array(report.predicted))
    assert set(report.baselines) == {"macs", "lookup"}
    assert report.baselines.get(name, report.scores) == report.scores
    assert report.repeatability == table.repeatability()
    assert report.degenerate == ()
    half_width = 1.6449 * np.array(report.predicted_std)
    inside = np.abs(np.array(report.predicted) - table.costs()) <= half_width
    assert report.coverage_90_percent == pytest.approx(100 * inside.mean())
    assert 60 <= report.coverage_90_percent <= 100
    seen = predictor.predict(SPACE.encode(table.architectures())).mean
    assert not np.allclose(seen, report.predicted, rtol=1e-7)
    assert PredictorReport.from_json(json.loads(json.dumps(report.to_json(), allow_nan=False))) == report
    assert fit_and_report(name, table, config=QUICK.get(name), seed=3)[1] == report


def test_a_costs_own_row_has_no_part_in_its_prediction(table: CostTable) -> None:
    costs = table.costs().tolist()
    before = fit_and_report("lookup", made(costs))[1]
    costs[11] *= 1.9
    after = fit_and_report("lookup", made(costs))[1]
    assert after.predicted[11] == before.predicted[11]
    assert after.predicted != before.predicted


def test_isomorphic_networks_share_a_fold_and_folds_are_even() -> None:
    architectures = SPACE.sample(2000, seed=0)
    fold = assign_folds(architectures, 5, seed=0)
    twins: dict[object, set[int]] = {}
    for architecture, number in zip(architectures, fold, strict=True):
        twins.setdefault(("isomorphic", architecture.canonical()), set()).add(int(number))
        twins.setdefault(("the same graph", architecture.pruned()), set()).add(int(number))
    assert len(twins) < 2 * 2000 and all(len(numbers) == 1 for numbers in twins.values())
    assert np.bincount(fold).max() < 1.2 * np.bincount(fold).min()
    assert (fold != assign_folds(architectures, 5, seed=1)).any()


def test_degenerate_networks_are_flagged_left_out_of_the_scores_and_not_clamped(shared_data) -> None:
    frame = pl.read_parquet(shared_data / "nasbench201" / "latency_help.parquet").sample(300, seed=0)
    architectures = [SPACE.parse(text) for text in frame["arch_str"]]
    rows = list(zip(architectures, frame["raspi4_ms"].to_list(), strict=True))
    report = fit_and_report("lookup", CostTable.from_rows(SPACE, SIZE, make_device("simulated"), rows))[1]
    costs, predicted = np.array(report.measured), np.array(report.predicted)
    flagged = np.isin(report.architectures, report.degenerate)
    assert flagged.any() and flagged.tolist() == (costs < 0.1 * np.median(costs)).tolist()
    assert predicted[~flagged].min() < 0, "a prediction below zero is an error, not a reason to be left out"
    assert report.scores == Scores.of(costs[~flagged], predicted[~flagged])
    assert Scores.of(costs, predicted).mape_percent > 10 * report.scores.mape_percent


def test_tables_that_teach_nothing_are_refused(table: CostTable) -> None:
    with pytest.raises(DataError, match="lpm with 5 folds needs 25 networks, got 12: measure 13 more"):
        fit_and_report("lpm", made(table.costs()[:12].tolist()))
    with pytest.raises(DataError, match="macs with 3 folds needs 9 networks, got 8"):
        fit_and_report("macs", made(table.costs()[:8].tolist()), folds=3)
    with pytest.raises(DataError, match="all 30 costs are 2 ms"):
        fit_and_report("lookup", made([2.0] * 30))
    with pytest.raises(UsageError, match="at least 2 folds, got 1"):
        fit_and_report("lookup", table, folds=1)
    with pytest.raises(UsageError, match="config of its own"):
        fit_and_report("lookup", table, config=QUICK["lpm"])


def test_a_baseline_that_needs_more_networks_is_left_out(table: CostTable) -> None:
    report = fit_and_report("macs", made(table.costs()[:12].tolist()))[1]
    assert set(report.baselines) == {"macs"}
    assert set(fit_and_report("macs", made(table.costs()[:15].tolist()))[1].baselines) == {"macs", "lookup"}


def test_a_damaged_report_is_refused(table: CostTable) -> None:
    content = fit_and_report("macs", table)[1].to_json()
    for wrong in (
        {},
        content | {"more": 1},
        {key: value for key, value in content.items() if key != "scores"},
        content | {"scores": {"kendall": 1.0}},
        content | {"baselines": []},
        content | {"repeatability": None},
    ):
        with pytest.raises(DataError, match="fit the predictor again"):
            PredictorReport.from_json(wrong)
