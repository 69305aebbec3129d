"""Dead-edge elimination on relaxed encodings, as differentiable polynomials.

An edge is needed if some path leads from it to the cell's output, and live if also some path leads to it from an input.
Runtimes drop edges that are not needed (`Architecture.pruned`). The result of a zero node is dropped by some runtimes
and computed by others, because the bias of a batch norm remains. So a predictor gets all forms, and the measurements
decide between them.

Valid encodings give exact zeros and ones, relaxed ones smooth values in between, with the gradient of a polynomial.

Letters: B batch, W slots of the encoding, E edges of a cell.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from chronas.spaces import NOTHING, Cell, Space, needed_states, reached_states


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
