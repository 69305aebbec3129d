"""One edge of a supernet: the weighted sum of all its operations (DARTS, arXiv 1806.09055).

With partial channels K (PC-DARTS, arXiv 1907.05737) the first C / K channels go through the operations, the others
around them, and a channel shuffle of K groups mixes both for the next edge. As in both papers' code, batch norms
have no scale and shift, and a pooling is followed by one. `none` adds nothing and is never computed.

Letters: `B` images, `C` channels, `O` operations, `K` partial channels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from chronas.networks import make_operation
from chronas.supernets.dilation import without_dilation


class Mixture(nn.Module):
    """sum over o of weights[o] * operation_o(x), computed where the weight is not zero."""

    def __init__(self, names: Sequence[str], channels: int, stride: int, partial_channels: int, *, even: bool) -> None:
        """Make the operations.

        Args:
            names: of the O operations.
            channels: C, a multiple of `partial_channels`.
            stride: 1 or 2.
            partial_channels: K; 1 sends all channels through the operations.
            even: whether height and width are known to be even.
        """
        super().__init__()
        self.stride = stride
        self.partial_channels = partial_channels
        self.worked = channels // partial_channels
        self.operations = nn.ModuleList(_operation(name, self.worked, stride, even=even) for name in names)

    def forward(self, x: Tensor, weights: Tensor, active: Sequence[int]) -> Tensor:
        """[B, C, H, W] -> [B, C, H / stride, W / stride], rounded up.

        Args:
            x: the state that the edge leaves.
            weights: [O].
            active: numbers of the operations to compute, at least one.
        """
        worked = x if self.partial_channels == 1 else x[:, : self.worked]
        mixed: Tensor = self.operations[active[0]](worked) * weights[active[0]]
        for number in active[1:]:
            mixed = torch.addcmul(mixed, self.operations[number](worked), weights[number])
        if self.partial_channels == 1:
            return mixed
        around = x[:, self.worked :]
        if self.stride > 1:
            around = functional.max_pool2d(around, 2, 2, ceil_mode=True)
        return functional.channel_shuffle(torch.cat([mixed, around], dim=1), self.partial_channels)


def _operation(name: str, channels: int, stride: int, *, even: bool) -> nn.Module:
    operation = without_dilation(make_operation(name, channels, stride, affine=False, even=even))
    if any(isinstance(module, nn.MaxPool2d | nn.AvgPool2d) for module in operation.modules()):
        return nn.Sequential(operation, nn.BatchNorm2d(channels, affine=False))
    return operation
