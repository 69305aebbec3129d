"""How decisions become a graph. Pure data: `networks` and `supernets` have one builder for each kind of topology."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Cell:
    """A small directed graph whose edges carry operations; states are numbered inputs first, then nodes.

    Attributes:
        name: "normal", "reduce", ...
        inputs: number of input states; two means the outputs of the two cells before, each preprocessed to the
            cell's width by ReLU-conv1x1-BN, one means the block before as it is.
        nodes: number of inner states; a node is the sum of its incoming edges.
        edges: (source state, target state), one for each decision, in the order of decisions.
        first: number of the decision that belongs to the first edge.
        output: states that are concatenated along channels to the cell's output.
        stride: stride of the edges that leave an input state; 2 halves the image and doubles the width.
    """

    name: str
    inputs: int
    nodes: int
    edges: tuple[tuple[int, int], ...]
    first: int
    output: tuple[int, ...]
    stride: int = 1

    def decision(self, edge: int) -> int:
        """The number of the decision that chooses the operation of edge number `edge`."""
        return self.first + edge


@dataclass(frozen=True)
class CellTopology:
    """Cells repeated in a chain, between a stem and a head.

    Attributes:
        cells: the kinds of cell that decisions choose.
        layout: depth of the skeleton -> names of the blocks in order; a name is a cell's or "residual" (a fixed
            ResNet basic block of stride 2 that doubles the width).
        stems: the stems that this topology has; "cifar" is conv3x3-BN, "imagenet" divides the size by 8.
        stem_multiplier: channels of the CIFAR stem over the skeleton's width.
        normalised_head: whether BN and ReLU stand before the global pooling.
        auxiliary: whether training may add an auxiliary head after two thirds of the cells.
    """

    cells: tuple[Cell, ...]
    layout: Callable[[int], tuple[str, ...]]
    stems: tuple[str, ...]
    stem_multiplier: int
    normalised_head: bool
    auxiliary: bool


@dataclass(frozen=True)
class LayerTopology:
    """A chain of blocks, one decision each, between a stem and a head.

    Attributes:
        width: channels of the published stem; with another width all channels are in proportion, and even.
        widths: output channels of each published block.
        heads: channels of the published last 1x1 convolution, by the skeleton's stem.
        strides: of the stem and then of each block, by the skeleton's stem.
    """

    width: int
    widths: tuple[int, ...]
    heads: Mapping[str, int]
    strides: Mapping[str, tuple[int, ...]]

    @property
    def stems(self) -> tuple[str, ...]:
        """The stems that this topology has."""
        return tuple(self.strides)


Topology = CellTopology | LayerTopology
