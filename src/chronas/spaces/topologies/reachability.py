"""What lies on a path from a cell's inputs to its output: for single cells, for many at once, and as polynomials.

One code serves Python numbers, numpy arrays and torch tensors: edges that are there are 1, others 0, and "or" is
1 - (1 - a)(1 - b). Zeros and ones give exact answers; relaxed encodings between them give smooth ones with a gradient.

Letters: `E` edges of a cell; `...` any shape, such as a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from chronas.spaces.topologies.topology import Cell

Value = TypeVar("Value", bound=Any)  # int, NDArray[...] or Tensor[...]


def reached_states(cell: Cell, present: Sequence[Value]) -> list[Value]:
    """For each state, whether an input reaches it.

    Args:
        cell: the graph.
        present: for each of the E edges, whether it is there [...].
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
    """For each state, whether the cell's output depends on it; arguments as of `reached_states`."""
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
    """For each edge, whether it lies on a path from an input to the output; arguments as of `reached_states`."""
    before, after = reached_states(cell, present), needed_states(cell, present)
    return [there * before[source] * after[target] for there, (source, target) in zip(present, cell.edges, strict=True)]


def passes(cell: Cell, present: Sequence[Value]) -> Value:
    """Whether anything of the inputs comes through to the output; arguments as of `reached_states`."""
    states = reached_states(cell, present)
    blocked = present[0] * 0 + 1
    for state in cell.output:
        blocked = blocked * (1 - states[state])
    passed: Value = 1 - blocked
    return passed
