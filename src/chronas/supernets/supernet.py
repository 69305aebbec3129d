"""The base class of supernets: images and operation weights -> logits, whatever the topology of the space.

Letters: `B` images, `C` channels, `D` decisions, `O` the largest number of relaxed options of a decision.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from chronas.errors import UsageError
from chronas.spaces import Architecture, NetworkSize, Space


class Supernet(nn.Module, ABC):
    """All architectures of a space with shared weights; `build_supernet` makes one.

    Attributes:
        selectable: for each decision, the columns of the options that compute something; subclasses set it.
    """

    selectable: Sequence[Sequence[int]]

    def forward(
        self,
        images: Tensor,
        operation_weights: Tensor,
        edge_weights: Tensor | None = None,
        *,
        computed: Tensor | None = None,
    ) -> Tensor:
        """Logits [B, classes] of images [B, C, H, W].

        Args:
            images: normalised pixels.
            operation_weights: [D, O]; operations with weight zero are not computed, so they have no gradient.
            edge_weights: [D]; None leaves the decisions' outputs unscaled.
            computed: [D, O] mask of the operations to compute instead; among these, a weight of zero has a gradient.
        """
        chosen = operation_weights.ne(0) if computed is None else computed
        active = [[o for o in here if row[o]] for here, row in zip(self.selectable, chosen.tolist(), strict=True)]
        return self._logits(
            images.contiguous(memory_format=torch.channels_last), operation_weights, edge_weights, active
        )

    @abstractmethod
    def _logits(
        self,
        images: Tensor,
        operation_weights: Tensor,
        edge_weights: Tensor | None,
        active: Sequence[Sequence[int]],
    ) -> Tensor:
        """Logits of channels-last images; for each decision, `active` lists the columns to compute."""


# ----
# Builds the supernet of a space and a size, and the weights with which it computes one architecture.
#
# Letters: `D` decisions, `O` the largest number of relaxed options of a decision.


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


# ----
# Transfer of a supernet's weights to a wider one, as DrNAS does between its stages (arXiv 2006.10355, net2wider.py).
#
# Each new channel is a copy of a random old one, drawn separately for inputs and outputs; old channels keep their
# positions. Weights are not divided: batch norms follow, and the added input channels are real channels that bypassed
# the operations before.


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
