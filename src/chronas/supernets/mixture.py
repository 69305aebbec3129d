"""A node of a supernet's cell: the weighted sum of all operations of all edges that come in (DARTS, arXiv 1806.09055).

    node = sum over edges e and operations o of weights[e, o] * operation[e, o](state that e leaves)

As in the paper's code, batch norms have no scale and shift, and a pooling is followed by one. `none` adds nothing
and is never computed.

Letters: `B` images, `C` channels, `O` operations, `N` terms.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from chronas.networks import make_operation
from chronas.supernets.dilation import together
from chronas.supernets.features import Feature, feature_of
from chronas.supernets.projection import normalised_sum
from chronas.supernets.state import State
from chronas.supernets.weighing import weighted_sum

Term = tuple[Feature, Tensor]  # with its weight []


class MixedEdge(nn.Module):
    """The operations of one edge; those without weights are computed once for all edges that leave a state."""

    def __init__(self, names: Sequence[str], channels: int, stride: int, *, even: bool) -> None:
        """Make the operations.

        Args:
            names: of the O operations.
            channels: C.
            stride: 1 or 2.
            even: whether height and width are known to be even.
        """
        super().__init__()
        self.operations = nn.ModuleList(_operation(name, channels, stride, even=even) for name in names)
        self.shared = [not list(operation.parameters()) for operation in self.operations]

    def forward(self, state: State, weights: Sequence[Tensor], active: Sequence[int]) -> Iterator[Term]:
        """What the operations of numbers `active` bring, with their weights, of O."""
        for o in active:
            operation = self.operations[o]
            yield Feature(state.once(o, operation)) if self.shared[o] else feature_of(operation, state), weights[o]


def mixture(terms: Sequence[Term]) -> Tensor:
    """[B, C, H, W] the weighted sum of N terms, at least one."""
    sums = [
        together(_mixed(part), *_size(part[0][0])) if apart else _mixed(part)
        for apart in (False, True)
        for kernel in (False, True)
        if (part := [term for term in terms if (term[0].apart, term[0].kernel is not None) == (apart, kernel)])
    ]
    for other in sums[1:]:
        sums[0] += other
    return sums[0]


def _mixed(terms: Sequence[Term]) -> Tensor:
    tensors, weights = [feature.x for feature, _ in terms], torch.stack([weight for _, weight in terms])
    kernels = [feature.kernel for feature, _ in terms if feature.kernel is not None]
    return normalised_sum(tensors, kernels, weights) if kernels else weighted_sum(tensors, weights)


def _size(feature: Feature) -> tuple[int, int]:
    return 2 * feature.x.shape[2], 2 * feature.x.shape[3]


def _operation(name: str, channels: int, stride: int, *, even: bool) -> nn.Module:
    operation = make_operation(name, channels, stride, affine=False, even=even)
    if any(isinstance(module, nn.MaxPool2d | nn.AvgPool2d) for module in operation.modules()):
        return nn.Sequential(operation, nn.BatchNorm2d(channels, affine=False))
    return operation
