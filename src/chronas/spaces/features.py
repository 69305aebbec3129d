"""Structure-aware features: counts of operations in each part of a network, because exact positions matter less."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from chronas.spaces.topologies.reachability import live_edges

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chronas.spaces.space import Architecture, Space


def operation_counts(space: Space, labels: Sequence[Hashable]) -> NDArray[np.float64]:
    """Counts of each operation under each label, as a matrix [F, W] over the slots of an encoding.

    Args:
        space: the space whose slots are counted.
        labels: one label for each decision, for example the name of its cell. F = sum over labels of their operations.
    """
    names = [(labels[d], space.decisions[d].options[o]) for d, o in space.slots]
    rows = {name: row for row, name in enumerate(dict.fromkeys(names))}
    matrix = np.zeros((len(rows), space.encoding_length))
    matrix[[rows[name] for name in names], np.arange(space.encoding_length)] = 1.0
    return matrix


def live_codes(space: Space, architectures: Sequence[Architecture]) -> NDArray[np.float32]:
    """Encodings [N, W] without the choices on edges that lie on no path through their cell."""
    codes = space.encode(architectures)
    for cell in space.topology.cells:
        present = np.array([architecture.present(cell) for architecture in architectures]).reshape(-1, len(cell.edges))
        for edge, kept in enumerate(live_edges(cell, list(present.T))):
            first = space.offsets[cell.decision(edge)]
            codes[:, first : first + len(space.decisions[cell.decision(edge)].options)] *= kept[:, None]
    return codes
