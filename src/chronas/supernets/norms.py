"""Batch norms of a supernet: they use the statistics of the batch, as moving averages fit no single architecture."""

from __future__ import annotations

from torch import nn


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
