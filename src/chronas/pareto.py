"""Pareto fronts: non-dominated points, their ranks, crowding distance and hypervolume; all objectives are minimised.

Ranks and crowding distance are those of NSGA-II (Deb et al. 2002, doi 10.1109/4235.996017).

Letters: `N` points, `K` objectives.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from chronas.errors import DataError

Points = NDArray[np.float64]


def non_dominated(points: Points) -> NDArray[np.bool_]:
    """The Pareto front of points [N, K] as a mask [N].

    A point is dominated by another that is no larger in any objective and smaller in at least one. So equal points are
    on the front together. Two objectives take one sort: a million points in a fraction of a second. More objectives
    take one pass over the remaining points for each point of the front.

    Raises:
        DataError: the points are not a matrix, have no column, or hold NaN.
    """
    if points.ndim != 2 or points.shape[1] == 0:
        raise DataError(f"a Pareto front needs costs as a matrix of rows and at least one column, got {points.shape}")
    if np.isnan(points).any():
        raise DataError(f"{int(np.isnan(points).any(axis=1).sum())} rows of costs hold NaN: leave them out first")
    return _front_of_two(points) if points.shape[1] == 2 else _front_of_many(points)


def non_dominated_ranks(points: Points) -> NDArray[np.int64]:
    """The number of each point's front [N]: 0 is the Pareto front, 1 is the front once that is removed, and so on."""
    found = np.full(len(points), -1)
    rank = 0
    while len(left := np.flatnonzero(found < 0)):
        found[left[non_dominated(points[left])]] = rank
        rank += 1
    return found


def crowding_distance(points: Points) -> NDArray[np.float64]:
    """The distance between each point's neighbours on a front, summed over objectives [N]; infinite at the ends."""
    distance = np.zeros(len(points))
    for values in points.T:
        order = np.argsort(values, kind="stable")
        spread = values[order[-1]] - values[order[0]]
        distance[order[[0, -1]]] = np.inf
        if spread > 0:
            distance[order[1:-1]] += (values[order[2:]] - values[order[:-2]]) / spread
    return distance


def hypervolume(points: Points, reference: tuple[float, float]) -> float:
    """The area that points [N, 2] dominate, up to a reference point; 0 if no point dominates it."""
    area, height = 0.0, reference[1]
    for cost, other in points[np.lexsort(points.T[::-1])]:
        if cost < reference[0] and other < height:
            area += (reference[0] - cost) * (height - other)
            height = other
    return float(area)


def _front_of_two(points: Points) -> NDArray[np.bool_]:
    """Group points by the first objective; a group's smallest second objective must be below all earlier groups."""
    mask = np.zeros(len(points), dtype=np.bool_)
    if not len(points):
        return mask
    order = np.argsort(points[:, 0])
    first, second = points[order, 0], points[order, 1]
    starts = np.concatenate(([True], first[1:] != first[:-1]))
    least = np.minimum.reduceat(second, np.flatnonzero(starts))
    leading = np.concatenate(([True], least[1:] < np.minimum.accumulate(least)[:-1]))
    group = np.cumsum(starts) - 1
    mask[order] = leading[group] & (second == least[group])
    return mask


def _front_of_many(points: Points) -> NDArray[np.bool_]:
    """In lexical order only an earlier point can dominate a later one, so the first remaining point is on the front."""
    mask = np.zeros(len(points), dtype=np.bool_)
    left = np.lexsort(points.T[::-1])
    while len(left):
        best = points[left[0]]
        equal = (points[left] == best).all(axis=1)
        mask[left[equal]] = True
        left = left[(points[left] < best).any(axis=1)]
    return mask
