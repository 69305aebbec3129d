"""A supernet of cells: one weight-shared network that holds all choices of a cell space (DARTS, arXiv 1806.09055).

Stem, preprocessing, residual blocks and head are those of the deployed network. All batch norms use the statistics of
the batch, in training and in scoring, because moving averages over a mixture fit no single architecture; inside cells
they have no scale and shift, as in the original. Tensors are channels-last inside: on a CPU core
depthwise convolutions of 32x32 images and their gradients take a fraction of the time so.

Letters: `D` decisions, `O` relaxed options.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from chronas.errors import UsageError
from chronas.networks import OPERATIONS, Network, Zero, cell_topology, edgeless
from chronas.spaces import Skeleton, Space
from chronas.supernets.cell import MixedCell
from chronas.supernets.norms import with_batch_statistics, without_scale
from chronas.supernets.supernet import Supernet


class CellSupernet(Supernet):
    """All architectures of a space of cells; edge weights scale what each edge brings to its node."""

    def __init__(self, space: Space, skeleton: Skeleton, partial_channels: int) -> None:
        """Make stem, blocks and head.

        Args:
            space: a space of cells.
            skeleton: input shape, classes, stem, width and depth of the supernet.
            partial_channels: K of every mixture.

        Raises:
            UsageError: the width leaves less than two channels to work on, or is no multiple of K.
        """
        super().__init__()
        if skeleton.width % partial_channels or skeleton.width // partial_channels < 2:
            raise UsageError(
                f"partial channels of 1/{partial_channels} need a width that is a multiple of {partial_channels} "
                f"and at least {2 * partial_channels}, got {skeleton.width}"
            )
        names = space.decisions[0].relaxed
        assert all(decision.relaxed == names for decision in space.decisions)
        self.cells = {cell.name: cell for cell in cell_topology(space).cells}
        self.selectable = [o for o, name in enumerate(names) if OPERATIONS[name] is not Zero]
        plan = edgeless(space, skeleton)
        deployed = Network(plan)
        self.kinds = [block.kind for block in plan.blocks]
        self.stem, self.head, self.classifier = deployed.stem, deployed.head, deployed.classifier
        self.blocks = nn.ModuleList()
        for block, plain in zip(plan.blocks, deployed.blocks, strict=True):
            if block.kind in self.cells:
                assert isinstance(plain.preprocess, nn.ModuleList)
                plain = MixedCell(self.cells[block.kind], names, block, plain.preprocess, partial_channels)
                without_scale(plain)
            self.blocks.append(plain)
        with_batch_statistics(self)

    def _logits(
        self,
        images: Tensor,
        operation_weights: Tensor,
        edge_weights: Tensor | None,
        active: Sequence[Sequence[int]],
    ) -> Tensor:
        states = [self.stem[0](images)]
        states.append(self.stem[1](states[0]) if len(self.stem) > 1 else states[0])
        for kind, block in zip(self.kinds, self.blocks, strict=True):
            if kind in self.cells:
                cell = self.cells[kind]
                part = slice(cell.first, cell.first + len(cell.edges))
                edges = None if edge_weights is None else edge_weights[part]
                output = block(states, operation_weights[part], edges, active[part])
            else:
                output = block(states)
            states = [states[-1], output]
        logits: Tensor = self.classifier(torch.flatten(self.head(states[-1]), 1))
        return logits
