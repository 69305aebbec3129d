"""Nonlinear terms of an encoding for the effects of a runtime's optimiser on neighbouring operations.

Runtimes compute a ReLU or a pooling of one state once, even if many edges need it. They fuse a ReLU into a convolution
whose output has no other reader, and an addition into an adjacent convolution. So the cost of an operation depends on
the other edges at its source and its target. For the number of ReLUs left in ONNX Runtime's optimised graphs of 150
DARTS networks, sums over slots explain 10 % of the variance, and these terms explain 99.8 % (docs/log.md, 2026-11-22).

All terms are polynomials of the encoding, so they are differentiable. All operations with weights are one kind
("weighted"); each operation without weights is its own kind.

Each quantity is a row along the batch, and rows fit the cache, because a search needs a million predictions.

Letters: B batch, W slots of the encoding, E edges of a cell, K kinds, T terms.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
from torch import Tensor

from chronas.networks import space_counts
from chronas.spaces import Cell, NetworkSize, Space

WEIGHTED = ""  # the kind of all operations with weights; no operation has an empty name


def terms(space: Space, size: NetworkSize, codes: Tensor) -> Tensor:
    """The terms of encodings.

    Terms of each kind of cell: the numbers of input states and of inner states that some edge leaves, that some edge
    without weights leaves, and that some edge of each kind leaves; for each two kinds, the number of pairs of edges
    with these kinds that meet in a node, and in a node that some edge with weights leaves.

    Args:
        space: space of the encodings; a space without cells has no terms.
        size: size of the networks; it decides which operations have weights.
        codes: [B, W], valid or relaxed, in any precision and on any device.

    Returns:
        [B, T] in the type and on the device of the codes, differentiable.
    """
    if not space.topology.cells:
        return codes[:, :0]
    cells, places = _plans(space, size)
    sizes = [cell.kinds * cell.edges for cell in cells]
    shares = codes.new_zeros(sum(sizes), len(codes)).index_add(0, places.to(codes.device), codes.T)
    parts = zip(cells, torch.split(shares, sizes), strict=True)
    return torch.cat([_of_cell(cell, part.view(cell.kinds, cell.edges, -1)) for cell, part in parts]).T


@dataclass(frozen=True)
class _Plan:
    """The structure of a kind of cell, for computing terms from the shares of K kinds on E edges.

    Attributes:
        kinds: number of kinds, K.
        edges: number of edges, E.
        leaving: the edges that leave each state with such edges, inputs first.
        inputs: number of inputs among these states.
        entering: the edges that enter each node.
        read: the index of each node among the states that edges leave; None if no edge leaves it.
    """

    kinds: int
    edges: int
    leaving: list[list[int]]
    inputs: int
    entering: list[list[int]]
    read: list[int | None]


def _of_cell(plan: _Plan, shares: Tensor) -> Tensor:
    """The terms [T, B] of one kind of cell, from the share of each kind on each edge [K, E, B]."""
    present = shares.sum(dim=0, keepdim=True)
    absent = 1 - torch.cat([present, present - shares[:1], shares])
    some = [1 - functools.reduce(torch.mul, [absent[:, e] for e in edges]) for edges in plan.leaving]  # [2 + K, B]
    none = torch.zeros_like(absent[:, 0])
    pairs = [_pairs([shares[:, e] for e in entering]) for entering in plan.entering]
    meeting = functools.reduce(torch.add, pairs)
    followed = torch.zeros_like(meeting)
    for met, read in zip(pairs, plan.read, strict=True):
        if read is not None:
            followed = torch.addcmul(followed, met, some[read][2])
    first, second = torch.triu_indices(plan.kinds, plan.kinds, device=shares.device)
    halved = torch.where(first == second, 0.5, 1.0).to(shares)[:, None]  # equal kinds would count twice
    both = [each[first, second] * halved for each in (meeting, followed)]
    inputs, inner = (sum(part, start=none) for part in (some[: plan.inputs], some[plan.inputs :]))
    return torch.cat([inputs, inner, torch.stack(both, dim=1).flatten(0, 1)])


def _pairs(ones: list[Tensor]) -> Tensor:
    """The number of pairs of edges with each two kinds [K, K, B], from the share of each kind on each edge [K, B]."""
    node = functools.reduce(torch.add, ones)
    pairs = node[:, None] * node
    for one in ones:  # an edge does not pair with itself
        pairs = torch.addcmul(pairs, one[:, None], one, value=-1)
    return pairs


@functools.cache
def _plans(space: Space, size: NetworkSize) -> tuple[tuple[_Plan, ...], Tensor]:
    """The plan of each kind of cell, and the index of each slot among all their shares [W]."""
    parameters = space_counts(space, size).slot_parameters
    plans: list[_Plan] = []
    places = torch.zeros(space.encoding_length, dtype=torch.int64)
    before = 0
    for cell in space.topology.cells:
        kinds: dict[str, list[tuple[int, int]]] = {WEIGHTED: []}
        for edge in range(len(cell.edges)):
            decision = cell.decision(edge)
            for option, name in enumerate(space.decisions[decision].options):
                slot = space.offsets[decision] + option
                kinds.setdefault(WEIGHTED if parameters[slot] else name, []).append((edge, slot))
        plans.append(_plan(cell, len(kinds)))
        for number, taken in enumerate(kinds.values()):
            for edge, slot in taken:
                places[slot] = before + number * len(cell.edges) + edge
        before += len(kinds) * len(cell.edges)
    return tuple(plans), places


def _plan(cell: Cell, kinds: int) -> _Plan:
    nodes, states = sorted({target for _, target in cell.edges}), sorted({source for source, _ in cell.edges})
    return _Plan(
        kinds=kinds,
        edges=len(cell.edges),
        leaving=[[e for e, (source, _) in enumerate(cell.edges) if source == state] for state in states],
        inputs=sum(state < cell.inputs for state in states),
        entering=[[e for e, (_, target) in enumerate(cell.edges) if target == node] for node in nodes],
        read=[states.index(node) if node in states else None for node in nodes],
    )
