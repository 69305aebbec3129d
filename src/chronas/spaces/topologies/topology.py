"""The contract of a topology: how the decisions of a space become a network, and what follows from its kind of graph.

A topology of a user's own is a subclass in a file outside of chronas. It writes `plan`, `network` and, for searches
with shared weights, `supernet`. The other methods have defaults that are right for any network, and slower than they
could be. Measuring, predicting, searching, training, exporting and reporting ask these methods alone: nothing asks for
the type of a topology.

A topology is imported without torch: methods import what they need of `networks` and `supernets` when they are called.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from chronas.errors import UsageError

if TYPE_CHECKING:
    from torch import nn

    from chronas.networks import SpaceWork
    from chronas.spaces.operations import Operation
    from chronas.spaces.size import NetworkSize
    from chronas.spaces.space import Architecture, Space
    from chronas.supernets import Supernet


@dataclasses.dataclass(frozen=True)
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


class Topology(ABC):
    """How decisions become a graph; methods in the order in which a network comes to be.

    Attributes:
        stems: the values that `NetworkSize.stem` can have.
        operations: what is known of the options of its decisions, by name; others are drawn grey.
        cells: the graphs of which decisions are the edges, for a topology that repeats such graphs; empty for others.
        small_depth: of networks that train in minutes on a CPU, for presets.
        partial_channels: whether its supernet can send a part of the channels around the operations (PC-DARTS).
    """

    stems: tuple[str, ...] = ("cifar",)
    operations: Mapping[str, Operation] = {}
    cells: tuple[Cell, ...] = ()
    partial_channels: bool = False
    small_depth: int = 1

    def check(self, space: Space, size: NetworkSize) -> None:
        """Check that networks of this size can be built.

        Raises:
            UsageError: they cannot; says what is possible.
        """
        if size.stem not in self.stems:
            raise UsageError(f"space {space.name} has the stems {', '.join(self.stems)}, got {size.stem!r}")
        if min(size.input_shape) < 1:
            raise UsageError(f"an input shape has positive channels, height and width, got {size.input_shape}")

    @abstractmethod
    def plan(self, architecture: Architecture, size: NetworkSize, *, auxiliary: bool = False) -> Any:
        """All that is needed to build a network: plain data, such as a frozen dataclass of numbers and texts.

        Args:
            architecture: of a space with this topology.
            size: input shape, outputs, stem, width and depth; `check` has passed.
            auxiliary: whether training wants an auxiliary head, where the topology has one.
        """

    @abstractmethod
    def network(self, plan: Any) -> nn.Module:
        """The network of a plan, images [B, C, H, W] -> logits [B, outputs], with torch's default initial weights.

        Its class is called with the plan alone, so that an exported `model.py` can do the same.
        """

    def tables(self, plan: Any) -> Mapping[str, Mapping[str, type[nn.Module]]]:  # noqa: ARG002 - see `CellTopology`
        """Classes that the network looks up by name: the variable that holds them -> name -> class; for `model.py`."""
        return {}

    def supernet(self, space: Space, size: NetworkSize, *, partial_channels: int = 1) -> Supernet:  # noqa: ARG002
        """The weight-sharing network that holds all architectures of a space, with torch's default initial weights.

        Args:
            space: with this topology.
            size: of the supernet.
            partial_channels: one in so many channels goes through the operations; above 1 only where the topology
                says that it can.

        Raises:
            UsageError: it has none, or the size does not fit.
        """
        raise UsageError(
            f"space {space.name} has no supernet: choose a searcher that trains each network, such as bayesian, or "
            f"write {type(self).__name__}.supernet"
        )

    def work(self, space: Space, size: NetworkSize) -> SpaceWork:
        """The layers and parameters of all networks, as a part that all have and a part for each slot of the encoding.

        By default each option is counted in a network whose other decisions take their first valid choices, which is
        exact where the work of decisions adds up.

        Raises:
            UsageError: a network of the space cannot be traced.
        """
        from chronas.networks import work_by_differences

        return work_by_differences(space, size)

    def drawings(self, architecture: Architecture) -> Mapping[str, str]:  # noqa: ARG002 - for topologies with their own
        """SVG texts of an architecture by what they show; empty: its cells are drawn, or a list of its decisions."""
        return {}

    def occurrences(self, space: Space, size: NetworkSize) -> Sequence[int]:  # noqa: ARG002 - see `CellTopology`
        """How often each decision's operation stands in a network [D]."""
        return [1] * len(space.decisions)

    def alike(self, space: Space, size: NetworkSize) -> Sequence[Sequence[int]]:  # noqa: ARG002 - see `LayerTopology`
        """Decisions whose operations stand at places of the same shapes, and so cost the same, in groups."""
        return [(decision,) for decision in range(len(space.decisions))]
