"""Layers, MACs and parameters of all networks of a space at once.

The work of a space is a base plus a part for each slot of the encoding, so one matrix product counts any number of
architectures. If some decisions change the work of all others (an image's resolution, a width), the space has such a
sum for each assignment of these decisions. Letters: `N` architectures, `W` slots.
"""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from chronas.networks.cells import is_even
from chronas.networks.construction import build
from chronas.networks.counts import Work
from chronas.networks.layers import make_block
from chronas.networks.operations import make_operation

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chronas.networks.cells import NetworkPlan, Size
    from chronas.networks.layers import LayerPlan
    from chronas.spaces import Architecture, Cell, CellTopology, LayerTopology, NetworkSize, Space


@dataclass(frozen=True)
class SpaceWork:
    """The work of all networks of a space, or of those that share the scaling decisions' options.

    Attributes:
        base: the part that all networks share.
        slots: the part of each slot of the encoding, summed over all its places in the network [W].
    """

    base: Work
    slots: tuple[Work, ...]


@functools.lru_cache(maxsize=64)
def space_works(space: Space, size: NetworkSize) -> Mapping[tuple[int, ...], SpaceWork]:
    """The work of all networks of a space, by the options of the `scaling` decisions; see `Topology.works`.

    Raises:
        UsageError: the space does not have the size's stem or width, or a network cannot be traced.
    """
    space.topology.check(space, size)
    return space.topology.works(space, size)


@dataclass(frozen=True, eq=False)
class SlotCounts:
    """MACs and parameters that add up over the slots of an encoding.

    Attributes:
        base_macs: MACs of everything that is not chosen: stem, preprocessing, residual blocks, head.
        slot_macs: MACs of each slot, summed over all its places in the network [W].
        base_parameters: as `base_macs`, without an auxiliary head.
        slot_parameters: as `slot_macs` [W].
    """

    base_macs: int
    slot_macs: NDArray[np.float64]
    base_parameters: int
    slot_parameters: NDArray[np.float64]

    @classmethod
    def of(cls, work: SpaceWork) -> SlotCounts:
        """The numbers of some work."""
        return cls(
            work.base.macs,
            np.array([slot.macs for slot in work.slots], dtype=np.float64),
            work.base.parameters,
            np.array([slot.parameters for slot in work.slots], dtype=np.float64),
        )


@dataclass(frozen=True, eq=False)
class SpaceCounts:
    """MACs and parameters of all networks of a space; equal to the counts of the built networks.

    Attributes:
        parts: slots -> the counts of the networks whose encodings have all these slots. A space without scaling
            decisions has one entry without slots.
    """

    parts: Mapping[tuple[int, ...], SlotCounts]

    @property
    def additive(self) -> SlotCounts | None:
        """The counts as one sum over slots; None if decisions change the work of others."""
        return self.parts.get(())

    def macs(self, codes: NDArray[Any]) -> NDArray[np.float64]:
        """MACs of one example [N] for encodings [N, W]."""
        return self.amounts(torch.from_numpy(codes.astype(np.float64)))[:, 0].numpy()

    def parameters(self, codes: NDArray[Any]) -> NDArray[np.float64]:
        """Parameters [N] for encodings [N, W]."""
        return self.amounts(torch.from_numpy(codes.astype(np.float64)))[:, 1].numpy()

    def amounts(self, codes: Tensor) -> Tensor:
        """MACs and parameters [N, 2] for encodings [N, W], valid or relaxed; differentiable."""
        total = codes.new_zeros(len(codes), 2)
        for slots, part in self.parts.items():
            rows = torch.from_numpy(np.stack([part.slot_macs, part.slot_parameters])).to(codes)
            base = torch.tensor([part.base_macs, part.base_parameters]).to(codes)
            total = total + codes[:, list(slots)].prod(dim=1, keepdim=True) * (base + codes @ rows.T)
        return total


@functools.lru_cache(maxsize=64)
def space_counts(space: Space, size: NetworkSize) -> SpaceCounts:
    """MACs and parameters of all networks of a space; raises as `space_works`."""
    scaling = space.topology.scaling
    return SpaceCounts(
        {
            tuple(space.offsets[d] + option for d, option in zip(scaling, options, strict=True)): SlotCounts.of(work)
            for options, work in space_works(space, size).items()
        }
    )


