"""Features of architectures from which a regression can learn accuracy with few examples.

They are the encoding, the counts of operations, the capacity (MACs, parameters), and the paths of images through each
cell. Paths were found to be more informative than positions (White et al., BANANAS, arXiv 1910.11858). For the paths of
a cell we use their number, the number without any weights (as in a residual connection), the number of operations with
weights on the longest, shortest and mean path, and their SynFlow score: the sum over paths of the product of each
operation's gain, which is the square root of a convolution's fan-in, or 1 without weights. Up to constants this is the
result for an image of ones of the absolute values of random weights at a scale that preserves signals (He et al., arXiv
1502.01852). So it is SynFlow's score (Tanaka et al., arXiv 2006.05467) without a network. Edges that lead nowhere are
pruned first.

Letters: `N` architectures, `F` features.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import nn

from chronas.networks import OpSpec, space_counts
from chronas.spaces import NOTHING, Architecture, Cell, NetworkSize, Space, Topology

NUMBERS = 6  # of features for a cell's paths; the last one is their SynFlow score
PLAIN = 1  # index of the feature for paths without weights


@dataclass(frozen=True)
class Paths:
    """Summary of the paths from a cell's inputs to a state.

    Attributes:
        count: number of paths.
        plain: number of paths without operations with weights.
        steps: operations with weights on all paths together.
        longest: operations with weights on the longest path.
        shortest: operations with weights on the shortest path.
        gain: the sum over paths of the product of their operations' gains.
    """

    count: int = 0
    plain: int = 0
    steps: int = 0
    longest: int = 0
    shortest: int = 0
    gain: float = 0.0

    def through(self, gain: float | None) -> Paths:
        """Each path extended by one operation; the gain is None for an operation without weights."""
        if gain is None:
            return self
        step = int(self.count > 0)
        return Paths(
            self.count,
            0,
            self.steps + step * self.count,
            self.longest + step,
            self.shortest + step,
            self.gain * gain,
        )

    def beside(self, other: Paths) -> Paths:
        """The paths of both together."""
        if not (self.count and other.count):
            return self if self.count else other
        return Paths(
            self.count + other.count,
            self.plain + other.plain,
            self.steps + other.steps,
            max(self.longest, other.longest),
            min(self.shortest, other.shortest),
            self.gain + other.gain,
        )

    def numbers(self) -> list[float]:
        """`NUMBERS` features of similar size."""
        mean = self.steps / self.count if self.count else 0.0
        return [
            np.log1p(self.count),
            np.log1p(self.plain),
            mean,
            float(self.longest),
            float(self.shortest),
            np.log1p(self.gain),
        ]


def architecture_features(
    space: Space, size: NetworkSize, architectures: Sequence[Architecture]
) -> NDArray[np.float64]:
    """Features [N, F] of architectures; architectures with the same graph have the same features.

    Args:
        space: space of the architectures.
        size: size for which MACs and parameters are counted.
        architectures: N architectures.
    """
    pruned = [architecture.pruned() for architecture in architectures]
    codes = space.encode(pruned)
    form = space_counts(space, size)
    sizes = np.log(np.stack([form.macs(codes), form.parameters(codes)], axis=1))
    found = [codes @ space.feature_map().T, sizes]
    found += [np.array([each.numbers() for each in paths]) for paths in _paths(space, size, pruned)]
    return np.concatenate(found, axis=1)


def capacity_features(space: Space, found: NDArray[np.float64]) -> NDArray[np.float64]:
    """The features that grow with network size [N, C]: log MACs and the log SynFlow score of each kind of cell.

    Args:
        space: space of the architectures; a space of layers has no cells, so only MACs.
        found: features from `architecture_features`.
    """
    cells = len(space.topology.cells)
    sizes = found.shape[1] - NUMBERS * cells - 2
    return found[:, [sizes, *(sizes + 1 + NUMBERS * (n + 1) for n in range(cells))]]


def skip_multiplicity(space: Space, found: NDArray[np.float64]) -> NDArray[np.float64]:
    """The log factor by which plain paths multiply the residual stream in each kind of cell, summed [N].

    A plain path has no operation with weights. If a cell's output is the next cell's only input, two plain paths double
    the residual stream in each cell. So the learned branches contribute less with depth. With preprocessing between
    cells, as in DARTS, there is no such stream, and the value is 0.

    Args:
        space: space of the architectures.
        found: features from `architecture_features`.
    """
    cells = space.topology.cells
    first = found.shape[1] - NUMBERS * len(cells)
    streams = [first + NUMBERS * n + PLAIN for n, cell in enumerate(cells) if cell.inputs == len(cell.output) == 1]
    plain = np.expm1(found[:, streams])
    total: NDArray[np.float64] = np.log(np.maximum(plain, 1.0)).sum(axis=1)
    return total


def _paths(space: Space, size: NetworkSize, pruned: Sequence[Architecture]) -> list[list[Paths]]:
    """The paths of each kind of cell, for some pruned architectures."""
    return [[_cell_paths(each, cell, size.width) for each in pruned] for cell in space.topology.cells]


@functools.cache
def _gain(topology: Topology, name: str, channels: int) -> float | None:
    """The gain of an operation: the product of its convolutions' gains; None if it has no weights."""
    operation = topology.operations[name].make(OpSpec(channels))
    weights = [module.weight for module in operation.modules() if isinstance(module, nn.Conv2d)]
    return math.prod(math.sqrt(weight[0].numel()) for weight in weights) if weights else None


def _cell_paths(architecture: Architecture, cell: Cell, channels: int) -> Paths:
    """All paths from the inputs of a cell to its output."""
    states = [Paths(count=1, plain=1, gain=1.0)] * cell.inputs + [Paths()] * cell.nodes
    for edge, (source, target) in sorted(enumerate(cell.edges), key=lambda each: each[1][1]):
        name = architecture.operation(cell.decision(edge))
        if name not in (None, NOTHING):
            gain = _gain(architecture.space.topology, str(name), channels)
            states[target] = states[target].beside(states[source].through(gain))
    found = Paths()
    for state in cell.output:
        found = found.beside(states[state])
    return found
