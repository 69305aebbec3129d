"""A supernet of cells: one weight-sharing network that holds all choices of a cell space (DARTS, arXiv 1806.09055).

Stem, preprocessing, residual blocks and head are those of the deployed network. All batch norms use the statistics of
the batch, in training and in evaluation, because moving averages over a mixture fit no single architecture. Inside
cells they have no scale and shift, as in the original. Tensors are channels-last inside: on a CPU core, depthwise
convolutions of 32x32 images and their gradients are several times faster this way.

The edges of a cell hold all operations. Edge weights, if any, scale the output of each edge (edge normalisation). With
partial channels K (PC-DARTS, arXiv 1907.05737) the first C / K channels go through the operations and the others bypass
them; a channel shuffle of K groups mixes both for the next node. The edges of a node are summed before the shuffle,
which gives the same result.

Letters: `B` images, `C` channels, `D` decisions, `E` edges of the cell, `O` relaxed options, `K` partial channels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from chronas.errors import UsageError
from chronas.networks import BlockPlan, Network, is_even, make_operation
from chronas.spaces import NOTHING, Cell, CellTopology, NetworkSize, Space
from chronas.supernets.kernels import BatchStandardise, weighted_sum, with_batch_statistics, without_scale
from chronas.supernets.mixed_op import EdgeOutput, MixedEdge, SharedInputs, edge_outputs, mixture
from chronas.supernets.supernet import Supernet


class MixedCell(nn.Module):
    """All architectures of one kind of cell at once."""

    def __init__(
        self,
        cell: Cell,
        names: Sequence[Sequence[str]],
        types: Mapping[str, Callable[..., nn.Module]],
        block: BlockPlan,
        preprocess: nn.ModuleList,
        partial_channels: int,
    ) -> None:
        """Create the operations of each edge.

        Args:
            cell: nodes and edges of the cell.
            names: for each edge the names of its O relaxed options.
            types: the class of each operation.
            block: channels and sizes at this place of the network; channels are a multiple of K.
            preprocess: the preprocessing module of each input state.
            partial_channels: K; 1 sends all channels through the operations.
        """
        super().__init__()
        self.cell = cell
        self.preprocess = preprocess
        self.partial_channels = partial_channels
        self.worked = block.channels // partial_channels
        even = is_even(block.sizes[-1])
        self.edges = nn.ModuleList(
            MixedEdge(options, self.worked, self._stride(source), types, even=even)
            for options, (source, _) in zip(names, cell.edges, strict=True)
        )
        self.norm = BatchStandardise()
        self.zero = make_operation("none", block.channels, cell.stride)

    def _stride(self, source: int) -> int:
        return self.cell.stride if source < self.cell.inputs else 1

    def forward(
        self, inputs: list[Tensor], weights: Tensor, edge_weights: Tensor | None, active: Sequence[Sequence[int]]
    ) -> Tensor:
        """Inputs [B, C_in, H, W], the latest last -> [B, C * len(output), H / stride, W / stride], rounded up.

        Args:
            inputs: outputs of the previous blocks.
            weights: [E, O].
            edge_weights: [E], or None for a plain sum.
            active: for each edge the operations to compute; an edge without operations is absent.
        """
        edge_weights = weights.new_ones(len(weights)) if edge_weights is None else edge_weights
        states = [layer(x) for layer, x in zip(self.preprocess, inputs[-self.cell.inputs :], strict=True)]
        around = [self._around(x, self.cell.stride) for x in states]
        weights = weights * edge_weights[:, None]
        brought: dict[int, EdgeOutput] = {}
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

    def _leaving(
        self, number: int, x: Tensor, weights: Tensor, active: Sequence[Sequence[int]]
    ) -> dict[int, EdgeOutput]:
        """The outputs of the edges that leave a state, by the number of the edge."""
        here = [n for n, (source, _) in enumerate(self.cell.edges) if source == number and active[n]]
        if not here:
            return {}
        state = SharedInputs(x if self.partial_channels == 1 else x[:, : self.worked], self.norm)
        edges = cast("list[MixedEdge]", [self.edges[n] for n in here])
        return dict(zip(here, edge_outputs(edges, state, weights[here], [active[n] for n in here]), strict=True))

    def _around(self, x: Tensor, stride: int) -> Tensor:
        rest = x[:, self.worked :]
        return functional.max_pool2d(rest, 2, 2, ceil_mode=True) if stride > 1 and self.partial_channels > 1 else rest


class CellSupernet(Supernet):
    """All architectures of a space of cells; edge weights scale the output of each edge."""

    def __init__(self, space: Space, topology: CellTopology, size: NetworkSize, partial_channels: int) -> None:
        """Create stem, blocks and head.

        Args:
            space: a space of cells.
            topology: topology of the space.
            size: input shape, classes, stem, width and depth of the supernet.
            partial_channels: K, for every cell.

        Raises:
            UsageError: the width leaves less than two channels for the operations, or is not a multiple of K.
        """
        super().__init__()
        if size.width % partial_channels or size.width // partial_channels < 2:
            raise UsageError(
                f"partial channels of 1/{partial_channels} need a width that is a multiple of {partial_channels} "
                f"and at least {2 * partial_channels}, got {size.width}"
            )
        names = [decision.relaxed for decision in space.decisions]
        self.cells = {cell.name: cell for cell in topology.cells}
        self.selectable = [[o for o, name in enumerate(options) if name != NOTHING] for options in names]
        plan, types = topology.edgeless(size), topology.types
        deployed = Network(plan, types)
        self.kinds = [block.kind for block in plan.blocks]
        self.stem, self.head, self.classifier = deployed.stem, deployed.head, deployed.classifier
        self.blocks = nn.ModuleList()
        for block, plain in zip(plan.blocks, deployed.blocks, strict=True):
            if block.kind in self.cells:
                assert isinstance(plain.preprocess, nn.ModuleList)
                cell = self.cells[block.kind]
                options = names[cell.first : cell.first + len(cell.edges)]
                plain = MixedCell(cell, options, types, block, plain.preprocess, partial_channels)
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
