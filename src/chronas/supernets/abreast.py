"""One operation on all edges that leave a state, their channels side by side in one tensor.

One call of a kernel serves all edges, and the weight of the operation on an edge is the scale of its last batch norm.

Letters: `B` images, `C` channels, `E` edges.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import singledispatch

import torch
from torch import Tensor, nn
from torch.nn import functional

from chronas.networks import DilatedConv, ReLUConvBN, SeparableConv
from chronas.supernets.depthwise import depthwise
from chronas.supernets.dilation import together
from chronas.supernets.state import State


@dataclass(frozen=True)
class Abreast:
    """What an operation with weights brings to E edges.

    Attributes:
        x: [B, E * C, H, W], nobody else's.
        apart: whether it is in sublattices, [4 * B, E * C, H / 2, W / 2].
    """

    x: Tensor
    apart: bool = False


def abreast(operations: Sequence[nn.Module], state: State, weights: Tensor) -> Abreast:
    """weights[e] * operations[e](state) for each edge.

    Args:
        operations: E of one kind and stride.
        state: that the edges leave.
        weights: [E].
    """
    return _abreast(operations[0], operations, state, weights)


@singledispatch
def _abreast(_: nn.Module, operations: Sequence[nn.Module], state: State, weights: Tensor) -> Abreast:
    each = [operation(state.x) * weight for operation, weight in zip(operations, weights, strict=True)]
    return Abreast(torch.cat(each, dim=1))


@_abreast.register
def _(first: ReLUConvBN, operations: Sequence[ReLUConvBN], state: State, weights: Tensor) -> Abreast:
    [kernel], layer = _kernels(operations), _convolutions(first)[0]
    found = functional.conv2d(state.rectified, kernel, None, layer.stride, layer.padding)
    return Abreast(state.norm(found, weights))


@_abreast.register
def _(first: SeparableConv, operations: Sequence[SeparableConv], state: State, weights: Tensor) -> Abreast:
    kernels, edges = _kernels(operations), len(operations)
    hidden = depthwise(state.repeated(edges), kernels[0], _convolutions(first)[0].stride[0])
    hidden = state.norm(functional.conv2d(hidden, kernels[1], groups=edges)).relu_()
    hidden = depthwise(hidden, kernels[2], 1)
    return Abreast(state.norm(functional.conv2d(hidden, kernels[3], groups=edges), weights))


@_abreast.register
def _(first: DilatedConv, operations: Sequence[DilatedConv], state: State, weights: Tensor) -> Abreast:
    kernels, edges = _kernels(operations), len(operations)
    height, width = state.x.shape[2:]
    halved = _convolutions(first)[0].stride[0] == 2
    # A stride of 2 asks for one of the sublattices only.
    x = depthwise(state.halved(edges) if halved else state.sublattices(edges), kernels[0], 1)
    even = height % 2 == 0 and width % 2 == 0
    if not halved and not even:  # the pixels that made it even have no part in the statistics
        x = together(x, height, width)
    x = state.norm(functional.conv2d(x, kernels[1], groups=edges), weights)  # the order of pixels does not matter
    return Abreast(x, apart=not halved and even)


def _convolutions(operation: nn.Sequential) -> list[nn.Conv2d]:
    return [layer for layer in operation if isinstance(layer, nn.Conv2d)]


def _kernels(operations: Sequence[nn.Sequential]) -> list[Tensor]:
    """Of each convolution in turn, those of all edges, one behind the other."""
    layers = zip(*map(_convolutions, operations), strict=True)
    return [torch.cat([each.weight for each in layer]) for layer in layers]
