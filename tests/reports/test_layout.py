from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression

from chronas.reports.draw import Layered, crossings, positions, reduce_crossings, spread

NUMBERS = st.lists(st.floats(-100, 100), min_size=1, max_size=12)


@given(NUMBERS, st.floats(0, 30))
def test_spread_is_the_least_squares_answer_with_order_and_distances(wanted: list[float], distance: float) -> None:
    got = spread(wanted, [distance] * (len(wanted) - 1))

    assert all(b - a >= distance - 1e-6 for a, b in itertools.pairwise(got))
    shifts = distance * np.arange(len(wanted))
    best = IsotonicRegression().fit_transform(shifts, np.array(wanted) - shifts) if distance > 1e-3 else None
    if best is not None:
        assert got == pytest.approx(best + shifts, abs=1e-6)


def test_spread_leaves_what_already_fits() -> None:
    assert spread([0.0, 10.0, 30.0], [5.0, 20.0]) == [0.0, 10.0, 30.0]


def twisted() -> Layered:
    """Two ranks of three boxes, each joined to the one opposite: three crossings, none of them necessary."""
    layered = Layered()
    upper = [layered.add(0, 10.0) for _ in range(3)]
    lower = [layered.add(1, 10.0) for _ in range(3)]
    layered.links += zip(upper, reversed(lower), strict=True)
    return layered


def test_needless_crossings_are_removed() -> None:
    layered = twisted()
    assert crossings(layered) == 3
    reduce_crossings(layered)
    assert crossings(layered) == 0


def test_boxes_of_a_rank_keep_their_gap_and_links_without_crossings_are_straight() -> None:
    layered = twisted()
    reduce_crossings(layered)
    centres = positions(layered, gap=4.0)

    for rank in layered.ranks:
        assert all(centres[b] - centres[a] >= 14.0 - 1e-9 for a, b in itertools.pairwise(rank))
    assert all(centres[a] == pytest.approx(centres[b], abs=0.01) for a, b in layered.links)
    assert min(centres) == pytest.approx(5.0)
