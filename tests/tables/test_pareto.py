from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from chronas.errors import DataError
from chronas.tables import pareto_front

few_values = st.sampled_from([0.0, 1.0, 2.0, 3.0, 4.0, np.inf])
matrices = st.tuples(st.integers(0, 25), st.integers(1, 4)).flatmap(
    lambda shape: arrays(float, shape, elements=few_values)
)


@given(matrices)
def test_the_front_is_what_no_row_beats(costs: np.ndarray) -> None:
    beaten = [any((other <= row).all() and (other < row).any() for other in costs) for row in costs]
    assert pareto_front(costs).tolist() == [not lost for lost in beaten]


def test_a_million_rows_of_two_costs_take_less_than_a_second() -> None:
    generator = np.random.default_rng(0)
    angle = generator.uniform(0, np.pi / 2, 1_000_000)
    for costs in (generator.random((1_000_000, 2)), 2 - np.stack([np.cos(angle), np.sin(angle)], axis=1)):
        took_s = []
        for _ in range(3):
            start_s = time.process_time()
            mask = pareto_front(costs)
            took_s.append(time.process_time() - start_s)
        assert mask.any() and min(took_s) <= 1.0


@pytest.mark.parametrize("costs", [np.zeros(3), np.zeros((3, 0)), np.array([[1.0, np.nan]])])
def test_what_has_no_front_is_refused(costs: np.ndarray) -> None:
    with pytest.raises(DataError):
        pareto_front(costs)
