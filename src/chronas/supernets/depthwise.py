"""A depthwise convolution whose kernel's gradient is as fast as its other parts.

oneDNN's fast gradient of a depthwise kernel is for up to three columns and a padding of one column; with five columns
another one takes its place that is ten times slower. Here the gradient of five columns is put together from those of
the left three and of the right three, each on a wider image with the slopes moved sideways.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.nn.grad import conv2d_weight

SLOW_COLUMNS = 5  # 7 would not go over into 3 at stride 2, and no space has it


def depthwise(x: Tensor, kernel: Tensor, stride: int) -> Tensor:
    """[B, C, H, W] by an odd square kernel [C, 1, k, k], padded to keep its size -> [B, C, H / stride, W / stride],
    rounded up.
    """
    if kernel.shape[3] == SLOW_COLUMNS:
        result: Tensor = _FiveColumns.apply(x, kernel, stride)  # type: ignore[no-untyped-call]
        return result
    return functional.conv2d(x, kernel, None, stride, kernel.shape[3] // 2, 1, len(kernel))


class _FiveColumns(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Tensor, stride: int) -> Tensor:
        ctx.save_for_backward(x, kernel)
        ctx.stride = stride
        return functional.conv2d(x, kernel, None, stride, (kernel.shape[2] // 2, 2), 1, len(kernel))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, kernel = ctx.saved_tensors
        of_x, of_kernel, _ = ctx.needs_input_grad
        back = _image_slope(slope, x, kernel, ctx.stride) if of_x else None
        return back, _kernel_slope(slope, x, kernel, ctx.stride) if of_kernel else None, None


def _image_slope(slope: Tensor, x: Tensor, kernel: Tensor, stride: int) -> Tensor:
    padding, outputs = [kernel.shape[2] // 2, 2], [True, False, False]
    found: tuple[Tensor, ...] = torch.ops.aten.convolution_backward(
        slope, x, kernel, None, [stride] * 2, padding, [1, 1], outputs[1], [0, 0], len(kernel), outputs
    )
    return found[0]


def _kernel_slope(slope: Tensor, x: Tensor, kernel: Tensor, stride: int) -> Tensor:
    wide, more = functional.pad(x, (1, 1)), 2 // stride
    shape, padding = (*kernel.shape[:3], 3), (kernel.shape[2] // 2, 1)
    left, right = (
        conv2d_weight(  # type: ignore[no-untyped-call]
            wide, shape, functional.pad(slope, moved), stride, padding, groups=len(kernel)
        )
        for moved in ((0, more), (more, 0))
    )
    return torch.cat([left, right[..., 1:]], dim=3)
