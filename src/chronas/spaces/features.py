"""Structure-aware features: how often an operation occurs in which part of a network matters more than where."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chronas.spaces.space import Space


def operation_counts(space: Space, labels: Sequence[Hashable]) -> NDArray[np.float64]:
    """How often each operation occurs under each label, as a matrix [F, W] over the slots of an encoding.

    Args:
        space: the space whose slots are counted.
        labels: one label for each decision, for example the name of its cell. F = sum over labels of their operations.
    """
    names = [(labels[d], space.decisions[d].options[o]) for d, o in space.slots]
    rows = {name: row for row, name in enumerate(dict.fromkeys(names))}
    matrix = np.zeros((len(rows), space.width))
    matrix[[rows[name] for name in names], np.arange(space.width)] = 1.0
    return matrix
