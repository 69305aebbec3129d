"""Pointwise convolution, batch norm and weighted sum as one linear map.

Batch norm of `P d` asks only for the mean and the variance of each output channel, and these follow from the mean `m`
and the covariance `S` of the channels of `d`: they are `P m` and the diagonal of `P S P'`. So

    sum over n of w_n * norm(P_n d_n) = sum over n of A_n (d_n - m_n)
    A_n = w_n * diag(P_n S_n P_n' + eps)^-1/2 * P_n

is one 1x1 convolution a term, and its slopes follow from `G' d_n`, C x C numbers; nothing of the size of an image is
made or kept beside `d` and the sum. The order of pixels does not matter. The convolution has no bias, the norm uses the
batch's statistics and has no scale and shift.

Letters: `B` images, `C` channels of a feature, `F` channels of the sum, `N` terms.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.nn.grad import conv2d_weight

EPSILON = 1e-5  # torch.nn.BatchNorm2d's


def normalised_sum(features: Sequence[Tensor], kernels: Sequence[Tensor], weights: Tensor) -> Tensor:
    """Sum over n of weights[n] * batch norm(1x1 convolution of features[n] by kernels[n]): [B, F, H, W].

    Args:
        features: N of [B, C, H, W].
        kernels: N of [F, C, 1, 1].
        weights: [N].
    """
    stacked = torch.stack([kernel.flatten(1) for kernel in kernels])
    total: Tensor = _NormalisedSum.apply(stacked, weights, *features)  # type: ignore[no-untyped-call]
    return total


class _NormalisedSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, kernels: Tensor, weights: Tensor, *features: Tensor) -> Tensor:
        pixels = features[0].numel() // features[0].shape[1]
        means = torch.stack([_sums(x) for x in features]) / pixels  # [N, C]
        squares = torch.stack([_products(x, x) for x in features]) / pixels
        covariances = squares - means[:, :, None] * means[:, None, :]  # [N, C, C]
        variances = ((kernels @ covariances) * kernels).sum(2).clamp(min=0)  # [N, F]; rounding may go below zero
        scales = (variances + EPSILON).rsqrt()
        ctx.save_for_backward(kernels, weights, means, covariances, scales, *features)
        maps = (weights[:, None] * scales)[:, :, None] * kernels  # [N, F, C]
        total = _mapped(features[0], maps[0], -(maps @ means[:, :, None]).sum((0, 2)))
        for x, each in zip(features[1:], maps[1:], strict=True):
            total += _mapped(x, each)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, ...]:
        kernels, weights, means, covariances, scales, *features = ctx.saved_tensors
        slope = slope.contiguous(memory_format=torch.channels_last)
        pixels = slope.numel() // slope.shape[1]
        units = scales[:, :, None] * kernels  # [N, F, C]: norm(P d) = units (d - mean)
        total = _sums(slope)
        met = torch.stack([_products(slope, x) for x in features]) - total[:, None] * means[:, None, :]
        shares = (units * met).sum(2)  # [N, F]: slopes times what they are the slopes of
        kernel_slopes = (weights[:, None] * scales)[:, :, None] * (met - shares[:, :, None] * (units @ covariances))
        forth = (weights[:, None, None] * units).mT  # [N, C, F]
        back = forth @ (shares[:, :, None] / pixels * units)  # [N, C, C]
        shifts = (back @ means[:, :, None])[:, :, 0] - forth @ total / pixels  # [N, C]
        found = (
            _mapped(slope, there, shift).sub_(_mapped(x, here))
            for x, there, here, shift in zip(features, forth, back, shifts, strict=True)
        )
        return kernel_slopes, shares.sum(1), *found


def _sums(x: Tensor) -> Tensor:
    """[B, C, H, W] -> [C]; a view of rows, as torch sums over them several times faster than over three dimensions."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1]).sum(0)


def _products(left: Tensor, right: Tensor) -> Tensor:
    """Sum over pixels of left[f] * right[c], [F, C]: as a convolution's slope up to twice as fast as a matmul of so
    few columns.
    """
    shape = (left.shape[1], right.shape[1], 1, 1)
    products: Tensor = conv2d_weight(right, shape, left)  # type: ignore[no-untyped-call]
    return products.flatten(1)


def _mapped(x: Tensor, matrix: Tensor, shift: Tensor | None = None) -> Tensor:
    """[B, C, H, W] by [F, C] -> [B, F, H, W]."""
    return functional.conv2d(x, matrix[:, :, None, None], shift)
