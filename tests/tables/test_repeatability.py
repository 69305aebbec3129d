"""Repeatability is what two independent halves of the rounds say of each other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronas.tables import Repeatability

latencies = st.lists(st.lists(st.floats(0.1, 100.0), min_size=1, max_size=6), max_size=12)


@given(rounds=latencies, factor=st.sampled_from([0.001, 2.0, 1000.0]))
def test_the_unit_of_time_does_not_matter(rounds: list[list[float]], factor: float) -> None:
    one, other = Repeatability.of(rounds), Repeatability.of([[factor * value for value in each] for each in rounds])
    assert other.networks == one.networks == sum(len(each) > 1 for each in rounds)
    assert other.median_difference_percent == (
        None if one.median_difference_percent is None else pytest.approx(one.median_difference_percent, abs=1e-6)
    )


@given(rounds=latencies)
def test_numbers_are_in_their_range_or_absent(rounds: list[list[float]]) -> None:
    found = Repeatability.of(rounds)
    assert (found.kendall is None) == (found.spearman is None)
    assert found.kendall is None or -1 <= found.kendall <= 1
    assert (found.median_difference_percent is None) == (found.networks == 0)
    assert found.median_difference_percent is None or 0 <= found.median_difference_percent <= 200


@given(values=st.lists(st.floats(0.1, 100.0), min_size=3, max_size=12, unique=True), rounds=st.integers(2, 6))
def test_a_machine_that_never_wavers_repeats_perfectly(values: list[float], rounds: int) -> None:
    found = Repeatability.of([[value] * rounds for value in values])
    assert (found.kendall, found.spearman) == (pytest.approx(1.0), pytest.approx(1.0))
    assert found.median_difference_percent == 0


@given(values=st.lists(st.floats(1.0, 100.0), min_size=3, max_size=12, unique=True))
def test_networks_that_were_measured_once_have_no_say(values: list[float]) -> None:
    twice = [[value, 1.1 * value] for value in values]
    assert Repeatability.of([*twice, [5.0], [7.0]]) == Repeatability.of(twice)
    assert Repeatability.of(twice).median_difference_percent == pytest.approx(200 * 0.1 / 2.1)


def test_one_slow_round_in_five_does_not_decide() -> None:
    rounds = [[value, value, 50 * value, value, value] for value in (1.0, 2.0, 3.0, 4.0)]
    found = Repeatability.of(rounds)
    assert found.kendall == pytest.approx(1.0)
    assert found.median_difference_percent == 0


def test_noise_without_any_difference_between_networks_does_not_rank() -> None:
    noise = np.random.default_rng(0).normal(10.0, 1.0, (300, 4))
    kendall = Repeatability.of(noise.tolist()).kendall
    assert kendall is not None
    assert abs(kendall) < 0.12
