"""Terms of an encoding beyond a sum over slots: what a runtime's optimiser makes of neighbouring operations.

Runtimes compute a ReLU or a pooling of one state once, however many edges ask for it, fuse a ReLU into a convolution
whose output nothing else reads, and an addition into a convolution beside it. So what an operation costs depends on
what else leaves its source and enters its target. Of the ReLUs that are left in ONNX Runtime's optimised graphs of 150
DARTS networks, sums over slots explain 10 % of the variance, these terms 99.8 % (docs/log.md, 2026-11-22).

All terms are polynomials of the encoding, so that they are differentiable. Operations are told apart by their weights:
those that have some are one kind ("weighted"), each operation without weights is a kind of its own.

Letters: B batch, W slots of the encoding, E edges of a cell, K kinds, T terms.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable

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
    found: list[Tensor] = []
    for cell, kinds in zip(space.topology.cells, _kinds(space, skeleton), strict=True):
        shares = {kind: codes @ slots.to(codes) for kind, slots in kinds.items()}
        found.extend(_leaving(cell, shares))
        found.extend(_meeting(cell, shares))
    return torch.stack(found, dim=1)


@functools.cache
def _kinds(space: Space, skeleton: Skeleton) -> tuple[dict[str, Tensor], ...]:
    """For each cell and kind: which slots put that kind on which edges [W, E]; the weighted kind comes first."""
    assert isinstance(space.topology, CellTopology)
    parameters = closed_form(space, skeleton).slot_parameters
    found = []
    for cell in space.topology.cells:
        shape = (space.width, len(cell.edges))
        kinds = {WEIGHTED: torch.zeros(shape, dtype=torch.float64)}
        for edge in range(len(cell.edges)):
            decision = cell.decision(edge)
            for option, name in enumerate(space.decisions[decision].options):
                slot = space.offsets[decision] + option
                kind = WEIGHTED if parameters[slot] else name
                kinds.setdefault(kind, torch.zeros(shape, dtype=torch.float64))[slot, edge] = 1.0
        found.append(kinds)
    return tuple(found)


def _leaving(cell: Cell, shares: dict[str, Tensor]) -> Iterable[Tensor]:
    """Of the input and of the inner states: how many any edge leaves, some of each kind, weighted edges alone."""
    present = torch.stack([*shares.values()]).sum(dim=0)
    unweighted = present - shares[WEIGHTED]
    states = {source for source, _ in cell.edges}
    inner = {state for state in states if state >= cell.inputs}
    for group in (states - inner, inner):
        edges = [[e for e, (source, _) in enumerate(cell.edges) if source == state] for state in sorted(group)]
        for share in (present, unweighted, *shares.values()):
            yield sum((_some(share[:, leaving]) for leaving in edges), start=0 * share[:, 0])


def _meeting(cell: Cell, shares: dict[str, Tensor]) -> Iterable[Tensor]:
    """For each two kinds: how many pairs of edges with them enter a node, any or one that weighted ones leave."""
    nodes = sorted({target for _, target in cell.edges})
    entering = [[e for e, (_, target) in enumerate(cell.edges) if target == node] for node in nodes]
    leaving = [[e for e, (source, _) in enumerate(cell.edges) if source == node] for node in nodes]
    read = [_some(shares[WEIGHTED][:, edges]) for edges in leaving]
    for one, two in itertools.combinations_with_replacement(shares.values(), 2):
        pairs = [_pairs(one[:, edges], two[:, edges], same=one is two) for edges in entering]
        yield torch.stack(pairs).sum(dim=0)
        yield torch.stack([met * some for met, some in zip(pairs, read, strict=True)]).sum(dim=0)


def _some(shares: Tensor) -> Tensor:
    """Whether some of these edges [B, E] is there: [B]."""
    return 1 - (1 - shares).prod(dim=1)


def _pairs(one: Tensor, two: Tensor, *, same: bool) -> Tensor:
    """How many pairs of different edges have these two kinds [B], from how much of each kind stands on each [B, E]."""
    both = one.sum(dim=1) * two.sum(dim=1) - (one * two).sum(dim=1)
    return both / 2 if same else both
