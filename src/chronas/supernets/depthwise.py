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

SLOW_COLUMNS = 5  # 7 would not go over into 3 at stride 2, and no space has it


def depthwise(x: Tensor, kernel: Tensor, stride: int) -> Tensor:
    """[B, C, H, W] by an odd square kernel [C, 1, k, k], padded to keep its size -> [B, C, H / stride, W / stride],
    rounded up.
    """
    result: Tensor = _Depthwise.apply(x, kernel, stride)  # type: ignore[no-untyped-call]
    return result


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Tensor, stride: int) -> Tensor:
        ctx.save_for_backward(x, kernel)
        ctx.stride = stride
        return functional.conv2d(x, kernel, None, stride, kernel.shape[3] // 2, 1, len(kernel))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, kernel = ctx.saved_tensors
        wanted = ctx.needs_input_grad
        half = kernel.shape[3] // 2
        back = _slopes(slope, x, kernel, ctx.stride, (half, half), 0) if wanted[0] else None
        return back, _kernel_slope(slope, x, kernel, ctx.stride) if wanted[1] else None, None


def _kernel_slope(slope: Tensor, x: Tensor, kernel: Tensor, stride: int) -> Tensor:
    rows, columns = kernel.shape[2:]
    if columns != SLOW_COLUMNS:
        return _slopes(slope, x, kernel, stride, (rows // 2, columns // 2), 1)
    wide, more = functional.pad(x, (1, 1)), 2 // stride
    left, right = (
        _slopes(functional.pad(slope, around), wide, kernel[..., :3], stride, (rows // 2, 1), 1)
        for around in ((0, more), (more, 0))
    )
    return torch.cat([left, right[..., 1:]], dim=3)


def _slopes(slope: Tensor, x: Tensor, kernel: Tensor, stride: int, padding: tuple[int, int], of: int) -> Tensor:
    """The gradient of the image (`of` 0) or of the kernel (1)."""
    mask, no = [of == 0, of == 1, False], False
    found: Tensor = torch.ops.aten.convolution_backward(
        slope, x, kernel, None, [stride, stride], padding, [1, 1], no, [0, 0], len(kernel), mask
    )[of]
    return found
