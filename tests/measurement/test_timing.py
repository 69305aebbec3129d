from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy import stats

from chronas.errors import UsageError
from chronas.measurement import Plan, in_round, summarise

durations = st.floats(min_value=1e-3, max_value=1e4)
rounds_of_samples = st.lists(st.lists(durations, min_size=1, max_size=6), min_size=2, max_size=6)


@given(rounds_of_samples)
def test_a_latency_is_the_median_over_rounds_with_students_interval(samples: list[list[float]]) -> None:
    latency = summarise(samples, "minimum")
    minima = [min(round_ms) for round_ms in samples]
    assert latency.rounds == tuple(minima)
    assert latency.value == np.median(minima)
    half_ms = stats.t.ppf(0.975, len(minima) - 1) * stats.sem(minima)
    assert latency.high - latency.value == pytest.approx(half_ms, rel=1e-6, abs=1e-9)
    assert latency.value - latency.low == pytest.approx(half_ms, rel=1e-6, abs=1e-9)
    assert latency.half_width_percent == pytest.approx(100 * half_ms / latency.value, rel=1e-6, abs=1e-6)


def test_median_and_p95_are_over_all_samples() -> None:
    latency = summarise([[1.0, 2.0, 3.0], [4.0, 5.0, 106.0]], "median")
    assert latency.rounds == (2.0, 5.0)
    assert latency.median == 3.5
    assert latency.p95 == np.percentile([1, 2, 3, 4, 5, 106], 95)


def test_the_statistic_is_the_one_that_was_asked_for() -> None:
    assert in_round([3.0, 1.0, 9.0], "minimum") == 1.0
    assert in_round([3.0, 1.0, 9.0], "median") == 3.0


@pytest.mark.parametrize(
    "samples", [[], [[1.0]], [[1.0], []], [[1.0], [float("nan")]], [[1.0], [0.0]], [[1.0], [-2.0]]]
)
def test_samples_that_give_no_latency_are_refused(samples: list[list[float]]) -> None:
    with pytest.raises(UsageError):
        summarise(samples, "minimum")


@pytest.mark.parametrize(
    "setting",
    [
        {"rounds": 1},
        {"warmup": 0},
        {"repeats": 0},
        {"rounds": 4, "max_rounds": 3},
        {"statistic": "mean"},
        {"unknown": 1},
    ],
)
def test_plans_that_would_not_hold_are_refused(setting: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Plan.model_validate(setting)


def test_every_setting_of_a_plan_is_described() -> None:
    assert all(field.description for field in Plan.model_fields.values())
