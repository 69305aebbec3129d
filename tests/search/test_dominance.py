"""Fronts against their definition, and crowding against a case by hand."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from chronas.search.dominance import Points, crowding, front, ranks
from chronas.search.nsga2 import better_first

small = arrays.arrays(
    np.float64, st.tuples(st.integers(1, 12), st.integers(1, 3)), elements=st.integers(0, 4).map(float)
)


def beaten(points: Points) -> list[bool]:
    return [any((q <= p).all() and (q < p).any() for q in points) for p in points]


@given(points=small)
def test_the_front_is_what_nothing_beats(points: Points) -> None:
    assert front(points).tolist() == [not each for each in beaten(points)]


@given(points=small)
def test_each_rank_is_the_front_of_what_the_ranks_before_leave(points: Points) -> None:
    found = ranks(points)
    assert found.min() == 0
    for rank in range(found.max() + 1):
        left = found >= rank
        assert (found[left] == rank).tolist() == front(points[left]).tolist()


def test_crowding_adds_the_gaps_over_the_spread_of_each_objective() -> None:
    points = np.array([[0.0, 4.0], [1.0, 3.0], [4.0, 0.0]])
    assert crowding(points).tolist() == [np.inf, 4 / 4 + 4 / 4, np.inf]
    line = np.array([[0.0], [1.0], [3.0], [10.0]])
    assert crowding(line).tolist() == [np.inf, 0.3, 0.9, np.inf]
    assert crowding(np.ones((3, 2))).tolist()[1] == 0.0


def test_better_means_a_lower_front_and_then_more_room() -> None:
    points = np.array([[2.0, 2.0], [0.0, 4.0], [1.0, 3.9], [1.1, 3.8], [4.0, 0.0], [5.0, 5.0]])
    order = better_first(points)
    assert set(order[:2]) == {1, 4}
    assert order[2:] == [0, 3, 2, 5]
