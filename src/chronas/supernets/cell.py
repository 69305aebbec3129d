"""A cell whose edges are mixtures; a node is the sum of its incoming edges, weighted by edge normalisation where there
is one.

Letters: `B` images, `C` channels, `E` edges of the cell, `O` relaxed options.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from chronas.networks import BlockPlan, is_even, make_operation
from chronas.spaces import Cell
from chronas.supernets.mixture import Mixture


class MixedCell(nn.Module):
    """All architectures of one kind of cell at once."""

    def __init__(
        self, cell: Cell, names: Sequence[str], block: BlockPlan, preprocess: nn.ModuleList, partial_channels: int
    ) -> None:
        """Make a mixture for each edge.

        Args:
            cell: nodes and edges.
            names: of the O relaxed options of an edge.
            block: channels and sizes at this place of the network.
            preprocess: what each input state goes through first.
            partial_channels: K of every mixture.
        """
        super().__init__()
        self.cell = cell
        self.preprocess = preprocess
        even = is_even(block.sizes[-1])
        self.edges = nn.ModuleList(
            Mixture(names, block.channels, self._stride(source), partial_channels, even=even)
            for source, _ in cell.edges
        )
        self.zero = make_operation("none", block.channels, cell.stride)

    def _stride(self, source: int) -> int:
        return self.cell.stride if source < self.cell.inputs else 1

    def forward(
        self, inputs: list[Tensor], weights: Tensor, edge_weights: Tensor | None, active: Sequence[Sequence[int]]
    ) -> Tensor:
        """Inputs [B, C_in, H, W], the latest last -> [B, C * len(output), H / stride, W / stride], rounded up.

        Args:
            inputs: outputs of the blocks before.
            weights: [E, O].
            edge_weights: [E], or None for a plain sum.
            active: for each edge the operations to compute; an edge without any is absent.
        """
        states = [layer(x) for layer, x in zip(self.preprocess, inputs[-self.cell.inputs :], strict=True)]
        for target in range(self.cell.inputs, self.cell.inputs + self.cell.nodes):
            terms = []
            for number, edge in enumerate(self.cell.edges):
                if edge[1] == target and active[number]:
                    mixed = self.edges[number](states[edge[0]], weights[number], active[number])
                    terms.append(mixed if edge_weights is None else mixed * edge_weights[number])
            states.append(sum(terms[1:], terms[0]) if terms else self.zero(states[self.cell.inputs - 1]))
        return torch.cat([states[i] for i in self.cell.output], dim=1)
