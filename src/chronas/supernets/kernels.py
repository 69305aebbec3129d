"""Fast kernels for supernets on CPUs: dilated and depthwise convolutions, weighted sums, and batch norms.

Dilation: a convolution of dilation 2 equals four convolutions without dilation, one on each sublattice of the image,
because a pixel of an even row only meets pixels of even rows, and likewise for odd rows and for columns. torch's
gradient of a dilated depthwise convolution takes 3 to 10 times as long on a CPU.

Depthwise convolutions: oneDNN's fast gradient of a depthwise kernel handles up to three columns and a padding of one
column. For five columns it uses another kernel that is ten times slower. Here the gradient of five columns is assembled
from the left three and the right three columns, each on a wider image with shifted gradients.

Weighted sums: one pass over each tensor; for the gradients no product of the size of a tensor is kept.

Batch norms use the statistics of the batch, because moving averages fit no single architecture.

Letters: `B` images, `C` channels, `M` parts, `N` terms.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.nn.grad import conv2d_weight


def space_to_batch(x: Tensor) -> Tensor:
    """[B, C, H, W] -> sublattices [4 * B, C, H / 2, W / 2], rounded up; odd sizes are padded with zeros."""
    batch, channels, height, width = x.shape
    even = functional.pad(x, (0, width % 2, 0, height % 2)) if height % 2 or width % 2 else x
    rows, columns = even.shape[2] // 2, even.shape[3] // 2
    split = even.permute(0, 2, 3, 1).reshape(batch, rows, 2, columns, 2, channels)
    return split.permute(2, 4, 0, 1, 3, 5).reshape(4 * batch, rows, columns, channels).permute(0, 3, 1, 2)


def batch_to_space(sublattices: Tensor, height: int, width: int) -> Tensor:
    """Sublattices [4 * B, C, H / 2, W / 2], rounded up -> [B, C, H, W]."""
    count, channels, rows, columns = sublattices.shape
    split = sublattices.permute(0, 2, 3, 1).reshape(2, 2, count // 4, rows, columns, channels)
    whole = split.permute(2, 3, 0, 4, 1, 5).reshape(count // 4, 2 * rows, 2 * columns, channels)
    return whole.permute(0, 3, 1, 2)[:, :, :height, :width]


SLOW_COLUMNS = 5  # 7 columns cannot be split into threes at stride 2, and no space has them


def depthwise(x: Tensor, kernel: Tensor, stride: int) -> Tensor:
    """[B, C, H, W] by an odd square kernel [C, 1, k, k], padded -> [B, C, H / stride, W / stride], rounded up."""
    if kernel.shape[3] == SLOW_COLUMNS:
        result: Tensor = _FiveColumns.apply(x, kernel, stride)  # type: ignore[no-untyped-call]
        return result
    return functional.conv2d(x, kernel, None, stride, kernel.shape[3] // 2, 1, len(kernel))


def trimmed(x: Tensor, trim: tuple[int, int], convolve: Callable[[Tensor], Tensor]) -> Tensor:
    """A convolution of stride 2 with `trim` (0 or 1) rows of padding less above an image and columns less to its left.

    With a row of zeros more above, all results but the first row are those, as it moves the windows by two rows.
    """
    above, left = trim
    if not above and not left:
        return convolve(x)
    return convolve(functional.pad(x, (left, 0, above, 0)))[:, :, above:, left:]


class _FiveColumns(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Tensor, stride: int) -> Tensor:
        ctx.save_for_backward(x, kernel)
        ctx.stride = stride
        return functional.conv2d(x, kernel, None, stride, (kernel.shape[2] // 2, 2), 1, len(kernel))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, kernel = ctx.saved_tensors
        of_x, of_kernel, _ = ctx.needs_input_grad
        back = _image_slope(gradient, x, kernel, ctx.stride) if of_x else None
        return back, _kernel_slope(gradient, x, kernel, ctx.stride) if of_kernel else None, None


def _image_slope(gradient: Tensor, x: Tensor, kernel: Tensor, stride: int) -> Tensor:
    padding, outputs = [kernel.shape[2] // 2, 2], [True, False, False]
    found: tuple[Tensor, ...] = torch.ops.aten.convolution_backward(
        gradient, x, kernel, None, [stride] * 2, padding, [1, 1], outputs[1], [0, 0], len(kernel), outputs
    )
    return found[0]


def _kernel_slope(gradient: Tensor, x: Tensor, kernel: Tensor, stride: int) -> Tensor:
    wide, more = functional.pad(x, (1, 1)), 2 // stride
    shape, padding = (*kernel.shape[:3], 3), (kernel.shape[2] // 2, 1)
    left, right = (
        conv2d_weight(  # type: ignore[no-untyped-call]
            wide, shape, functional.pad(gradient, moved), stride, padding, groups=len(kernel)
        )
        for moved in ((0, more), (more, 0))
    )
    return torch.cat([left, right[..., 1:]], dim=3)


def weighted_sum(terms: Sequence[Tensor], weights: Tensor, parts: Sequence[Tensor] = ()) -> Tensor:
    """Sum over n of weights[n] * terms[n], plus the sum of the parts: [B, C, H, W].

    Args:
        terms: N tensors [B, C, H, W].
        weights: [N].
        parts: M tensors [B, C, H, W]; N + M is at least one.
    """
    total: Tensor = _WeightedSum.apply(len(terms), weights, *terms, *parts)  # type: ignore[no-untyped-call]
    return total


class _WeightedSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, count: int, weights: Tensor, *tensors: Tensor) -> Tensor:
        terms, parts = tensors[:count], list(tensors[count:])
        ctx.save_for_backward(weights, *terms)
        ctx.parts = len(parts)
        total = terms[0] * weights[0] if terms else parts.pop().clone(memory_format=torch.channels_last)
        for term, weight in zip(terms[1:], weights[1:], strict=True):
            total.addcmul_(term, weight)
        for part in parts:
            total += part
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        weights, *terms = ctx.saved_tensors
        flat = gradient.permute(0, 2, 3, 1).flatten()
        dots = [flat.dot(term.permute(0, 2, 3, 1).flatten()) for term in terms]
        of_weights = torch.stack(dots) if dots else weights
        return None, of_weights, *(gradient * weight for weight in weights), *(gradient for _ in range(ctx.parts))


class BatchStandardise(nn.Module):
    """A batch norm for edges side by side, with the statistics of the batch; it has no parameters.

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
    """Remove scale and shift from all batch norms inside, in place."""
    for norm in _batch_norms(module):
        norm.affine = False
        norm.register_parameter("weight", None)
        norm.register_parameter("bias", None)


def with_batch_statistics(module: nn.Module) -> None:
    """Make all batch norms inside use the batch's statistics in training and evaluation, in place."""
    for norm in _batch_norms(module):
        norm.track_running_stats = False
        norm.register_buffer("running_mean", None)
        norm.register_buffer("running_var", None)
        norm.register_buffer("num_batches_tracked", None)


def _batch_norms(module: nn.Module) -> list[nn.BatchNorm2d]:
    return [each for each in module.modules() if isinstance(each, nn.BatchNorm2d)]
