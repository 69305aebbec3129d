"""The Pareto front: the rows that no other row beats, where all costs are to be small."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from chronas.errors import DataError


def pareto_front(costs: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which rows of `costs` [N, K] are on the front, as a mask [N]; all K costs are minimised.

    A row is beaten by one that is nowhere larger and somewhere smaller, so equal rows are on the front together. Two
    costs take one sort (a million rows in a fraction of a second); more take a pass over what is left for each row of
    the front.

    Raises:
        DataError: the costs are no matrix, have no column, or hold NaN.
    """
    if costs.ndim != 2 or costs.shape[1] == 0:
        raise DataError(f"a Pareto front needs costs as a matrix of rows and at least one column, got {costs.shape}")
    if np.isnan(costs).any():
        raise DataError(f"{int(np.isnan(costs).any(axis=1).sum())} rows of costs hold NaN: leave them out first")
    return _front_of_two(costs) if costs.shape[1] == 2 else _front_of_many(costs)


def _front_of_two(costs: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Of rows with equal first cost, those with the least second are on the front, if it is below all before."""
    mask = np.zeros(len(costs), dtype=np.bool_)
    if not len(costs):
        return mask
    order = np.argsort(costs[:, 0])
    first, second = costs[order, 0], costs[order, 1]
    starts = np.concatenate(([True], first[1:] != first[:-1]))
    least = np.minimum.reduceat(second, np.flatnonzero(starts))
    leading = np.concatenate(([True], least[1:] < np.minimum.accumulate(least)[:-1]))
    group = np.cumsum(starts) - 1
    mask[order] = leading[group] & (second == least[group])
    return mask


def _front_of_many(costs: NDArray[np.float64]) -> NDArray[np.bool_]:
    """In lexical order a row can only be beaten by one before it: the first that is left is on the front."""
    mask = np.zeros(len(costs), dtype=np.bool_)
    left = np.lexsort(costs.T[::-1])
    while len(left):
        best = costs[left[0]]
        equal = (costs[left] == best).all(axis=1)
        mask[left[equal]] = True
        left = left[(costs[left] < best).any(axis=1)]
    return mask
