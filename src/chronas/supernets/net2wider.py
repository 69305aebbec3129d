"""Weights of a supernet taken over by a wider one, as DrNAS does between its stages (arXiv 2006.10355, net2wider.py).

A new channel is a copy of a random old one, of inputs and of outputs apart; the old ones stay where they were. Nothing
is divided: batch norms follow, and the channels that come in now are real ones that went around before.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from chronas.errors import UsageError


def channel_sources(old: Sequence[int], new: Sequence[int], generator: torch.Generator) -> tuple[Tensor, ...]:
    """For each dimension the old index that each new index is a copy of.

    Args:
        old: shape of a weight.
        new: its shape in the wider supernet.
        generator: draws what the added ones copy.

    Raises:
        UsageError: a dimension is smaller in the new shape, or there are others.
    """
    if len(old) != len(new) or any(after < before for before, after in zip(old, new, strict=True)):
        raise UsageError(
            f"a weight can only be net2wider, got {tuple(old)} to {tuple(new)}: give fewer partial channels"
        )
    return tuple(
        torch.cat([torch.arange(before), torch.randint(before, (after - before,), generator=generator)])
        for before, after in zip(old, new, strict=True)
    )


def net2wider(tensor: Tensor, sources: Sequence[Tensor]) -> Tensor:
    """A tensor with each dimension taken by its sources; a weight and its momentum go by the same ones."""
    for dimension, indices in enumerate(sources):
        tensor = tensor.index_select(dimension, indices)
    return tensor
