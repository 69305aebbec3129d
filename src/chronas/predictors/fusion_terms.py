"""Terms of an encoding beyond a sum over slots: what a runtime's optimiser makes of neighbouring operations.

Runtimes compute a ReLU or a pooling of one state once, however many edges ask for it, fuse a ReLU into a convolution
whose output nothing else reads, and an addition into a convolution beside it. So what an operation costs depends on
what else leaves its source and enters its target. Of the ReLUs that are left in ONNX Runtime's optimised graphs of 150
DARTS networks, sums over slots explain 10 % of the variance, these terms 99.8 % (docs/log.md, 2026-11-22).

All terms are polynomials of the encoding, so that they are differentiable. Operations are told apart by their weights:
those that have some are one kind ("weighted"), each operation without weights is a kind of its own.

All is computed with a row for each quantity and the batch along it, in rows that stay in a cache: a search asks for a
million.

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

    For each kind of cell: how many input states, and how many inner states, some edge leaves, some without weights,
    some of each kind of operation; for each two kinds, how many pairs of edges with them meet in a node, and in a node
    that some edge with weights leaves.

    Args:
        space: whose encodings they are; a space without cells has no terms.
        size: decides which operations have weights.
        codes: [B, W], valid or relaxed, in any precision and on any device.

    Returns:
        [B, T] like the codes, differentiable.
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
    """How the terms of a kind of cell are made of the shares of K kinds on E edges.

    Attributes:
        kinds: K.
        edges: E.
        leaving: for each state that some edge leaves, inputs first, these edges.
        inputs: how many of these states are inputs.
        entering: for each node the edges that enter it.
        read: for each node its place among the states that edges leave; None: none leaves it.
    """

    kinds: int
    edges: int
    leaving: list[list[int]]
    inputs: int
    entering: list[list[int]]
    read: list[int | None]


def _of_cell(plan: _Plan, shares: Tensor) -> Tensor:
    """The terms [T, B] of one kind of cell, from how much of each kind is on each edge [K, E, B]."""
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
    halved = torch.where(first == second, 0.5, 1.0).to(shares)[:, None]  # an edge meets another of its kind once
    both = [each[first, second] * halved for each in (meeting, followed)]
    inputs, inner = (sum(part, start=none) for part in (some[: plan.inputs], some[plan.inputs :]))
    return torch.cat([inputs, inner, torch.stack(both, dim=1).flatten(0, 1)])


def _pairs(ones: list[Tensor]) -> Tensor:
    """How many pairs of edges [K, K, B] have each two kinds, from how much of each kind each edge has [K, B]."""
    node = functools.reduce(torch.add, ones)
    pairs = node[:, None] * node
    for one in ones:  # an edge makes no pair with itself
        pairs = torch.addcmul(pairs, one[:, None], one, value=-1)
    return pairs


@functools.cache
def _plans(space: Space, size: NetworkSize) -> tuple[tuple[_Plan, ...], Tensor]:
    """The plan of each kind of cell, and for each slot its place among all their shares [W]."""
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
