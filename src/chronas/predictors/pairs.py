"""A look-up table with a cost for each pair of neighbouring operations beside that of each operation.

Neighbours are edges of a cell that share a state, or blocks of a chain that follow each other: what runtimes fuse or
compute once. DARTS has 5,096 such pairs, more than anybody measures; so the table is not written out but taken as a
Gaussian process, whose covariance is that of tables with normal entries. It equals ridge regression on all pairs.

Letters: B and M networks, W slots, D decisions.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from chronas.predictors.graph import space_graph
from chronas.predictors.kernel import KernelConfig, KernelPredictor
from chronas.predictors.predictor import Shape, State
from chronas.spaces import Space


class PairTable(KernelPredictor):
    """A cost for each slot and one for each two slots of neighbouring decisions."""

    name = "pairs"
    Config = KernelConfig

    def _setup(self, codes: Tensor) -> dict[str, Tensor]:
        return {"centre": codes.mean(dim=0)}

    def _setup_shapes(self) -> dict[str, Shape]:
        return {"centre": (self.space.width,)}

    def _parts(self, one: Tensor, other: Tensor, state: State) -> list[Tensor]:
        x, y = one - state["centre"], other - state["centre"]
        weights = neighbourhoods(self.space).to(x)
        pairs = torch.zeros(len(x), len(y)).to(x)
        for weight in weights:
            pairs = pairs + ((x * weight) @ y.T).square()
        return [x @ y.T / len(self.space.decisions), pairs / len(weights)]

    def _own(self, codes: Tensor, state: State) -> list[Tensor]:
        squares = (codes - state["centre"]).square()
        pairs = (squares @ neighbourhoods(self.space).to(codes).T).square().mean(dim=1)
        return [squares.sum(dim=1) / len(self.space.decisions), pairs]


@functools.cache
def neighbourhoods(space: Space) -> Tensor:
    """Weights of slots [D, W], for which sum over D of (sum over W of weight x y)^2 is a sum over pairs of neighbours.

    The sum over all neighbours d, e of (s_d + s_e)^2, s being what two networks share in a decision, is a quadratic
    form; these are its eigenvectors, so that D products stand for hundreds of pairs.
    """
    count = len(space.decisions)
    form = torch.zeros(count, count, dtype=torch.float64)
    ends = _ends(space)
    for one in range(count):
        for other in range(one):
            if ends[one] & ends[other]:
                for d in (one, other):
                    for e in (one, other):
                        form[d, e] += 1.0
    values, vectors = torch.linalg.eigh(form)
    decisions = torch.tensor([decision for decision, _ in space.slots])
    weights: Tensor = ((values.clamp_min(0) / values.mean()).sqrt() * vectors).T[:, decisions]
    return weights


def _ends(space: Space) -> dict[int, set[int]]:
    """The two states that each decision's edge joins."""
    by_slot = {first: {source, target} for source, target, first, _ in space_graph(space).edges}
    return {decision: by_slot[offset] for decision, offset in enumerate(space.offsets)}
