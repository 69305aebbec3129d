"""Terms of an encoding beyond a sum over slots: what a runtime's optimiser makes of neighbouring operations.

Runtimes compute a ReLU or a pooling of one state once, however many edges ask for it, fuse a ReLU into a convolution
whose output nothing else reads, and an addition into a convolution beside it. So what an operation costs depends on
what else leaves its source and enters its target. Of the ReLUs that are left in ONNX Runtime's optimised graphs of 150
DARTS networks, sums over slots explain 10 % of the variance, these terms 99.8 % (docs/log.md, 2026-11-22).

All terms are polynomials of the encoding, so that they are differentiable. Operations are told apart by their weights:
those that have some are one kind ("weighted"), each operation without weights is a kind of its own.

All is computed with a row for each quantity and the batch along it, many rows at a time: a search asks for a million.

Letters: B batch, W slots of the encoding, E edges of a cell, K kinds, C pairs of kinds, T terms.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from chronas.networks import closed_form
from chronas.spaces import Cell, CellTopology, Skeleton, Space

WEIGHTED = ""  # the kind of all operations with weights; no operation has an empty name


def terms(space: Space, skeleton: Skeleton, codes: Tensor) -> Tensor:
    """The terms of encodings.

    For each kind of cell: how many input states, and how many inner states, some edge leaves, some without weights,
    some of each kind of operation; for each two kinds, how many pairs of edges with them meet in a node, and in a node
    that some edge with weights leaves.

    Args:
        space: whose encodings they are; a space without cells has no terms.
        skeleton: decides which operations have weights.
        codes: [B, W], valid or relaxed, in any precision and on any device.

    Returns:
        [B, T] like the codes, differentiable.
    """
    if not isinstance(space.topology, CellTopology):
        return codes[:, :0]
    rows = torch.cat([codes.T, torch.zeros_like(codes.T[:1])])
    return torch.cat([_of_cell(plan, rows) for plan in _plans(space, skeleton)]).T


@dataclass(frozen=True)
class _Plan:
    """Which rows a cell's terms take; each index [R, n] tells R rows to add or multiply, the row behind all is neutral.

    Attributes:
        edges: number of edges, E.
        weighted: slots with weights of each edge [R, E].
        others: the slot of each other kind on each edge [(K - 1) * E].
        leaving: edges that leave each state that some edge leaves, inputs first [R, S].
        inputs: how many of these states are inputs.
        entering: edges that enter each node [R, n].
        read: for each node its place among the states that edges leave, or S [n].
        pairs: numbers of the two kinds of each pair [2, C].
    """

    edges: int
    weighted: Tensor
    others: Tensor
    leaving: Tensor
    inputs: int
    entering: Tensor
    read: Tensor
    pairs: Tensor


def _of_cell(plan: _Plan, rows: Tensor) -> Tensor:
    """The terms of one kind of cell, from encodings [W + 1, B] whose last row is zero."""
    weighted = sum((rows[each] for each in plan.weighted[1:]), start=rows[plan.weighted[0]])
    shares = torch.cat([weighted, rows[plan.others]])  # [K * E, B]
    shares = shares.reshape(len(shares) // plan.edges, plan.edges, shares.shape[1])
    present = shares.sum(dim=0, keepdim=True)
    asked = torch.cat([present, present - shares[:1], shares])
    absent = _padded(1 - asked, 1.0)
    some = 1 - functools.reduce(torch.mul, [absent[:, rank] for rank in plan.leaving])  # [2 + K, S, B]
    leaving = [some[:, : plan.inputs].sum(dim=1), some[:, plan.inputs :].sum(dim=1)]
    one, two = plan.pairs
    padded = _padded(shares, 0.0)
    entering = [padded[:, rank] for rank in plan.entering]
    nodes = sum(entering[1:], start=entering[0])
    met = nodes[one] * nodes[two] - sum((each[one] * each[two] for each in entering), start=0.0)  # [C, n, B]
    met = met * torch.where(one == two, 0.5, 1.0).to(met)[:, None, None]
    read = torch.cat([some[2], torch.zeros_like(some[2, :1])])[plan.read]
    meeting = torch.stack([met.sum(dim=1), (met * read).sum(dim=1)], dim=1).flatten(0, 1)
    return torch.cat([*leaving, meeting])


def _padded(values: Tensor, neutral: float) -> Tensor:
    """Values [K, E, B] with a neutral row behind the last [K, E + 1, B]."""
    return torch.cat([values, torch.full_like(values[:, :1], neutral)], dim=1)


@functools.cache
def _plans(space: Space, skeleton: Skeleton) -> tuple[_Plan, ...]:
    """The plan of each kind of cell."""
    assert isinstance(space.topology, CellTopology)
    parameters = closed_form(space, skeleton).slot_parameters
    plans = []
    for cell in space.topology.cells:
        kinds: dict[str, list[list[int]]] = {WEIGHTED: [[] for _ in cell.edges]}
        for edge in range(len(cell.edges)):
            decision = cell.decision(edge)
            for option, name in enumerate(space.decisions[decision].options):
                slot = space.offsets[decision] + option
                kind = WEIGHTED if parameters[slot] else name
                kinds.setdefault(kind, [[] for _ in cell.edges])[edge].append(slot)
        plans.append(_plan(cell, list(itertools.chain.from_iterable(kinds.values())), len(kinds), space.width))
    return tuple(plans)


def _plan(cell: Cell, slots: list[list[int]], kinds: int, width: int) -> _Plan:
    """The plan of a cell, from the slots of each kind on each edge [K * E]."""
    edges, nodes = len(cell.edges), sorted({target for _, target in cell.edges})
    states = sorted({source for source, _ in cell.edges})
    leaving = [[e for e, (source, _) in enumerate(cell.edges) if source == state] for state in states]
    entering = [[e for e, (_, target) in enumerate(cell.edges) if target == node] for node in nodes]
    return _Plan(
        edges=edges,
        weighted=_index(slots[:edges], width),
        others=_index(slots[edges:], width)[0],
        leaving=_index(leaving, edges),
        inputs=sum(state < cell.inputs for state in states),
        entering=_index(entering, edges),
        read=torch.tensor([states.index(node) if node in states else len(states) for node in nodes]),
        pairs=torch.tensor(list(itertools.combinations_with_replacement(range(kinds), 2))).T,
    )


def _index(taken: Sequence[Sequence[int]], neutral: int) -> Tensor:
    """What each of n takes, one below the other [R, n], filled up with the neutral row."""
    most = max(map(len, taken))
    return torch.tensor([[*each, *[neutral] * (most - len(each))] for each in taken]).T
