"""Input features of predictors: blocks of features, each a sum over a basis of the encoding.

The basis is the encoding in each of its forms (see `forms`) with its terms (see `terms`). Each form has four blocks:
MACs and parameters; counts of each operation by part of the network; the terms; the encoding itself. A block is shrunk
as a whole. So few rows are explained by MACs, and positions matter once there are enough rows to separate them.

Letters: N networks, B batch, W slots of the encoding, P columns of the basis, F features of a block, Q of all blocks.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from chronas.networks import space_counts
from chronas.spaces import NOTHING, Cell, NetworkSize, Space, needed_states, reached_states

VARYING = 1e-6  # a feature whose spread is below this share of its largest weight is constant up to rounding


@dataclass(frozen=True)
class Features:
    """Features whose blocks have variance 1 on the networks of a fit.

    Attributes:
        centre: mean of the basis [P].
        projection: features = (basis - centre) @ projection.T [Q, P].
        sizes: number of features of each block; they add up to Q.
        places: whether a feature depends on positions, not only on kinds and amounts [Q].
    """

    centre: Tensor
    projection: Tensor
    sizes: tuple[int, ...]
    places: Tensor

    def of(self, basis_codes: Tensor) -> Tensor:
        """Features [B, Q] from a basis [B, P]."""
        return (basis_codes - self.centre) @ self.projection.T

    def network_inputs(self, places: float) -> Tensor:
        """Weights [Q]: features without positions have variance 1 each, all positions together `places`^2 of theirs."""
        varies = (self.projection != 0).any(dim=1).double()
        counts = torch.zeros(len(self.sizes), dtype=torch.float64).index_add(0, self.blocks, varies)
        others = float((varies * ~self.places).sum())
        encodings = len(set(self.blocks[self.places].tolist()))
        share = places * (max(others, 1.0) / encodings) ** 0.5
        return torch.where(self.places, share, counts[self.blocks].sqrt())

    @property
    def blocks(self) -> Tensor:
        """The index of the block of each feature [Q]."""
        return torch.repeat_interleave(torch.arange(len(self.sizes)), torch.tensor(self.sizes))


@dataclass(frozen=True)
class Basis:
    """The basis [B, P] of encodings, in the parts in which it is computed; products use the parts directly.

    Attributes:
        parts: tensors [B, columns] with P columns in total.
    """

    parts: tuple[Tensor, ...]

    def affine(self, weights: Tensor, bias: Tensor) -> Tensor:
        """Weights [R, P] and bias [R] -> bias + weights @ basis.T [R, B], without a copy of all columns."""
        total = bias[:, None]
        shares = torch.split(weights, [part.shape[1] for part in self.parts], dim=1)
        for share, part in zip(shares, self.parts, strict=True):
            total = torch.addmm(total, share, part.T)
        return total

    def columns(self) -> Tensor:
        """The whole basis [B, P]."""
        return torch.cat([part.T for part in self.parts]).T


def basis_parts(space: Space, size: NetworkSize, codes: Tensor) -> Basis:
    """The basis of encodings [B, W] in parts, differentiable."""
    codes = codes.T.contiguous().T  # transposed once, because everything below works on rows of the batch
    return Basis(tuple(part for form in forms(space, codes) for part in (form, terms(space, size, form))))


def basis(space: Space, size: NetworkSize, codes: Tensor) -> Tensor:
    """The basis [B, P] of encodings [B, W] in one tensor, differentiable."""
    return basis_parts(space, size, codes).columns()


def basis_width(space: Space, size: NetworkSize) -> int:
    """The number of columns P of the basis."""
    return basis(space, size, torch.zeros(1, space.encoding_length, dtype=torch.float64)).shape[1]


def standardised(space: Space, size: NetworkSize, basis_codes: Tensor) -> Features:
    """The features of a space, scaled on the basis [N, P] of the networks of a fit; constant features are zero.

    All features of a block get the same variance, except in an encoding, where rare operations stay small.
    """
    centre = basis_codes.mean(dim=0)
    rows, places = [], []
    for block, is_encoding in _blocks(space, size):
        spread = ((basis_codes - centre) @ block.T).std(dim=0)
        varying = spread > VARYING * block.abs().amax(dim=1)
        count = max(int(varying.sum()), 1)
        scale = spread.square().sum().sqrt().expand_as(spread) if is_encoding else spread * count**0.5
        rows.append(block * (varying / scale.where(varying, 1.0))[:, None])
        places.append(torch.full((len(block),), is_encoding))
    return Features(centre, torch.cat(rows), block_sizes(space, size), torch.cat(places))


def block_sizes(space: Space, size: NetworkSize) -> tuple[int, ...]:
    """The number of features of each block."""
    return tuple(len(block) for block, _ in _blocks(space, size))


def _blocks(space: Space, size: NetworkSize) -> Sequence[tuple[Tensor, bool]]:
    """Each block [F, P], and whether it is an encoding."""
    codes = torch.zeros(1, space.encoding_length, dtype=torch.float64)
    count = len(forms(space, codes))
    of_one = space.encoding_length + terms(space, size, codes).shape[1]
    found = []
    for form in range(count):
        for block, is_encoding in _blocks_of_one(space, size, of_one):
            pad = (form * of_one, (count - form - 1) * of_one)
            found.append((torch.nn.functional.pad(block, pad), is_encoding))
    return found


def kind_counts(space: Space) -> Tensor:
    """The features that count operations: the rows of `Space.feature_map` that add up several slots [F, W]."""
    sums = space.feature_map()
    return torch.from_numpy(sums[(sums != 0).sum(axis=1) > 1])


@functools.cache
def _blocks_of_one(space: Space, size: NetworkSize, width: int) -> tuple[tuple[Tensor, bool], ...]:
    """The blocks of one form over its encoding and terms, with `width` columns; empty ones are left out."""
    eye = torch.eye(width, dtype=torch.float64)
    codes, more = eye[: space.encoding_length], eye[space.encoding_length :]
    form = space_counts(space, size).additive
    if form is None:  # the first two terms are the amounts
        sizes, more = more[:2], more[2:]
    else:
        sizes = torch.from_numpy(np.vstack([form.slot_macs, form.slot_parameters])) @ codes
    found = [(sizes, False), (kind_counts(space) @ codes, False), (more, False), (codes, True)]
    return tuple((part, is_encoding) for part, is_encoding in found if len(part))


# ----
# Dead-edge elimination on relaxed encodings, as differentiable polynomials.
#
# An edge is needed if some path leads from it to the cell's output, and live if also some path leads to it from an
# input. Runtimes drop edges that are not needed (`Architecture.pruned`). The result of a zero node is dropped by some
# runtimes and computed by others, because the bias of a batch norm remains. So a predictor gets all forms, and the
# measurements decide between them.
#
# Valid encodings give exact zeros and ones, relaxed ones smooth values in between, with the gradient of a polynomial.
#
# Letters: B batch, W slots of the encoding, E edges of a cell.


def forms(space: Space, codes: Tensor) -> list[Tensor]:
    """The encodings [B, W] unchanged, with needed edges only, and with live edges only.

    Only the first form if no decision has the option `none`, because then all edges are live.
    """
    if not has_dead_edges(space):
        return [codes]
    needed, live = torch.ones_like(codes), torch.ones_like(codes)
    for cell in space.topology.cells:
        present = (codes @ _present(space, cell).to(codes)).unbind(dim=1)
        use, reach = needed_states(cell, present), reached_states(cell, present)
        slots = _slots(space, cell).to(codes)
        used = torch.stack([use[target] for _, target in cell.edges], dim=1)
        reached = torch.stack([reach[source] for source, _ in cell.edges], dim=1)
        others = 1 - slots.sum(dim=0)
        needed = needed * (used @ slots + others)
        live = live * ((used * reached) @ slots + others)
    return [codes, codes * needed, codes * live]


def has_dead_edges(space: Space) -> bool:
    """Whether an architecture of this space can have edges that lead nowhere."""
    return bool(space.topology.cells) and any(NOTHING in decision.options for decision in space.decisions)


@functools.cache
def _slots(space: Space, cell: Cell) -> Tensor:
    """Mask of the slots of each edge of a cell [E, W]."""
    found = torch.zeros(len(cell.edges), space.encoding_length, dtype=torch.float64)
    for edge in range(len(cell.edges)):
        decision = cell.decision(edge)
        first = space.offsets[decision]
        found[edge, first : first + len(space.decisions[decision].options)] = 1.0
    return found


@functools.cache
def _present(space: Space, cell: Cell) -> Tensor:
    """Mask of the slots that make each edge of a cell present [W, E]."""
    something = [space.decisions[decision].options[option] != NOTHING for decision, option in space.slots]
    return _slots(space, cell).T * torch.tensor(something, dtype=torch.float64)[:, None]


# ----
# Nonlinear terms of an encoding for the effects of a runtime's optimiser on neighbouring operations.
#
# Runtimes compute a ReLU or a pooling of one state once, even if many edges need it. They fuse a ReLU into a
# convolution whose output has no other reader, and an addition into an adjacent convolution. So the cost of an
# operation depends on the other edges at its source and its target. For the number of ReLUs left in ONNX Runtime's
# optimised graphs of 150 DARTS networks, sums over slots explain 10 % of the variance, and these terms explain 99.8 %
# (docs/log.md, 2026-11-22).
#
# All terms are polynomials of the encoding, so they are differentiable. All operations with weights are one kind
# ("weighted"); each operation without weights is its own kind.
#
# Each quantity is a row along the batch, and rows fit the cache, because a search needs a million predictions.
#
# Letters: B batch, W slots of the encoding, E edges of a cell, K kinds, T terms.

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

    A space with scaling decisions has other terms: MACs and parameters, and the counts of operations under each
    option of these decisions.

    Returns:
        [B, T] in the type and on the device of the codes, differentiable.
    """
    if space.topology.scaling:
        return _scaled_terms(space, size, codes)
    if not space.topology.cells:
        return codes[:, :0]
    cells, places = _plans(space, size)
    sizes = [cell.kinds * cell.edges for cell in cells]
    shares = codes.new_zeros(sum(sizes), len(codes)).index_add(0, places.to(codes.device), codes.T)
    parts = zip(cells, torch.split(shares, sizes), strict=True)
    return torch.cat([_of_cell(cell, part.view(cell.kinds, cell.edges, -1)) for cell, part in parts]).T


def relative_amounts(space: Space, size: NetworkSize, codes: Tensor) -> Tensor:
    """MACs and parameters [B, 2] of encodings [B, W], as multiples of those of the space's first network."""
    counts = space_counts(space, size)
    first = counts.amounts(torch.from_numpy(space.encode([space.first()])).double())
    return counts.amounts(codes) / first.to(codes)


def _scaled_terms(space: Space, size: NetworkSize, codes: Tensor) -> Tensor:
    """Terms of a space with scaling decisions: the amounts, then counts of operations under each of their options."""
    counted = codes @ kind_counts(space).T.to(codes)
    slots = [space.offsets[d] + o for d in space.topology.scaling for o in range(len(space.decisions[d].options))]
    return torch.cat([relative_amounts(space, size, codes), *(codes[:, [slot]] * counted for slot in slots)], dim=1)


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
    additive = space_counts(space, size).additive
    assert additive is not None  # others have other terms
    parameters = additive.slot_parameters
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
