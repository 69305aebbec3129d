"""Builds the network of an architecture and a size, for any topology, through a plan of plain data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from torch import nn

    from chronas.spaces import Architecture, NetworkSize


def build(architecture: Architecture, size: NetworkSize, *, seed: int = 0, auxiliary: bool = False) -> nn.Module:
    """The network of an architecture, with torch's default initial weights.

    Args:
        architecture: an architecture of any space.
        size: input shape, outputs, stem, width and depth.
        seed: seed of the initial weights; torch's own generator does not change.
        auxiliary: whether the network also returns an auxiliary head's logits in training, if the space has such a head
            and the image is large enough for it (2 pixels a side after two thirds of the cells).

    Raises:
        UsageError: as `plan`.
    """
    blueprint = plan(architecture, size, auxiliary=auxiliary)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return architecture.space.topology.network(blueprint)


def plan(architecture: Architecture, size: NetworkSize, *, auxiliary: bool = False) -> Any:
    """All data for building a network, as plain data that does not depend on chronas.

    Raises:
        UsageError: the space does not have the size's stem or width.
    """
    topology = architecture.space.topology
    topology.check(architecture.space, size)
    return topology.plan(architecture, size, auxiliary=auxiliary)
