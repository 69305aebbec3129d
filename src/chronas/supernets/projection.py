"""Pointwise convolution, batch norm and weighted sum as one linear map.

Batch norm of `P d` asks only for the mean and the variance of each output channel, and these follow from the mean `m`
and the covariance `S` of the channels of `d`: they are `P m` and the diagonal of `P S P'`. So

    sum over n of w_n * norm(P_n d_n) = sum over n of A_n (d_n - m_n)
    A_n = w_n * diag(P_n S_n P_n' + eps)^-1/2 * P_n

is one matrix product a term, and its slopes follow from `G' d_n`, C x C numbers; nothing of the size of an image is
made or kept beside `d` and the sum. The order of pixels does not matter. The convolution has no bias, the norm uses the
batch's statistics and has no scale and shift.

Letters: `B` images, `C` channels of a feature, `F` channels of the sum, `N` terms, `R` pixels of the whole batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

EPSILON = 1e-5  # torch.nn.BatchNorm2d's


def normalised_sum(features: Sequence[Tensor], kernels: Sequence[Tensor], weights: Tensor) -> Tensor:
    """Sum over n of weights[n] * batch norm(1x1 convolution of features[n] by kernels[n]): [B, F, H, W], channels last.

    Args:
        features: N of [B, C, H, W].
        kernels: N of [F, C, 1, 1].
        weights: [N].
    """
    stacked = torch.stack([kernel.flatten(1) for kernel in kernels])
    total: Tensor = _NormalisedSum.apply(stacked, weights, *features)  # type: ignore[no-untyped-call]
    return total


def pixels(x: Tensor) -> Tensor:
    """[B, C, H, W] -> [R, C], a view where the channels are last in memory."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def _images_like(x: Tensor, channels: int) -> Tensor:
    shape = (x.shape[0], channels, *x.shape[2:])
    return torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)


class _NormalisedSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, kernels: Tensor, weights: Tensor, *features: Tensor) -> Tensor:
        rows = [pixels(feature) for feature in features]
        means = torch.stack([each.mean(0) for each in rows])  # [N, C]
        squares = torch.stack([each.T @ each for each in rows]) / len(rows[0])
        covariances = squares - means[:, :, None] * means[:, None, :]  # [N, C, C]
        variances = ((kernels @ covariances) * kernels).sum(2).clamp(min=0)  # [N, F]; rounding may go below zero
        scales = (variances + EPSILON).rsqrt()
        ctx.save_for_backward(kernels, weights, means, covariances, scales, *features)
        maps = (weights[:, None] * scales)[:, :, None] * kernels  # [N, F, C]
        total = _images_like(features[0], kernels.shape[1])
        flat = pixels(total)
        torch.addmm(-(maps @ means[:, :, None]).sum(0).T, rows[0], maps[0].T, out=flat)
        for row, each in zip(rows[1:], maps[1:], strict=True):
            flat.addmm_(row, each.T)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        kernels, weights, means, covariances, scales, *features = ctx.saved_tensors
        rows, slopes = [pixels(feature) for feature in features], pixels(slope)
        units = scales[:, :, None] * kernels  # [N, F, C]: norm(P d) = units (d - mean)
        total = slopes.sum(0)
        met = torch.stack([slopes.T @ row for row in rows]) - total[:, None] * means[:, None, :]
        shares = (units * met).sum(2)  # [N, F]: slopes times what they are the slopes of
        kernel_slopes = (weights[:, None] * scales)[:, :, None] * (met - shares[:, :, None] * (units @ covariances))
        weighted = weights[:, None, None] * units
        back = weighted.mT @ (shares[:, :, None] / len(slopes) * units)  # [N, C, C]
        shifts = means[:, None, :] @ back - total[None, None] / len(slopes) @ weighted  # [N, 1, C]
        found = (
            torch.addmm(shift, slopes, forth).addmm_(row, minus, alpha=-1)
            for row, shift, forth, minus in zip(rows, shifts, weighted, back, strict=True)
        )
        return (
            kernel_slopes,
            shares.sum(1),
            *(each.view(slope.shape[0], *slope.shape[2:], -1).permute(0, 3, 1, 2) for each in found),
        )
