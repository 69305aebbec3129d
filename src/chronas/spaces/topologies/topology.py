"""The base class of topologies: a topology turns the decisions of a space into a network.

A user's own topology is a subclass outside of chronas. It implements `plan`, `network` and, for weight-sharing
searches, `supernet`. The other methods have defaults that are correct for any network, but slower than a specific
implementation. Measuring, predicting, searching, training, exporting and reporting use only these methods; no code
checks the type of a topology.

Topologies are imported without torch: their methods import parts of `networks` and `supernets` when they are called.
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
    from chronas.spaces.space import Architecture, NetworkSize, Space
    from chronas.supernets import Supernet


@dataclasses.dataclass(frozen=True)
class Cell:
    """A small directed graph whose edges carry operations; states are numbered inputs first, then nodes.

    Attributes:
        name: "normal", "reduce", ...
        inputs: number of input states; two: the outputs of the two previous cells, each preprocessed to the cell's
            width by ReLU-conv1x1-BN; one: the output of the previous block, unchanged.
        nodes: number of inner states; a node is the sum of its incoming edges.
        edges: (source state, target state), one for each decision, in the order of decisions.
        first: index of the decision that belongs to the first edge.
        output: states whose concatenation along channels is the cell's output.
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
        """The index of the decision that chooses the operation of edge number `edge`."""
        return self.first + edge


class Topology(ABC):
    """Turns decisions into a graph. Methods are listed in the order in which a network is built.

    Attributes:
        stems: the values that `NetworkSize.stem` can have.
        operations: facts about the options of its decisions, by name; options without an entry are drawn grey.
        cells: the graphs whose edges are the decisions, if the topology repeats such graphs; else empty.
        small_depth: depth of networks that train in minutes on a CPU, for presets.
        partial_channels: whether its supernet can pass part of the channels around the operations (PC-DARTS).
        mixtures: whether its supernet can compute several options of a decision at once, as gradient-based searchers
            need.
        nested: whether its supernet nests all weights and gives those of one architecture.
        scaling: decisions whose options change the work of all others, such as the resolution.
    """

    stems: tuple[str, ...] = ("cifar",)
    operations: Mapping[str, Operation] = {}
    cells: tuple[Cell, ...] = ()
    partial_channels: bool = False
    mixtures: bool = True
    nested: bool = False
    scaling: tuple[int, ...] = ()
    small_depth: int = 1

    def check(self, space: Space, size: NetworkSize) -> None:
        """Check that networks of this size can be built.

        Raises:
            UsageError: they cannot; the message says what is possible.
        """
        if size.stem not in self.stems:
            raise UsageError(f"space {space.name} has the stems {', '.join(self.stems)}, got {size.stem!r}")
        if min(size.input_shape) < 1:
            raise UsageError(f"an input shape has positive channels, height and width, got {size.input_shape}")

    @abstractmethod
    def plan(self, architecture: Architecture, size: NetworkSize, *, auxiliary: bool = False) -> Any:
        """All data for building a network, as plain data, such as a frozen dataclass of numbers and texts.

        Args:
            architecture: of a space with this topology.
            size: input shape, outputs, stem, width and depth; `check` has passed.
            auxiliary: whether to add an auxiliary head, if the topology has one.
        """

    @abstractmethod
    def network(self, plan: Any) -> nn.Module:
        """The network of a plan, images [B, C, H, W] -> logits [B, outputs], with torch's default initial weights.

        Its class is called with the plan alone, so that an exported `model.py` can do the same.
        """

    def tables(self, plan: Any) -> Mapping[str, Mapping[str, type[nn.Module]]]:  # noqa: ARG002 - see `CellTopology`
        """Classes that the network looks up by name: variable that holds them -> name -> class; for `model.py`."""
        return {}

    def supernet(self, space: Space, size: NetworkSize, *, partial_channels: int = 1) -> Supernet:  # noqa: ARG002
        """The weight-sharing network that holds all architectures of a space, with torch's default initial weights.

        Args:
            space: a space with this topology.
            size: size of the supernet.
            partial_channels: one in this many channels goes through the operations; above 1 only if the topology allows
                partial channels.

        Raises:
            UsageError: the topology has no supernet, or the size does not fit.
        """
        raise UsageError(
            f"space {space.name} has no supernet: choose a searcher that trains each network, such as bayesian, or "
            f"write {type(self).__name__}.supernet"
        )

    def work(self, space: Space, size: NetworkSize) -> SpaceWork:
        """The layers and parameters of all networks: a common part, and a part for each slot of the encoding.

        By default, each option is counted in a network whose other decisions take their first valid choices. This is
        exact if the work of decisions adds up.

        Raises:
            UsageError: a network of the space cannot be traced.
        """
        from chronas.networks import work_by_differences

        return work_by_differences(space, size)

    def works(self, space: Space, size: NetworkSize) -> Mapping[tuple[int, ...], SpaceWork]:
        """The work of all networks, by the options of the `scaling` decisions; raises as `work`.

        A topology with such decisions overrides this.
        """
        return {(): self.work(space, size)}

    def drawings(self, architecture: Architecture) -> Mapping[str, str]:  # noqa: ARG002 - for topologies with their own
        """SVG drawings of an architecture by title; if empty, its cells are drawn, or its decisions are listed."""
        return {}

    def reduction(self, size: NetworkSize) -> int:  # noqa: ARG002 - see `LayerTopology`
        """The factor by which networks divide the side of an image, before the head pools; 1 if it is not known."""
        return 1

    def occurrences(self, space: Space, size: NetworkSize) -> Sequence[int]:  # noqa: ARG002 - see `CellTopology`
        """The number of times that each decision's operation occurs in a network [D]."""
        return [1] * len(space.decisions)

    def alike(self, space: Space, size: NetworkSize) -> Sequence[Sequence[int]]:  # noqa: ARG002 - see `LayerTopology`
        """Groups of decisions whose operations have the same shapes and so the same costs."""
        return [(decision,) for decision in range(len(space.decisions))]
