"""Transfer of a supernet's weights to a wider one, as DrNAS does between its stages (arXiv 2006.10355, net2wider.py).

Each new channel is a copy of a random old one, drawn separately for inputs and outputs; old channels keep their
positions. Weights are not divided: batch norms follow, and the added input channels are real channels that bypassed the
operations before.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from chronas.errors import UsageError


def channel_sources(old: Sequence[int], new: Sequence[int], generator: torch.Generator) -> tuple[Tensor, ...]:
    """For each dimension, the old index that each new index copies.

    Args:
        old: shape of a weight.
        new: its shape in the wider supernet.
        generator: draws the old indices that added ones copy.

    Raises:
        UsageError: a dimension is smaller in the new shape, or the number of dimensions differs.
    """
    if len(old) != len(new) or any(after < before for before, after in zip(old, new, strict=True)):
        raise UsageError(f"a weight can only be widened, got {tuple(old)} to {tuple(new)}: give fewer partial channels")
    return tuple(
        torch.cat([torch.arange(before), torch.randint(before, (after - before,), generator=generator)])
        for before, after in zip(old, new, strict=True)
    )


def net2wider(tensor: Tensor, sources: Sequence[Tensor]) -> Tensor:
    """A tensor widened by the sources of each dimension; use the same sources for a weight and its momentum."""
    for dimension, indices in enumerate(sources):
        tensor = tensor.index_select(dimension, indices)
    return tensor
