"""A weighted sum of tensors in one pass over each, and its slopes without a product of the size of a tensor kept.

Letters: `B` images, `C` channels, `M` parts, `N` terms.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def weighted_sum(terms: Sequence[Tensor], weights: Tensor, parts: Sequence[Tensor] = ()) -> Tensor:
    """Sum over n of weights[n] * terms[n], and of the parts: [B, C, H, W].

    Args:
        terms: N of [B, C, H, W].
        weights: [N].
        parts: M of [B, C, H, W]; N + M is at least one.
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
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        weights, *terms = ctx.saved_tensors
        flat = slope.permute(0, 2, 3, 1).flatten()
        dots = [flat.dot(term.permute(0, 2, 3, 1).flatten()) for term in terms]
        of_weights = torch.stack(dots) if dots else weights
        return None, of_weights, *(slope * weight for weight in weights), *(slope for _ in range(ctx.parts))
