"""Reachability in a cell: the states and edges on a path from its inputs to its output.

The functions work on single cells, on batches, and as polynomials, with Python numbers, numpy arrays or torch tensors.
A present edge is 1, an absent edge is 0, and "or" is 1 - (1 - a)(1 - b). Zeros and ones give exact answers; relaxed
encodings in between give smooth answers with a gradient.

Letters: `E` edges of a cell; `...` any shape, such as a batch.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from chronas.spaces.topologies.topology import Cell

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chronas.spaces.space import Architecture, Space

Value = TypeVar("Value", bound=Any)  # int, NDArray[...] or Tensor[...]


def reached_states(cell: Cell, present: Sequence[Value]) -> list[Value]:
    """For each state, whether an input reaches it.

    Args:
        cell: the graph.
        present: for each of the E edges, 1 if it is present, else 0 [...].
    """
    one = present[0] * 0 + 1
    found: list[Value] = [one] * cell.inputs
    for state in range(cell.inputs, cell.inputs + cell.nodes):
        missed = one
        for edge, (source, target) in enumerate(cell.edges):
            if target == state:
                missed = missed * (1 - present[edge] * found[source])
        found.append(1 - missed)
    return found


def needed_states(cell: Cell, present: Sequence[Value]) -> list[Value]:
    """For each state, whether the cell's output depends on it; arguments as for `reached_states`."""
    zero = present[0] * 0
    found: list[Value] = [zero] * (cell.inputs + cell.nodes)
    for state in reversed(range(cell.inputs + cell.nodes)):
        unused = zero if state in cell.output else zero + 1
        for edge, (source, target) in enumerate(cell.edges):
            if source == state:
                unused = unused * (1 - present[edge] * found[target])
        found[state] = 1 - unused
    return found


def live_edges(cell: Cell, present: Sequence[Value]) -> list[Value]:
    """For each edge, whether it lies on a path from an input to the output; arguments as for `reached_states`."""
    before, after = reached_states(cell, present), needed_states(cell, present)
    return [there * before[source] * after[target] for there, (source, target) in zip(present, cell.edges, strict=True)]


def passes(cell: Cell, present: Sequence[Value]) -> Value:
    """Whether the output depends on any input; arguments as for `reached_states`."""
    states = reached_states(cell, present)
    blocked = present[0] * 0 + 1
    for state in cell.output:
        blocked = blocked * (1 - states[state])
    passed: Value = 1 - blocked
    return passed


# ----
# Structure-aware features: counts of operations in each part of a network, because exact positions matter less.


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
