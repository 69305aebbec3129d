"""The base class of supernets: images and operation weights -> logits, whatever the topology of the space.

Letters: `B` images, `C` channels, `D` decisions, `O` the largest number of relaxed options of a decision.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn


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
