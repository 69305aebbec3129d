"""Batch norms of a supernet: they use the statistics of the batch, as moving averages fit no single architecture."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Standardise(nn.Module):
    """A batch norm of edges side by side, by the statistics of the batch; it has nothing of its own.

    Letters: `B` images, `C` channels, `E` edges.
    """

    def forward(self, x: Tensor, weights: Tensor | None = None) -> Tensor:
        """[B, E * C, H, W] -> the same with mean 0 and variance 1, the channels of each edge times its weight [E]."""
        if weights is None:
            return self.scaled(x, None)
        return self.scaled(x, weights.repeat_interleave(x.shape[1] // len(weights)))

    def scaled(self, x: Tensor, scale: Tensor | None) -> Tensor:
        """The same with a scale for each channel [E * C]."""
        shift = None if scale is None else torch.zeros_like(scale)
        return functional.batch_norm(x, None, None, scale, shift, training=True)


def without_scale(module: nn.Module) -> None:
    """Take scale and shift from all batch norms inside, in place."""
    for norm in _batch_norms(module):
        norm.affine = False
        norm.register_parameter("weight", None)
        norm.register_parameter("bias", None)


def with_batch_statistics(module: nn.Module) -> None:
    """Let all batch norms inside use the batch's statistics in training and evaluation, in place."""
    for norm in _batch_norms(module):
        norm.track_running_stats = False
        norm.register_buffer("running_mean", None)
        norm.register_buffer("running_var", None)
        norm.register_buffer("num_batches_tracked", None)


def _batch_norms(module: nn.Module) -> list[nn.BatchNorm2d]:
    return [each for each in module.modules() if isinstance(each, nn.BatchNorm2d)]
