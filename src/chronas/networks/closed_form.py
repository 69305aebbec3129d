"""MACs and parameters of all networks of a space at once: they are a sum over the slots of the encoding.

The base is counted on the network without any edge, and each different operation once; both run on no images at all,
which gives all shapes and costs no arithmetic (the meta device would first load torch._dynamo, 2-4 s a process). So the
constants of a skeleton take well under a second, and any number of architectures is one matrix product.
N architectures, W slots.
"""

from __future__ import annotations

import functools
import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from chronas.networks.build import cell_topology, chain, edgeless
from chronas.networks.cells import Network
from chronas.networks.layers import ChainNetwork, make_block
from chronas.networks.operations import make_operation
from chronas.spaces import LayerTopology

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from chronas.networks.cells import Size
    from chronas.networks.layers import LayerPlan
    from chronas.spaces import Skeleton, Space


@dataclass(frozen=True)
class Work:
    """MACs (convolutions and fully connected layers, one image) and parameters of a module."""

    macs: int
    parameters: int


@dataclass(frozen=True, eq=False)
class ClosedForm:
    """MACs and parameters as a base and one constant for each slot; equal to the counts of the built networks.

    Attributes:
        base_macs: of everything that is not chosen: stem, preprocessing, residual blocks, head.
        slot_macs: of each slot, over all places where it stands [W].
        base_parameters: as `base_macs`; an auxiliary head is not counted.
        slot_parameters: as `slot_macs` [W].
    """

    base_macs: int
    slot_macs: NDArray[np.float64]
    base_parameters: int
    slot_parameters: NDArray[np.float64]

    def macs(self, codes: NDArray[Any]) -> NDArray[np.float64]:
        """MACs of one image [N] for encodings [N, W]."""
        return self.base_macs + codes.astype(np.float64) @ self.slot_macs

    def parameters(self, codes: NDArray[Any]) -> NDArray[np.float64]:
        """Parameters [N] for encodings [N, W]."""
        return self.base_parameters + codes.astype(np.float64) @ self.slot_parameters


def closed_form(space: Space, skeleton: Skeleton) -> ClosedForm:
    """The closed form of a space in a skeleton.

    Raises:
        UsageError: the space does not have the skeleton's stem or width.
    """
    if isinstance(space.topology, LayerTopology):
        base, works = _of_layers(space, space.topology, skeleton)
    else:
        base, works = _of_cells(space, skeleton)
    return ClosedForm(
        base.macs,
        np.array([works[decision][option].macs for decision, option in space.slots], dtype=np.float64),
        base.parameters,
        np.array([works[decision][option].parameters for decision, option in space.slots], dtype=np.float64),
    )


def _of_cells(space: Space, skeleton: Skeleton) -> tuple[Work, dict[int, list[Work]]]:
    """The work of everything but the edges, and that of each option of each decision."""
    plan = edgeless(space, skeleton)
    works: dict[int, list[Work]] = {}
    for cell in cell_topology(space).cells:
        blocks = Counter((block.channels, block.sizes[-1]) for block in plan.blocks if block.kind == cell.name)
        for edge, (source, _) in enumerate(cell.edges):
            stride, behind = (cell.stride, 1) if source < cell.inputs else (1, cell.stride)
            decision = cell.decision(edge)
            works[decision] = [_total(name, blocks, stride, behind) for name in space.decisions[decision].options]
    return _work(lambda: Network(plan), *skeleton.input_shape), works


def _of_layers(space: Space, topology: LayerTopology, skeleton: Skeleton) -> tuple[Work, dict[int, list[Work]]]:
    """The work of stem and head, and that of each option of each decision in all its places."""
    works: dict[int, list[Work]] = {d: [] for d in range(len(space.decisions))}
    names = [decision.options[0] for decision in space.decisions]
    whole = _work(lambda: ChainNetwork(chain(space, topology, skeleton, names)), *skeleton.input_shape)
    for option in range(len(space.decisions[0].options)):
        layers = chain(space, topology, skeleton, [decision.options[option] for decision in space.decisions]).layers
        size = _strided(skeleton.input_shape[1:], topology.strides[skeleton.stem][0])
        for decision in works:
            total = Work(0, 0)
            for layer in layers[decision * skeleton.depth : (decision + 1) * skeleton.depth]:
                work, size = _layer(layer, size), _strided(size, layer.stride)
                total = Work(total.macs + work.macs, total.parameters + work.parameters)
            works[decision].append(total)
    first = [works[decision][0] for decision in works]
    base = Work(whole.macs - sum(w.macs for w in first), whole.parameters - sum(w.parameters for w in first))
    return base, works


def _strided(size: Size, stride: int) -> Size:
    return math.ceil(size[0] / stride), math.ceil(size[1] / stride)


@functools.cache
def _layer(layer: LayerPlan, size: Size) -> Work:
    return _work(lambda: make_block(layer), layer.channels_in, *size)


def _total(name: str, blocks: Counter[tuple[int, Size]], stride: int, behind: int) -> Work:
    """An operation's work on one edge in all blocks; the edge stands behind a stride of `behind`."""
    macs = parameters = 0
    for (channels, size), times in blocks.items():
        height, width = (math.ceil(side / behind) for side in size)
        work = _operation(name, channels, stride, height, width)
        macs += times * work.macs
        parameters += times * work.parameters
    return Work(macs, parameters)


@functools.cache
def _operation(name: str, channels: int, stride: int, height: int, width: int) -> Work:
    return _work(lambda: make_operation(name, channels, stride), channels, height, width)


def _work(make: Callable[[], nn.Module], channels: int, height: int, width: int) -> Work:
    """The work of a module on one image, counted on a batch of none."""
    macs: list[int] = []

    def note(layer: nn.Module, _: object, output: torch.Tensor) -> None:
        macs.append(math.prod(output.shape[1:]) * layer.get_parameter("weight")[0].numel())

    with torch.random.fork_rng(devices=[]), torch.no_grad():
        module = make().eval()
        for layer in module.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                layer.register_forward_hook(note)
        module(torch.empty(0, channels, height, width))
    return Work(sum(macs), sum(parameter.numel() for parameter in module.parameters()))
