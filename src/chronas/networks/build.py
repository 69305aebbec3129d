"""An architecture and a skeleton become a plan, and a plan a network; one builder for each kind of topology."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from chronas.errors import UsageError
from chronas.networks.cells import AuxiliaryPlan, BlockPlan, CellPlan, Network, NetworkPlan, Size
from chronas.networks.layers import ChainNetwork, ChainPlan, LayerPlan
from chronas.networks.operations import OPERATIONS, Zero
from chronas.spaces import CellTopology, LayerTopology

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from chronas.spaces import Architecture, Cell, Skeleton, Space


AnyNetwork = Network | ChainNetwork  # one kind for each kind of topology


def build(architecture: Architecture, skeleton: Skeleton, *, seed: int = 0, auxiliary: bool = False) -> AnyNetwork:
    """The network of an architecture, with torch's default initial weights.

    Args:
        architecture: of any space.
        skeleton: input shape, classes, stem, width and depth.
        seed: of the initial weights; torch's own generator stays as it was.
        auxiliary: whether training also returns an auxiliary head's logits, where the space has one and the image is
            large enough for it (2 pixels a side after two thirds of the cells).

    Raises:
        UsageError: as `plan`.
    """
    blueprint = plan(architecture, skeleton, auxiliary=auxiliary)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ChainNetwork(blueprint) if isinstance(blueprint, ChainPlan) else Network(blueprint)


def plan(architecture: Architecture, skeleton: Skeleton, *, auxiliary: bool = False) -> NetworkPlan | ChainPlan:
    """All that is needed to build a network, as plain data that needs no chronas.

    Raises:
        UsageError: the space does not have the skeleton's stem or width.
    """
    if isinstance(architecture.space.topology, LayerTopology):
        names = [architecture.operation(d) or "" for d in range(len(architecture.choices))]
        return chain(architecture.space, architecture.space.topology, skeleton, names)
    cells = {cell.name: _cell(architecture, cell) for cell in cell_topology(architecture.space).cells}
    return frame(architecture.space, skeleton, cells, auxiliary=auxiliary)


def cell_topology(space: Space) -> CellTopology:
    """The topology of a space of cells.

    Raises:
        UsageError: the space has another kind of topology.
    """
    if not isinstance(space.topology, CellTopology):
        raise UsageError(f"space {space.name} is a chain of layers: this is for spaces of cells alone")
    return space.topology


def frame(space: Space, skeleton: Skeleton, cells: Mapping[str, CellPlan], *, auxiliary: bool = False) -> NetworkPlan:
    """The plan of a network with these cells; all but the cells depends on the skeleton alone.

    Raises:
        UsageError: as `plan`.
    """
    topology = cell_topology(space)
    _check(space, topology, skeleton)
    stem_channels = skeleton.width * (topology.stem_multiplier if skeleton.stem == "cifar" else 1)
    blocks, channels, sizes = _blocks(topology, skeleton, stem_channels)
    after = 2 * skeleton.depth // 3
    possible = auxiliary and topology.auxiliary and min(sizes[after]) >= 2
    head = AuxiliaryPlan(after, channels[after], sizes[after], last_norm=skeleton.stem == "cifar")
    return NetworkPlan(
        stem=skeleton.stem,
        image_channels=skeleton.input_shape[0],
        stem_channels=stem_channels,
        cells=dict(cells),
        blocks=blocks,
        output_channels=channels[-1],
        classes=skeleton.classes,
        normalised_head=topology.normalised_head,
        auxiliary=head if possible else None,
    )


def edgeless(space: Space, skeleton: Skeleton) -> NetworkPlan:
    """The plan of a network whose cells have no edges: what every architecture of a space has in common.

    Raises:
        UsageError: as `plan`.
    """
    cells = cell_topology(space).cells
    empty = {cell.name: CellPlan(cell.inputs, cell.nodes, (), cell.output, cell.stride) for cell in cells}
    return frame(space, skeleton, empty)


def chain(space: Space, topology: LayerTopology, skeleton: Skeleton, names: Sequence[str]) -> ChainPlan:
    """The plan of a network of these blocks, one name for each decision; each stands `skeleton.depth` times in a row.

    Raises:
        UsageError: as `plan`.
    """
    _check_frame(space, skeleton)

    def scaled(channels: int) -> int:
        return max(2, 2 * round(channels * skeleton.width / topology.width / 2))

    stem_stride, *strides = topology.strides[skeleton.stem]
    channels, layers = scaled(topology.width), []
    for name, width, stride in zip(names, topology.widths, strides, strict=True):
        for time in range(skeleton.depth):
            layers.append(LayerPlan(name, channels, scaled(width), 1 if time else stride))
            channels = scaled(width)
    return ChainPlan(
        image_channels=skeleton.input_shape[0],
        stem_stride=stem_stride,
        layers=tuple(layers),
        head_channels=scaled(topology.heads[skeleton.stem]),
        classes=skeleton.classes,
    )


def _cell(architecture: Architecture, cell: Cell) -> CellPlan:
    edges = []
    for number, (source, target) in enumerate(cell.edges):
        operation = architecture.operation(cell.decision(number))
        if operation is not None and OPERATIONS[operation] is not Zero:
            edges.append((source, target, operation))
    return CellPlan(cell.inputs, cell.nodes, tuple(edges), cell.output, cell.stride)


def _check_frame(space: Space, skeleton: Skeleton) -> None:
    stems = space.topology.stems
    if skeleton.stem not in stems:
        raise UsageError(f"space {space.name} has the stems {', '.join(stems)}, got {skeleton.stem!r}")
    if min(skeleton.input_shape) < 1:
        raise UsageError(f"an input shape has positive channels, height and width, got {skeleton.input_shape}")


def _check(space: Space, topology: CellTopology, skeleton: Skeleton) -> None:
    _check_frame(space, skeleton)
    if skeleton.width < 2 and any(cell.inputs > 1 for cell in topology.cells):
        raise UsageError(
            f"space {space.name} halves images in two halves of the channels: a width of 2 or more is needed"
        )


def _halved(size: Size) -> Size:
    return (size[0] + 1) // 2, (size[1] + 1) // 2


def _blocks(
    topology: CellTopology, skeleton: Skeleton, stem_channels: int
) -> tuple[tuple[BlockPlan, ...], list[int], list[Size]]:
    """The chain of blocks, and the channels and size that leave each."""
    kinds = {cell.name: (cell.inputs, len(cell.output), cell.stride) for cell in topology.cells}
    size: Size = skeleton.input_shape[1], skeleton.input_shape[2]
    sizes = [size, size]
    if skeleton.stem == "imagenet":
        sizes = [_halved(_halved(size)), _halved(_halved(_halved(size)))]
    channels, width, stride, blocks = [stem_channels, stem_channels], skeleton.width, 1, []
    halve_first = skeleton.stem == "imagenet"
    for kind in topology.layout(skeleton.depth):
        inputs, outputs, stride = kinds.get(kind, (1, 1, 2))
        width *= stride
        first = halve_first and inputs > 1
        blocks.append(BlockPlan(kind, tuple(channels[-inputs:]), tuple(sizes[-inputs:]), width, first))
        channels.append(width * outputs)
        sizes.append(_halved(sizes[-1]) if stride > 1 else sizes[-1])
        halve_first = stride > 1
    return tuple(blocks), channels[2:], sizes[2:]
