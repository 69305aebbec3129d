"""Mixed operations on the edges of a supernet's cell (DARTS, arXiv 1806.09055).

    node = sum over incoming edges e and operations o of weights[e, o] * operation[e, o](source state of e)

The edges that leave a state are computed together: shared parts once, the rest side by side. As in the paper's code,
batch norms have no scale and shift, and a pooling is followed by one. `none` adds nothing, so it is never computed.

Letters: `B` images, `C` channels, `E` edges that leave a state, `O` operations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from chronas.networks import OPERATIONS, make_operation
from chronas.supernets.kernels import batch_to_space, depthwise, space_to_batch, weighted_sum


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


# ----
# One operation on all edges that leave a state: their channels are side by side in one tensor.
#
# One kernel call serves all edges. The weight of the operation on an edge is the scale of its last batch norm. Inputs
# that several edges need are computed once for each state.
#
# Letters: `B` images, `C` channels that go through operations, `E` edges.


class SharedInputs:
    """Tensors computed from one state of a cell that several edges need; each is computed once."""

    def __init__(self, x: Tensor, norm: nn.Module) -> None:
        """Take the state's tensor [B, C, H, W], and the norm of everything computed from it, a `BatchStandardise`."""
        self.x = x
        self.norm = norm
        self._made: dict[tuple[str, int | str], Tensor] = {}

    @cached_property
    def rectified(self) -> Tensor:
        """[B, C, H, W] the ReLU that most operations begin with."""
        return self.x.relu()

    def repeated(self, edges: int) -> Tensor:
        """[B, E * C, H, W] the rectified state, once for each edge."""
        return self._kept("repeated", edges, lambda: _times(self.rectified, edges))

    def halved(self, edges: int) -> Tensor:
        """[B, E * C, H / 2, W / 2], rounded up: every second row and column of the rectified state, for each edge."""
        return self._kept("halved", edges, lambda: _times(self.rectified[:, :, ::2, ::2], edges))

    def sublattices(self, edges: int) -> Tensor:
        """[4 * B, E * C, H / 2, W / 2], rounded up: the sublattices of the rectified state, for each edge."""
        return self._kept("sublattices", edges, lambda: _times(self._apart, edges))

    def once(self, name: str, operation: nn.Module) -> Tensor:
        """The output of an operation without weights; it is the same on all edges that leave this state."""
        return self._kept("operation", name, lambda: operation(self.x))

    @cached_property
    def _apart(self) -> Tensor:
        return space_to_batch(self.rectified)

    def _kept(self, what: str, key: int | str, make: Callable[[], Tensor]) -> Tensor:
        if (what, key) not in self._made:
            self._made[what, key] = make()
        return self._made[what, key]


def _times(x: Tensor, edges: int) -> Tensor:
    return x if edges == 1 else torch.cat([x] * edges, dim=1)


@dataclass(frozen=True)
class ParallelEdges:
    """The output of an operation with weights on E edges.

    Attributes:
        x: [B, E * C, H, W]; no other code holds this tensor.
        apart: whether `x` is in sublattices, [4 * B, E * C, H / 2, W / 2].
    """

    x: Tensor
    apart: bool = False


def parallel_edges(operations: Sequence[nn.Module], state: SharedInputs, weights: Tensor) -> ParallelEdges:
    """weights[e] * operations[e](state) for each edge.

    Args:
        operations: E operations of one kind and stride.
        state: the state that the edges leave.
        weights: [E].
    """
    together = FAST.get(type(operations[0]), _one_by_one)
    return together(operations, state, weights)


def _one_by_one(operations: Sequence[nn.Module], state: SharedInputs, weights: Tensor) -> ParallelEdges:
    each = [operation(state.x) * weight for operation, weight in zip(operations, weights, strict=True)]
    return ParallelEdges(torch.cat(each, dim=1))


def _relu_conv_bn(operations: Sequence[nn.Sequential], state: SharedInputs, weights: Tensor) -> ParallelEdges:
    [kernel], layer = _kernels(operations), _convolutions(operations[0])[0]
    found = functional.conv2d(state.rectified, kernel, None, layer.stride, layer.padding)
    return ParallelEdges(state.norm(found, weights))


def _separable(operations: Sequence[nn.Sequential], state: SharedInputs, weights: Tensor) -> ParallelEdges:
    kernels, edges = _kernels(operations), len(operations)
    hidden = depthwise(state.repeated(edges), kernels[0], _convolutions(operations[0])[0].stride[0])
    hidden = state.norm(functional.conv2d(hidden, kernels[1], groups=edges)).relu_()
    hidden = depthwise(hidden, kernels[2], 1)
    return ParallelEdges(state.norm(functional.conv2d(hidden, kernels[3], groups=edges), weights))


def _dilated(operations: Sequence[nn.Sequential], state: SharedInputs, weights: Tensor) -> ParallelEdges:
    kernels, edges = _kernels(operations), len(operations)
    height, width = state.x.shape[2:]
    halved = _convolutions(operations[0])[0].stride[0] == 2
    # A stride of 2 needs only one of the sublattices.
    x = depthwise(state.halved(edges) if halved else state.sublattices(edges), kernels[0], 1)
    even = height % 2 == 0 and width % 2 == 0
    if not halved and not even:  # padding pixels must not enter the statistics
        x = batch_to_space(x, height, width)
    x = state.norm(functional.conv2d(x, kernels[1], groups=edges), weights)  # the order of pixels does not matter
    return ParallelEdges(x, apart=not halved and even)


def _convolutions(operation: nn.Sequential) -> list[nn.Conv2d]:
    return [layer for layer in operation if isinstance(layer, nn.Conv2d)]


def _kernels(operations: Sequence[nn.Sequential]) -> list[Tensor]:
    """The weights of each convolution, concatenated over all edges."""
    layers = zip(*map(_convolutions, operations), strict=True)
    return [torch.cat([each.weight for each in layer]) for layer in layers]


FAST: Mapping[Callable[..., nn.Module], Callable[[Sequence[Any], SharedInputs, Tensor], ParallelEdges]] = {
    OPERATIONS["nor_conv_1x1"]: _relu_conv_bn,
    OPERATIONS["nor_conv_3x3"]: _relu_conv_bn,
    OPERATIONS["sep_conv_3x3"]: _separable,
    OPERATIONS["sep_conv_5x5"]: _separable,
    OPERATIONS["dil_conv_3x3"]: _dilated,
    OPERATIONS["dil_conv_5x5"]: _dilated,
}  # exact classes: a subclass may compute something else
