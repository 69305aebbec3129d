"""Fronts and ranks against their definition, crowding and hypervolume against cases by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from chronas.errors import DataError
from chronas.pareto import Points, crowding_distance, hypervolume, non_dominated, non_dominated_ranks

few_values = st.sampled_from([0.0, 1.0, 2.0, 3.0, 4.0, np.inf])
shapes = st.tuples(st.integers(0, 25), st.integers(1, 4))
matrices = arrays.arrays(np.float64, shapes, elements=few_values)


def dominated(points: Points) -> list[bool]:
    return [any((q <= p).all() and (q < p).any() for q in points) for p in points]


@given(points=matrices)
def test_the_front_is_what_nothing_dominates(points: Points) -> None:
    assert non_dominated(points).tolist() == [not each for each in dominated(points)]


@given(points=matrices.filter(len))
def test_each_rank_is_the_front_of_what_the_ranks_before_leave(points: Points) -> None:
    found = non_dominated_ranks(points)
    assert found.min() == 0
    for rank in range(found.max() + 1):
        left = found >= rank
        assert (found[left] == rank).tolist() == non_dominated(points[left]).tolist()


@pytest.mark.parametrize("points", [np.zeros(3), np.zeros((3, 0)), np.array([[1.0, np.nan]])])
def test_points_without_a_front_are_refused(points: Points) -> None:
    with pytest.raises(DataError):
        non_dominated(points)


def test_crowding_adds_the_gaps_over_the_spread_of_each_objective() -> None:
    points = np.array([[0.0, 4.0], [1.0, 3.0], [4.0, 0.0]])
    assert crowding_distance(points).tolist() == [np.inf, 4 / 4 + 4 / 4, np.inf]
    line = np.array([[0.0], [1.0], [3.0], [10.0]])
    assert crowding_distance(line).tolist() == [np.inf, 0.3, 0.9, np.inf]
    assert crowding_distance(np.ones((3, 2))).tolist()[1] == 0.0


def test_hypervolume_is_the_area_up_to_the_reference() -> None:
    points = np.array([[1.0, 3.0], [2.0, 2.0], [2.0, 2.5], [5.0, 0.0]])
    assert hypervolume(points, (4.0, 4.0)) == 3.0 * 1.0 + 2.0 * 1.0
    assert hypervolume(points, (1.0, 4.0)) == 0.0
