"""What an operation makes of a state before the last linear map: the part that edges cannot share.

Operations that end in a 1x1 convolution and a batch norm leave these two to the node, which takes them together with
the weighted sum (`projection`).

Letters: `B` images, `C` channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatch

from torch import Tensor, nn

from chronas.networks import DilatedConv, SeparableConv
from chronas.supernets.depthwise import depthwise
from chronas.supernets.dilation import together
from chronas.supernets.projection import normalised_sum
from chronas.supernets.state import State


@dataclass(frozen=True)
class Feature:
    """One term of a node, its weight aside.

    Attributes:
        x: [B, C, H, W].
        kernel: [C, C, 1, 1] of the convolution that comes next, with a batch norm behind it; None where `x` is all.
        apart: whether `x` is in sublattices, [4 * B, C, H / 2, W / 2].
    """

    x: Tensor
    kernel: Tensor | None = None
    apart: bool = False


@singledispatch
def feature_of(operation: nn.Module, state: State) -> Feature:
    """What an operation with weights makes of a state."""
    return Feature(operation(state.x))


@feature_of.register
def _(operation: SeparableConv, state: State) -> Feature:
    first, project, second, last = _convolutions(operation)
    hidden = depthwise(state.rectified, first.weight, first.stride[0])
    hidden = normalised_sum([hidden], [project.weight], hidden.new_ones(1)).relu_()
    return Feature(depthwise(hidden, second.weight, 1), last.weight)


@feature_of.register
def _(operation: DilatedConv, state: State) -> Feature:
    dilated, last = _convolutions(operation)
    if dilated.stride[0] == 2:  # only one of the sublattices is asked for
        return Feature(depthwise(state.rectified[:, :, ::2, ::2], dilated.weight, 1), last.weight)
    x = depthwise(state.sublattices, dilated.weight, 1)
    height, width = state.x.shape[2:]
    if height % 2 or width % 2:  # the pixels that made it even have no part in the statistics
        return Feature(together(x, height, width), last.weight)
    return Feature(x, last.weight, apart=True)


def _convolutions(operation: nn.Sequential) -> list[nn.Conv2d]:
    return [layer for layer in operation if isinstance(layer, nn.Conv2d)]
