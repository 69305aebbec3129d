"""Mixed operations on the edges of a supernet's cell (DARTS, arXiv 1806.09055).

    node = sum over incoming edges e and operations o of weights[e, o] * operation[e, o](source state of e)

The edges that leave a state are computed together: shared parts once, the rest side by side. As in the paper's code,
batch norms have no scale and shift, and a pooling is followed by one. `none` adds nothing, so it is never computed.

Letters: `B` images, `C` channels, `E` edges that leave a state, `O` operations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from chronas.networks import OPERATIONS, make_operation
from chronas.supernets.kernels import batch_to_space, weighted_sum
from chronas.supernets.parallel_edges import SharedInputs, parallel_edges


class MixedEdge(nn.Module):
    """The operations of one edge."""

    def __init__(
        self,
        names: Sequence[str],
        channels: int,
        stride: int,
        types: Mapping[str, Callable[..., nn.Module]] = OPERATIONS,
        *,
        even: bool,
    ) -> None:
        """Create the operations.

        Args:
            names: names of the O operations.
            channels: C.
            stride: 1 or 2.
            types: the class of each operation.
            even: whether height and width are known to be even.
        """
        super().__init__()
        self.columns = {name: o for o, name in enumerate(names)}
        self.operations = nn.ModuleList(_operation(name, channels, stride, types, even=even) for name in names)
        self.shared = [not list(operation.parameters()) for operation in self.operations]


class EdgeOutput(NamedTuple):
    """The contribution of an edge to its node: the sum of `parts` and of each of `terms` times its weight [].

    Attributes:
        parts: tensors [B, C, H, W].
        terms: pairs of a tensor [B, C, H, W] and a weight [].
    """

    parts: list[Tensor]
    terms: list[tuple[Tensor, Tensor]]


def edge_outputs(
    edges: Sequence[MixedEdge], state: SharedInputs, weights: Tensor, active: Sequence[Sequence[int]]
) -> list[EdgeOutput]:
    """The contributions of E edges that leave one state.

    Args:
        edges: edges of one stride.
        state: the state that they leave.
        weights: [E, O].
        active: for each edge the indices of the operations to compute, among O.
    """
    brought = [EdgeOutput([], []) for _ in edges]
    sums: dict[tuple[tuple[int, ...], bool], Tensor] = {}
    single = [row.unbind() for row in weights.unbind()]
    for name in dict.fromkeys(name for edge in edges for name in edge.columns):
        chosen = tuple(e for e, numbers in enumerate(active) if edges[e].columns.get(name, -1) in numbers)
        if not chosen:
            continue
        columns = {e: edges[e].columns[name] for e in chosen}
        operations = [edges[e].operations[o] for e, o in columns.items()]
        if edges[chosen[0]].shared[columns[chosen[0]]]:
            for e, o in columns.items():
                brought[e].terms.append((state.once(name, operations[0]), single[e][o]))
        else:
            found = parallel_edges(operations, state, torch.stack([single[e][o] for e, o in columns.items()]))
            key = (chosen, found.apart)
            sums[key] = sums[key].add_(found.x) if key in sums else found.x
    for (chosen, apart), total in sums.items():
        whole = batch_to_space(total, *state.x.shape[2:]) if apart else total
        for e, part in zip(chosen, whole.chunk(len(chosen), dim=1), strict=True):
            brought[e].parts.append(part)
    return brought


def mixture(brought: Sequence[EdgeOutput]) -> Tensor:
    """A node [B, C, H, W]: the sum of its edges' contributions, with at least one term."""
    terms = [term for each in brought for term in each.terms]
    return weighted_sum(
        [x for x, _ in terms],
        torch.stack([weight for _, weight in terms]) if terms else torch.empty(0),
        [part for each in brought for part in each.parts],
    )


def _operation(
    name: str, channels: int, stride: int, types: Mapping[str, Callable[..., nn.Module]], *, even: bool
) -> nn.Module:
    operation = make_operation(name, channels, stride, affine=False, even=even, types=types)
    if any(isinstance(module, nn.MaxPool2d | nn.AvgPool2d) for module in operation.modules()):
        return nn.Sequential(operation, nn.BatchNorm2d(channels, affine=False))
    return operation
