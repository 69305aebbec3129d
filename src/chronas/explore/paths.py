"""Which choices of a network lie on a path from the image to its answer; the others are there for nothing.

NAS-Bench-201 has cells whose convolutions feed nodes that nothing reads, and cells with zeros on each of their paths.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from chronas.networks import OPERATIONS, Zero
from chronas.spaces import Architecture, Cell, CellTopology, Space


def passes_on(architecture: Architecture) -> bool:
    """Whether the output of each cell depends on its input."""
    topology = architecture.space.topology
    if not isinstance(topology, CellTopology):
        return True
    return all(_reached(architecture, cell) & set(cell.output) for cell in topology.cells)


def live_slots(space: Space, architectures: Sequence[Architecture]) -> NDArray[np.float32]:
    """Encodings [N, W] without the choices that lie on no path through their cell."""
    codes = space.encode(architectures)
    for row, architecture in enumerate(architectures):
        for decision in _dead(architecture):
            first = space.offsets[decision]
            codes[row, first : first + len(space.decisions[decision].options)] = 0
    return codes


def _dead(architecture: Architecture) -> list[int]:
    """The decisions that lie on no path through their cell."""
    topology, dead = architecture.space.topology, []
    for cell in topology.cells if isinstance(topology, CellTopology) else ():
        reached, read = _reached(architecture, cell), set(cell.output)
        for number, (source, target) in reversed(list(enumerate(cell.edges))):
            decision = cell.decision(number)
            if source in reached and target in read and _carries(architecture, decision):
                read.add(source)
            else:
                dead.append(decision)
    return dead


def _reached(architecture: Architecture, cell: Cell) -> set[int]:
    """The states of a cell that depend on its input, inputs among them."""
    reached = set(range(cell.inputs))
    for number, (source, target) in enumerate(cell.edges):
        if source in reached and _carries(architecture, cell.decision(number)):
            reached.add(target)
    return reached


def _carries(architecture: Architecture, decision: int) -> bool:
    """Whether an edge is there and passes anything on."""
    operation = architecture.operation(decision)
    return operation is not None and OPERATIONS[operation] is not Zero
