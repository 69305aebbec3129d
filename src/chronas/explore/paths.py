"""Which choices of a network lie on a path from the image to its answer; the others are there for nothing.

NAS-Bench-201 has cells whose convolutions feed nodes that nothing reads, and cells with zeros on each of their paths.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from chronas.spaces import NOTHING, Architecture, CellTopology, Space


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
        reached, read = architecture.reached(cell), set(cell.output)
        for number, (source, target) in reversed(list(enumerate(cell.edges))):
            decision = cell.decision(number)
            if source in reached and target in read and architecture.operation(decision) not in (None, NOTHING):
                read.add(source)
            else:
                dead.append(decision)
    return dead
