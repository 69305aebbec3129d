"""What the accuracy of an architecture depends on, as numbers that a regression can learn from few examples.

Beside the encoding and the counts of operations: how much there is to learn with (MACs, parameters), and how images get
through each cell. Paths were found to say more than places (White et al., BANANAS, arXiv 1910.11858); of a cell's paths
we take how many there are, how many pass no weights at all, as a residual connection does, how many operations with
weights the longest, the shortest and the mean one pass, and their gain: the sum over paths of the product of each
operation's gain, which is the square root of a convolution's fan-in, and 1 without weights. Up to
constants that is what random weights of the size that keeps a signal as it is (He et al., arXiv 1502.01852), taken by
their absolute values, make of an image of ones: SynFlow's score (Tanaka et al., arXiv 2006.05467) without a network.
Edges that lead nowhere are pruned first.

Letters: `N` architectures, `F` architecture_features.
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

NUMBERS = 6  # that tell of a cell's paths; the last one is their gain
PLAIN = 1  # which of them tells of plain paths


@dataclass(frozen=True)
class Paths:
    """The paths from a cell's inputs to a state, by how many operations with weights they pass.

    Attributes:
        count: of paths.
        plain: of paths that pass none.
        steps: passed by all of them together.
        longest: passed by the longest.
        shortest: passed by the shortest.
        gain: the sum over paths of the product of their operations' gains.
    """

    count: int = 0
    plain: int = 0
    steps: int = 0
    longest: int = 0
    shortest: int = 0
    gain: float = 0.0

    def through(self, gain: float | None) -> Paths:
        """Each path with one more operation; None is the gain of one without weights."""
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
        """The paths of both."""
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
        """`NUMBERS` numbers of about one size."""
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
    """The architecture_features [N, F] of architectures; the same graph has the same ones.

    Args:
        space: of the architectures.
        size: in which MACs and parameters are counted.
        architectures: N of them.
    """
    pruned = [architecture.pruned() for architecture in architectures]
    codes = space.encode(pruned)
    form = space_counts(space, size)
    sizes = np.log(np.stack([form.macs(codes), form.parameters(codes)], axis=1))
    found = [codes @ space.feature_map().T, sizes]
    found += [np.array([each.numbers() for each in paths]) for paths in _paths(space, size, pruned)]
    return np.concatenate(found, axis=1)


def capacity_features(space: Space, found: NDArray[np.float64]) -> NDArray[np.float64]:
    """The features that larger networks have more of [N, C]: the logarithms of MACs and of each cell's gain.

    Args:
        space: of the architectures; one of layers has no cells, and so MACs alone.
        found: what `architecture_features` gave.
    """
    cells = len(space.topology.cells)
    sizes = found.shape[1] - NUMBERS * cells - 2
    return found[:, [sizes, *(sizes + 1 + NUMBERS * (n + 1) for n in range(cells))]]


def skip_multiplicity(space: Space, found: NDArray[np.float64]) -> NDArray[np.float64]:
    """How much each cell multiplies what passes no weights [N]: the logarithm of its plain paths.

    Where cells end in one sum and the next begins with it, two plain paths double the stream in each cell, and what a
    block of 1 adds is lost in 2, 4, 8: the deeper the network the less its operations count. With preprocessing
    between cells, as in DARTS, there is no such stream, and this is 0.

    Args:
        space: of the architectures.
        found: what `architecture_features` gave.
    """
    cells = space.topology.cells
    first = found.shape[1] - NUMBERS * len(cells)
    streams = [first + NUMBERS * n + PLAIN for n, cell in enumerate(cells) if cell.inputs == len(cell.output) == 1]
    plain = np.expm1(found[:, streams])
    total: NDArray[np.float64] = np.log(np.maximum(plain, 1.0)).sum(axis=1)
    return total


def _paths(space: Space, size: NetworkSize, pruned: Sequence[Architecture]) -> list[list[Paths]]:
    """The paths of each kind of cell in each of some pruned architectures."""
    return [[_cell_paths(each, cell, size.width) for each in pruned] for cell in space.topology.cells]


@functools.cache
def _gain(topology: Topology, name: str, channels: int) -> float | None:
    """The gain of an operation: the product of its convolutions'; None where it has no weights."""
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
