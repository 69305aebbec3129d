from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from explored import accuracies, latencies, only_collection, plane_of, quantity, write_accuracies, write_table

grid = st.integers(1, 12).map(float) | st.just(float("nan"))
pairs = hnp.arrays(np.float64, st.tuples(st.integers(1, 25), st.just(2)), elements=grid)


@given(pairs=pairs, maximise=st.booleans(), limit=st.integers(0, 14))
def test_the_answer_is_the_best_of_those_within_by_trying_all(pairs: np.ndarray, maximise: bool, limit: int) -> None:
    plane = plane_of(quantity(pairs[:, 0].tolist()), quantity(pairs[:, 1].tolist(), maximise=maximise))
    sign = -1 if maximise else 1
    known = [(sign * goal, cost) for cost, goal in pairs.tolist() if cost == cost and goal == goal]
    inside = [pair for pair in known if pair[1] <= limit]
    best = plane.best(limit)
    assert (best is None) == (not inside)
    if best is not None:
        assert (sign * pairs[best, 1], pairs[best, 0]) == min(inside)
    front = {(sign * goal, cost) for cost, goal in pairs[plane.front].tolist()}
    beaten = [a for a in known if any(b != a and b[0] <= a[0] and b[1] <= a[1] for b in known)]
    assert front == set(known) - set(beaten)
    assert (np.diff(pairs[plane.front, 0]) >= 0).all()


def test_the_upper_end_of_the_interval_must_be_within() -> None:
    plane = plane_of(quantity([2.0, 3.0], high=1.1), quantity([80.0, 90.0], maximise=True))
    assert plane.best(3.29) == 0
    assert plane.best(3.31) == 1
    assert plane.best(2.19) is None


def test_the_slider_spans_all_answers(tmp_path: Path) -> None:
    table = write_table(tmp_path / "a.parquet", latencies(60))
    known = write_accuracies(tmp_path / "accuracy.parquet", accuracies(60))
    collection = only_collection([table], known)
    plane = plane_of(next(iter(collection.costs.values())), collection.accuracies["Accuracy"])
    lowest, highest, first, step = plane.limits()
    assert lowest <= first <= highest and step > 0
    assert plane.best(first) is not None
    assert plane.best(lowest - step) is None
    assert plane.best(lowest + step) is not None
    assert plane.best(highest) == plane.overall() == int(np.argmax(plane.goal.values))


def test_one_network_has_a_slider_too() -> None:
    lowest, highest, first, step = plane_of(quantity([2.0], high=1.05), quantity([80.0], maximise=True)).limits()
    assert lowest < highest and lowest <= first <= highest and 0 < step < highest - lowest + 1e-9


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e5])
def test_any_unit_has_a_slider_of_some_hundred_steps(scale: float) -> None:
    plane = plane_of(quantity([scale * v for v in latencies(60)]), quantity(accuracies(60), maximise=True))
    lowest, highest, first, step = plane.limits()
    assert 20 <= (highest - lowest) / step <= 500
    assert lowest <= first <= highest
