"""An architecture and a size become a plan, and a plan a network, whatever the topology."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from torch import nn

    from chronas.spaces import Architecture, NetworkSize


def build(architecture: Architecture, size: NetworkSize, *, seed: int = 0, auxiliary: bool = False) -> nn.Module:
    """The network of an architecture, with torch's default initial weights.

    Args:
        architecture: of any space.
        size: input shape, outputs, stem, width and depth.
        seed: of the initial weights; torch's own generator stays as it was.
        auxiliary: whether training also returns an auxiliary head's logits, where the space has one and the image is
            large enough for it (2 pixels a side after two thirds of the cells).

    Raises:
        UsageError: as `plan`.
    """
    blueprint = plan(architecture, size, auxiliary=auxiliary)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return architecture.space.topology.network(blueprint)


def plan(architecture: Architecture, size: NetworkSize, *, auxiliary: bool = False) -> Any:
    """All that is needed to build a network, as plain data that needs no chronas.

    Raises:
        UsageError: the space does not have the size's stem or width.
    """
    topology = architecture.space.topology
    topology.check(architecture.space, size)
    return topology.plan(architecture, size, auxiliary=auxiliary)
