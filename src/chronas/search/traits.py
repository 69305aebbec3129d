"""What the accuracy of an architecture depends on, as numbers that a regression can learn from few examples.

Beside the encoding and the counts of operations: how much there is to learn with (MACs, parameters), and how images get
through each cell. Paths were found to say more than places (White et al., BANANAS, arXiv 1910.11858); of a cell's paths
we take how many there are, how many pass no weights at all, as a residual connection does, and how many operations
with weights the longest, the shortest and the mean one pass. Edges that lead nowhere are pruned first.

Letters: `N` architectures, `F` traits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chronas.networks import OPERATIONS, Zero, closed_form
from chronas.spaces import Architecture, Cell, CellTopology, Skeleton, Space


@dataclass(frozen=True)
class Paths:
    """The paths from a cell's inputs to a state, by how many operations with weights they pass.

    Attributes:
        count: of paths.
        plain: of paths that pass none.
        steps: passed by all of them together.
        longest: passed by the longest.
        shortest: passed by the shortest.
    """

    count: int = 0
    plain: int = 0
    steps: int = 0
    longest: int = 0
    shortest: int = 0

    def through(self, *, weighted: bool) -> Paths:
        """Each path with one more operation."""
        step = int(weighted and self.count > 0)
        plain = 0 if weighted else self.plain
        return Paths(self.count, plain, self.steps + step * self.count, self.longest + step, self.shortest + step)

    def beside(self, other: Paths) -> Paths:
        """The paths of both."""
        if not (self.count and other.count):
            return self if self.count else other
        return Paths(
            self.count + other.count,
            self.plain + other.plain,
            self.steps + other.steps,
            max(self.longest, other.longest),
            min(self.shortest, other.shortest),
        )

    def numbers(self) -> list[float]:
        """Five numbers of about one size."""
        mean = self.steps / self.count if self.count else 0.0
        return [np.log1p(self.count), np.log1p(self.plain), mean, float(self.longest), float(self.shortest)]


def traits(space: Space, skeleton: Skeleton, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
    """The traits [N, F] of architectures; the same graph has the same ones.

    Args:
        space: of the architectures.
        skeleton: in which MACs and parameters are counted.
        architectures: N of them.
    """
    pruned = [architecture.pruned() for architecture in architectures]
    codes = space.encode(pruned)
    form = closed_form(space, skeleton)
    sizes = np.log(np.stack([form.macs(codes), form.parameters(codes)], axis=1))
    found = [codes @ space.feature_map().T, sizes]
    if isinstance(space.topology, CellTopology):
        weighted = _weighted(space, form.slot_parameters)
        found += [
            np.array([_cell_paths(each, cell, weighted).numbers() for each in pruned]) for cell in space.topology.cells
        ]
    return np.concatenate(found, axis=1)


def log_macs(space: Space, skeleton: Skeleton, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
    """The natural logarithm of MACs [N], of what is left after pruning."""
    codes = space.encode([architecture.pruned() for architecture in architectures])
    found: NDArray[np.float64] = np.log(closed_form(space, skeleton).macs(codes))
    return found


def _weighted(space: Space, slot_parameters: NDArray[np.float64]) -> set[tuple[int, int]]:
    """The options with weights, each as (decision, option)."""
    return {slot for slot, parameters in zip(space.slots, slot_parameters, strict=True) if parameters > 0}


def _cell_paths(architecture: Architecture, cell: Cell, weighted: set[tuple[int, int]]) -> Paths:
    """All paths from the inputs of a cell to its output."""
    states = [Paths(count=1, plain=1)] * cell.inputs + [Paths()] * cell.nodes
    for edge, (source, target) in sorted(enumerate(cell.edges), key=lambda each: each[1][1]):
        decision = cell.decision(edge)
        choice, name = architecture.choices[decision], architecture.operation(decision)
        if choice is not None and name is not None and OPERATIONS[name] is not Zero:
            passed = states[source].through(weighted=(decision, choice) in weighted)
            states[target] = states[target].beside(passed)
    found = Paths()
    for state in cell.output:
        found = found.beside(states[state])
    return found
