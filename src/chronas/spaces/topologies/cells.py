"""A chain of repeated cells between a stem and a head: DARTS, NAS-Bench-201, and other spaces of small graphs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from chronas.errors import UsageError
from chronas.spaces.operations import CELL_OPERATIONS, NOTHING, Operation
from chronas.spaces.topologies.topology import Cell, Topology

if TYPE_CHECKING:
    from torch import nn

    from chronas.networks import BlockPlan, CellPlan, NetworkPlan, SpaceWork
    from chronas.spaces.space import Architecture, NetworkSize, Space
    from chronas.supernets import Supernet

Pixels = tuple[int, int]  # height and width


@dataclass(frozen=True, eq=False, kw_only=True)
class CellTopology(Topology):
    """A chain of repeated cells.

    Attributes:
        cells: the kinds of cell; their edges are the decisions.
        layout: depth of the network -> names of the blocks in order; a name is a cell's or "residual" (a fixed
            ResNet basic block of stride 2 that doubles the width).
        stems: "cifar" is conv3x3-BN, "imagenet" divides the size by 8.
        stem_multiplier: channels of the CIFAR stem, as a multiple of the network's width.
        normalised_head: whether BN and ReLU stand before the global pooling.
        auxiliary: whether training may add an auxiliary head after two thirds of the cells.
        operations: operations of the edges, by option name; their classes are called with an `OpSpec`.
    """

    cells: tuple[Cell, ...]
    layout: Callable[[int], tuple[str, ...]]
    stems: tuple[str, ...] = ("cifar",)
    stem_multiplier: int = 1
    normalised_head: bool = False
    auxiliary: bool = False
    operations: Mapping[str, Operation] = field(default_factory=lambda: CELL_OPERATIONS)
    partial_channels: bool = True
    small_depth: int = 5

    def check(self, space: Space, size: NetworkSize) -> None:
        """As `Topology.check`; cells with two inputs halve images in two halves of the channels, so they need two."""
        super().check(space, size)
        if size.width < 2 and any(cell.inputs > 1 for cell in self.cells):
            raise UsageError(
                f"space {space.name} halves images in two halves of the channels: a width of 2 or more is needed"
            )

    def plan(self, architecture: Architecture, size: NetworkSize, *, auxiliary: bool = False) -> NetworkPlan:
        """Stem, blocks and head from the size, cells from the architecture."""
        cells = {cell.name: self._cell(architecture, cell) for cell in self.cells}
        return self.frame(size, cells, auxiliary=auxiliary)

    def frame(self, size: NetworkSize, cells: Mapping[str, CellPlan], *, auxiliary: bool = False) -> NetworkPlan:
        """The plan of a network with these cells; everything else depends on the size alone.

        Args:
            size: size of the network.
            cells: name -> plan, one for each kind of cell.
            auxiliary: whether to add an auxiliary head; it is added if the topology has one and the image is large
                enough (2 pixels a side after two thirds of the cells).
        """
        from chronas.networks.cells import AuxiliaryPlan, NetworkPlan

        stem_channels = size.width * (self.stem_multiplier if size.stem == "cifar" else 1)
        blocks, channels, pixels = self._blocks(size, stem_channels)
        after = 2 * size.depth // 3
        possible = auxiliary and self.auxiliary and min(pixels[after]) >= 2
        head = AuxiliaryPlan(after, channels[after], pixels[after], last_norm=size.stem == "cifar")
        return NetworkPlan(
            stem=size.stem,
            image_channels=size.input_shape[0],
            stem_channels=stem_channels,
            cells=dict(cells),
            blocks=blocks,
            output_channels=channels[-1],
            classes=size.outputs,
            normalised_head=self.normalised_head,
            auxiliary=head if possible else None,
        )

    def edgeless(self, size: NetworkSize) -> NetworkPlan:
        """The plan of a network whose cells have no edges: the part that all architectures share."""
        from chronas.networks.cells import CellPlan

        empty = {cell.name: CellPlan(cell.inputs, cell.nodes, (), cell.output, cell.stride) for cell in self.cells}
        return self.frame(size, empty)

    def network(self, plan: NetworkPlan) -> nn.Module:
        """A chain of cells with this topology's operations."""
        from chronas.networks.cells import Network

        return Network(plan, self.types)

    @property
    def types(self) -> dict[str, Callable[..., nn.Module]]:
        """The class of each operation."""
        return {name: operation.type for name, operation in self.operations.items()}

    def tables(self, plan: NetworkPlan) -> Mapping[str, Mapping[str, type[nn.Module]]]:
        """`OPERATIONS` with the operations of a plan, and `none` for nodes without edges."""
        used = {name for cell in plan.cells.values() for _, _, name in cell.edges} | {NOTHING}
        return {"OPERATIONS": {name: kind for name, kind in self.types.items() if name in used}}  # type: ignore[misc]

    def supernet(self, space: Space, size: NetworkSize, *, partial_channels: int = 1) -> Supernet:
        """Mixed operations on all edges; raises `UsageError` if the width does not fit the partial channels."""
        from chronas.supernets.cells import CellSupernet

        return CellSupernet(space, self, size, partial_channels)

    def work(self, space: Space, size: NetworkSize) -> SpaceWork:
        """Exact, because the work of an operation depends on its place alone."""
        from chronas.networks.slot_counts import cell_work

        return cell_work(space, self, size)

    def reduction(self, size: NetworkSize) -> int:
        """That of the stem and of all blocks with a stride."""
        strides = {cell.name: cell.stride for cell in self.cells}
        stem = 8 if size.stem == "imagenet" else 1
        return stem * math.prod(strides.get(kind, 2) for kind in self.layout(size.depth))

    def occurrences(self, space: Space, size: NetworkSize) -> Sequence[int]:
        """The number of times that each decision's cell occurs in a network [D]."""
        blocks, found = self.layout(size.depth), [0] * len(space.decisions)
        for cell in self.cells:
            for edge in range(len(cell.edges)):
                found[cell.decision(edge)] = blocks.count(cell.name)
        return found

    def _cell(self, architecture: Architecture, cell: Cell) -> CellPlan:
        from chronas.networks.cells import CellPlan

        named = [(*edge, architecture.operation(cell.decision(number))) for number, edge in enumerate(cell.edges)]
        edges = tuple((source, target, name) for source, target, name in named if name not in (None, NOTHING))
        return CellPlan(cell.inputs, cell.nodes, edges, cell.output, cell.stride)

    def _blocks(self, size: NetworkSize, stem_channels: int) -> tuple[tuple[BlockPlan, ...], list[int], list[Pixels]]:
        """The chain of blocks, and the channels and image size at the output of each block."""
        from chronas.networks.cells import BlockPlan

        kinds = {cell.name: (cell.inputs, len(cell.output), cell.stride) for cell in self.cells}
        image: Pixels = size.input_shape[1], size.input_shape[2]
        pixels = [image, image]
        if size.stem == "imagenet":
            pixels = [_halved(_halved(image)), _halved(_halved(_halved(image)))]
        channels, width, stride, blocks = [stem_channels, stem_channels], size.width, 1, []
        halve_first = size.stem == "imagenet"
        for kind in self.layout(size.depth):
            inputs, outputs, stride = kinds.get(kind, (1, 1, 2))
            width *= stride
            first = halve_first and inputs > 1
            blocks.append(BlockPlan(kind, tuple(channels[-inputs:]), tuple(pixels[-inputs:]), width, first))
            channels.append(width * outputs)
            pixels.append(_halved(pixels[-1]) if stride > 1 else pixels[-1])
            halve_first = stride > 1
        return tuple(blocks), channels[2:], pixels[2:]


def _halved(pixels: Pixels) -> Pixels:
    return (pixels[0] + 1) // 2, (pixels[1] + 1) // 2
