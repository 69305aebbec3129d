"""The supernet of cells as its formula says it, with nothing shared and nothing fused: what the fast one must equal."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from chronas.supernets.cells import CellSupernet, MixedCell


class PlainSupernet(nn.Module):
    """A copy of a supernet, its weights with it; every operation of every edge is computed by itself."""

    def __init__(self, supernet: CellSupernet) -> None:
        super().__init__()
        self.copied = copy.deepcopy(supernet).to(memory_format=torch.contiguous_format)

    def forward(
        self, images: Tensor, weights: Tensor, edge_weights: Tensor | None = None, *, computed: Tensor | None = None
    ) -> Tensor:
        assert computed is None
        net = self.copied
        states = [net.stem[0](images)]
        states.append(net.stem[1](states[0]) if len(net.stem) > 1 else states[0])
        for kind, block in zip(net.kinds, net.blocks, strict=True):
            if isinstance(block, MixedCell):
                cell = net.cells[kind]
                part = slice(cell.first, cell.first + len(cell.edges))
                edges = torch.ones(len(weights)).to(weights) if edge_weights is None else edge_weights
                output = plain_cell(block, states, weights[part], edges[part], net.selectable[part])
            else:
                output = block(states)
            states = [states[-1], output]
        return net.classifier(net.head(states[-1]).flatten(1))


def plain_cell(
    block: MixedCell, inputs: list[Tensor], weights: Tensor, edge_weights: Tensor, selectable: Sequence[Sequence[int]]
) -> Tensor:
    """An edge that weighs nothing but `none` is absent, with what goes around its operations."""
    cell, present = (
        block.cell,
        [bool(row[list(here)].ne(0).any()) for row, here in zip(weights, selectable, strict=True)],
    )
    states = [layer(x) for layer, x in zip(block.preprocess, inputs[-cell.inputs :], strict=True)]
    for target in range(cell.inputs, cell.inputs + cell.nodes):
        edges = [(n, source) for n, (source, end) in enumerate(cell.edges) if end == target and present[n]]
        terms = [edge_weights[n] * plain_edge(block, n, states[source], weights[n]) for n, source in edges]
        states.append(sum(terms) if terms else block.zero(states[cell.inputs - 1]))
    return torch.cat([states[i] for i in cell.output], dim=1)


def plain_edge(block: MixedCell, number: int, x: Tensor, weights: Tensor) -> Tensor:
    """PC-DARTS's first channels through all operations, the others around them, and a shuffle behind both."""
    operations, groups = block.edges[number].operations, block.partial_channels
    worked, around = x[:, : x.shape[1] // groups], x[:, x.shape[1] // groups :]
    mixed = sum(weight * operation(worked) for weight, operation in zip(weights, operations, strict=True))
    if groups == 1:
        return mixed
    if mixed.shape[2] != x.shape[2]:
        around = functional.max_pool2d(around, 2, 2, ceil_mode=True)
    batch, channels, height, width = x.shape[0], x.shape[1], *mixed.shape[2:]
    both = torch.cat([mixed, around], dim=1).view(batch, groups, channels // groups, height, width)
    return both.transpose(1, 2).reshape(batch, channels, height, width)
