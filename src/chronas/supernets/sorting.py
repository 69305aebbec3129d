"""Channels inside of blocks, sorted by importance, so that smaller expansions keep what matters.

Once-for-All (Cai et al., https://arxiv.org/abs/1908.09791) takes the first channels of a layer for a narrower one, and
sorts them by the L1 norm of the weights that read them. All weights of a channel move together, so the network computes
the same as before, up to the order of sums.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from chronas.networks import MobileNetwork


def sort_channels(network: MobileNetwork) -> None:
    """Sort the inner channels of each block, and those inside of squeeze-and-excitation, the most important first.

    The importance is the L1 norm of the weights that read a channel. A block without an expansion stays as it is,
    because its channels belong to other blocks too.
    """
    with torch.no_grad():
        for block in network.blocks:
            if not isinstance(block.expand, nn.Identity):
                _sort_inner(block)
            if not isinstance(block.squeeze, nn.Identity):
                _sort_squeezed(block.squeeze)


def _sort_inner(block: Any) -> None:
    order = _by_importance(block.project[0].weight)
    for layer in (block.expand, block.depthwise):
        _move(layer[0].weight, order)
        for tensor in (layer[1].weight, layer[1].bias, layer[1].running_mean, layer[1].running_var):
            _move(tensor, order)
    _move(block.project[0].weight, order, 1)
    if not isinstance(block.squeeze, nn.Identity):
        _move(block.squeeze.reduce.weight, order, 1)
        _move(block.squeeze.expand.weight, order)
        _move(block.squeeze.expand.bias, order)


def _sort_squeezed(squeeze: Any) -> None:
    order = _by_importance(squeeze.expand.weight)
    _move(squeeze.reduce.weight, order)
    _move(squeeze.reduce.bias, order)
    _move(squeeze.expand.weight, order, 1)


def _by_importance(weight: Tensor) -> Tensor:
    """The input channels of a 1x1 convolution by falling L1 norm of their weights; equal ones keep their order."""
    return torch.argsort(weight.abs().sum(dim=(0, 2, 3)), descending=True, stable=True)


def _move(tensor: Tensor, order: Tensor, dimension: int = 0) -> None:
    tensor.copy_(tensor.index_select(dimension, order))
