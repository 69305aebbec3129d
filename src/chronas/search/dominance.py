"""Which points are beaten, and how crowded the others are (Deb et al., NSGA-II, doi 10.1109/4235.996017).

Letters: `N` points, `K` objectives, all to be small.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]


def front(points: Points) -> NDArray[np.bool_]:
    """[N] which of points [N, K] no other beats: is nowhere larger and somewhere smaller; equal ones stay together."""
    mask = np.zeros(len(points), dtype=np.bool_)
    left = np.lexsort(points.T[::-1])  # in lexical order a point can only be beaten by one before it
    while len(left):
        best = points[left[0]]
        mask[left[(points[left] == best).all(axis=1)]] = True
        left = left[(points[left] < best).any(axis=1)]
    return mask


def ranks(points: Points) -> NDArray[np.int64]:
    """[N] the number of the front that each is on: 0 is beaten by none, 1 by none but those, and so on."""
    found = np.full(len(points), -1)
    rank = 0
    while len(left := np.flatnonzero(found < 0)):
        found[left[front(points[left])]] = rank
        rank += 1
    return found


def crowding(points: Points) -> NDArray[np.float64]:
    """[N] how far the neighbours of each point of one front are apart, added over objectives; infinite at the ends."""
    distance = np.zeros(len(points))
    for values in points.T:
        order = np.argsort(values, kind="stable")
        spread = values[order[-1]] - values[order[0]]
        distance[order[[0, -1]]] = np.inf
        if spread > 0:
            distance[order[1:-1]] += (values[order[2:]] - values[order[:-2]]) / spread
    return distance


def hypervolume(points: Points, reference: tuple[float, float]) -> float:
    """The area between points [N, 2] and a reference point that is beaten by what counts; 0 where nothing beats it."""
    area, height = 0.0, reference[1]
    for cost, other in points[np.lexsort(points.T[::-1])]:
        if cost < reference[0] and other < height:
            area += (reference[0] - cost) * (height - other)
            height = other
    return float(area)
