"""Builds the supernet of a space and a size, and the weights with which it computes one architecture.

Letters: `D` decisions, `O` the largest number of relaxed options of a decision.
"""

from __future__ import annotations

import torch
from torch import Tensor

from chronas.spaces import Architecture, NetworkSize, Space
from chronas.supernets.supernet import Supernet


def build_supernet(space: Space, size: NetworkSize, *, partial_channels: int = 1, seed: int = 0) -> Supernet:
    """The supernet of a space, with torch's default initial weights.

    Args:
        space: any space.
        size: input shape, classes, stem, width and depth of the supernet.
        partial_channels: PC-DARTS's K: one in K channels goes through the operations of a cell.
        seed: seed of the initial weights; torch's own generator does not change.

    Raises:
        UsageError: the space has no supernet, it lacks the size's stem, or the partial channels do not fit the width.
    """
    space.topology.check(space, size)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        supernet = space.topology.supernet(space, size, partial_channels=partial_channels)
    supernet.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return supernet


def discrete_weights(architecture: Architecture) -> tuple[Tensor, Tensor]:
    """Operation weights [D, O] and edge weights [D] that make a supernet compute one architecture.

    The kept edges of a group share the group's edge weight evenly, as at the start of a search.
    """
    space = architecture.space
    operation_weights = torch.zeros(len(space.decisions), max(len(decision.relaxed) for decision in space.decisions))
    edge_weights = torch.zeros(len(space.decisions))
    for group in space.groups:
        for d in group.decisions:
            choice = architecture.choices[d]
            if choice is not None:
                operation_weights[d, len(space.decisions[d].unselectable) + choice] = 1.0
                edge_weights[d] = 1.0 / group.keep
    return operation_weights, edge_weights