def work_by_differences(space: Space, size: NetworkSize) -> SpaceWork:
    """The work of a space by differences: one network for each slot is compared with a reference network.

    Used for topologies without their own method. The reference takes the first choice everywhere; its slots add nothing
    to the base.
    """
    reference = space.first()
    base = Work.of(build(reference, size), size.input_shape)
    slots = [
        Work.of(build(one, size), size.input_shape).plus(base, -1) if one != reference else Work()
        for one in (_with_slot(space, reference, *slot) for slot in space.slots)
    ]
    return SpaceWork(base, tuple(slots))


def _with_slot(space: Space, reference: Architecture, decision: int, option: int) -> Architecture:
    """The reference with another choice; if its decision is not kept, it replaces the group's last kept one."""
    choices = list(reference.choices)
    group = next(group for group in space.groups if decision in group.decisions)
    if choices[decision] is None:
        choices[[d for d in group.decisions if choices[d] is not None][-1]] = None
    choices[decision] = option
    return space.architecture(choices)


def cell_work(space: Space, topology: CellTopology, size: NetworkSize) -> SpaceWork:
    """The work outside of the edges, and that of each option of each edge, summed over all cells of its kind."""
    plan = topology.edgeless(size)
    types, seen = topology.types, dict[tuple[str, int, int, "Size"], Work]()

    def operation(name: str, channels: int, stride: int, pixels: Size) -> Work:
        key = (name, channels, stride, pixels)
        if key not in seen:
            made = _made(lambda: make_operation(name, channels, stride, even=is_even(pixels), types=types))
            seen[key] = Work.of(made, (channels, *pixels))
        return seen[key]

    found = {
        (cell.decision(edge), option): _edge_work(operation, name, cell, edge, plan)
        for cell in topology.cells
        for edge in range(len(cell.edges))
        for option, name in enumerate(space.decisions[cell.decision(edge)].options)
    }
    base = Work.of(_made(lambda: topology.network(plan)), size.input_shape)
    return SpaceWork(base, tuple(found[slot] for slot in space.slots))


def _edge_work(
    operation: Callable[[str, int, int, Size], Work], name: str, cell: Cell, edge: int, plan: NetworkPlan
) -> Work:
    """The work of an operation on one edge in all blocks of a cell; edges between nodes come after the stride."""
    stride, behind = (cell.stride, 1) if cell.edges[edge][0] < cell.inputs else (1, cell.stride)
    total = Work()
    for (channels, pixels), times in Counter(
        (block.channels, block.sizes[-1]) for block in plan.blocks if block.kind == cell.name
    ).items():
        total = total.plus(operation(name, channels, stride, _strided(pixels, behind)), times)
    return total


def layer_work(space: Space, topology: LayerTopology, size: NetworkSize) -> SpaceWork:
    """The work of stem and head, and of each option of each layer; no block's shape depends on other blocks."""
    seen: dict[tuple[LayerPlan, Size], Work] = {}
    found: dict[tuple[int, int], Work] = {}
    for option in range(max(len(decision.options) for decision in space.decisions)):
        names = [decision.options[min(option, len(decision.options) - 1)] for decision in space.decisions]
        plan = topology.chain(names, size)
        pixels = _strided((size.input_shape[1], size.input_shape[2]), plan.stem_stride)
        totals = [Work() for _ in space.decisions]
        for place, layer in enumerate(plan.layers):
            if (layer, pixels) not in seen:
                block = _made(functools.partial(make_block, layer, topology.types))
                seen[layer, pixels] = Work.of(block, (layer.channels_in, *pixels))
            totals[place // size.depth] = totals[place // size.depth].plus(seen[layer, pixels])
            pixels = _strided(pixels, layer.stride)
        found |= {(d, option): total for d, total in enumerate(totals)}
    base = Work.of(_made(lambda: topology.network(plan)), size.input_shape)
    for total in totals:
        base = base.plus(total, -1)
    return SpaceWork(base, tuple(found[slot] for slot in space.slots))


def _made(make: Callable[[], nn.Module]) -> nn.Module:
    """The module that `make` builds; torch's generator does not change."""
    with torch.random.fork_rng(devices=[]):
        return make()


def _strided(pixels: Size, stride: int) -> Size:
    return math.ceil(pixels[0] / stride), math.ceil(pixels[1] / stride)
