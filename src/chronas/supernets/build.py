"""A space and a skeleton become a supernet, one builder for each kind of topology; architectures become its weights.

Letters: `D` decisions, `O` relaxed options.
"""

from __future__ import annotations

import torch
from torch import Tensor

from chronas.spaces import Architecture, LayerTopology, Skeleton, Space
from chronas.supernets.cellwise import CellSupernet
from chronas.supernets.layerwise import LayerSupernet
from chronas.supernets.supernet import Supernet


def build_supernet(space: Space, skeleton: Skeleton, *, partial_channels: int = 1, seed: int = 0) -> Supernet:
    """The supernet of a space, with torch's default initial weights.

    Args:
        space: any space.
        skeleton: input shape, classes, stem, width and depth of the supernet.
        partial_channels: PC-DARTS's K: one in K channels goes through the operations of a cell.
        seed: of the initial weights; torch's own generator stays as it was.

    Raises:
        UsageError: the space does not have the skeleton's stem or width, or partial channels do not fit them.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        supernet: Supernet
        if isinstance(space.topology, LayerTopology):
            supernet = LayerSupernet(space, space.topology, skeleton, partial_channels)
        else:
            supernet = CellSupernet(space, skeleton, partial_channels)
    supernet.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return supernet


def discrete_weights(architecture: Architecture) -> tuple[Tensor, Tensor]:
    """Operation weights [D, O] and edge weights [D] that make a supernet compute one architecture.

    The edges that are kept of a group share its edge weight evenly, as they do before a search has learned anything.
    """
    space = architecture.space
    operation_weights = torch.zeros(len(space.decisions), len(space.decisions[0].relaxed))
    edge_weights = torch.zeros(len(space.decisions))
    for group in space.groups:
        for d in group.decisions:
            choice = architecture.choices[d]
            if choice is not None:
                operation_weights[d, len(space.decisions[d].unselectable) + choice] = 1.0
                edge_weights[d] = 1.0 / group.keep
    return operation_weights, edge_weights
