"""A cell whose edges hold all operations; edge normalisation weighs what each edge brings, where there is one.

With partial channels K (PC-DARTS, arXiv 1907.05737) the first C / K channels go through the operations, the others
around them, and a channel shuffle of K groups mixes both for the next node. A node's edges are summed before the
shuffle, which is the same.

Letters: `B` images, `C` channels, `E` edges of the cell, `O` relaxed options, `K` partial channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from chronas.networks import BlockPlan, is_even, make_operation
from chronas.spaces import Cell
from chronas.supernets.mixture import Brought, MixedEdge, leaving, mixture
from chronas.supernets.norms import Standardise
from chronas.supernets.state import State
from chronas.supernets.weighing import weighted_sum


class MixedCell(nn.Module):
    """All architectures of one kind of cell at once."""

    def __init__(
        self, cell: Cell, names: Sequence[str], block: BlockPlan, preprocess: nn.ModuleList, partial_channels: int
    ) -> None:
        """Make the operations of each edge.

        Args:
            cell: nodes and edges.
            names: of the O relaxed options of an edge.
            block: channels and sizes at this place of the network; channels are a multiple of K.
            preprocess: what each input state goes through first.
            partial_channels: K; 1 sends all channels through the operations.
        """
        super().__init__()
        self.cell = cell
        self.preprocess = preprocess
        self.partial_channels = partial_channels
        self.worked = block.channels // partial_channels
        even = is_even(block.sizes[-1])
        self.edges = nn.ModuleList(
            MixedEdge(names, self.worked, self._stride(source), even=even) for source, _ in cell.edges
        )
        self.norm = Standardise()
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
        edge_weights = weights.new_ones(len(weights)) if edge_weights is None else edge_weights
        states = [layer(x) for layer, x in zip(self.preprocess, inputs[-self.cell.inputs :], strict=True)]
        around = [self._around(x, self.cell.stride) for x in states]
        weights = weights * edge_weights[:, None]
        brought: dict[int, Brought] = {}
        for number, x in enumerate(states):
            brought |= self._leaving(number, x, weights, active)
        for target in range(self.cell.inputs, self.cell.inputs + self.cell.nodes):
            here = [(n, source) for n, (source, end) in enumerate(self.cell.edges) if end == target and active[n]]
            if not here:
                states.append(self.zero(states[self.cell.inputs - 1]))
            else:
                node = mixture([brought[n] for n, _ in here])
                if self.partial_channels > 1:
                    rest = weighted_sum([around[s] for _, s in here], torch.stack([edge_weights[n] for n, _ in here]))
                    node = functional.channel_shuffle(torch.cat([node, rest], dim=1), self.partial_channels)
                states.append(node)
            brought |= self._leaving(target, states[-1], weights, active)
            around.append(self._around(states[-1], 1))
        return torch.cat([states[i] for i in self.cell.output], dim=1)

    def _leaving(self, number: int, x: Tensor, weights: Tensor, active: Sequence[Sequence[int]]) -> dict[int, Brought]:
        """What each edge that leaves a state brings, by the edge's number."""
        here = [n for n, (source, _) in enumerate(self.cell.edges) if source == number and active[n]]
        if not here:
            return {}
        state = State(x if self.partial_channels == 1 else x[:, : self.worked], self.norm)
        edges = cast("list[MixedEdge]", [self.edges[n] for n in here])
        return dict(zip(here, leaving(edges, state, weights[here], [active[n] for n in here]), strict=True))

    def _around(self, x: Tensor, stride: int) -> Tensor:
        rest = x[:, self.worked :]
        return functional.max_pool2d(rest, 2, 2, ceil_mode=True) if stride > 1 and self.partial_channels > 1 else rest
