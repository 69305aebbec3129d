"""A weighted sum of tensors in one pass over each, and its slopes without a product of the size of a tensor kept.

Letters: `B` images, `C` channels, `N` terms.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def weighted_sum(terms: Sequence[Tensor], weights: Tensor) -> Tensor:
    """Sum over n of weights[n] * terms[n]: [B, C, H, W].

    Args:
        terms: N of [B, C, H, W].
        weights: [N].
    """
    total: Tensor = _WeightedSum.apply(weights, *terms)  # type: ignore[no-untyped-call]
    return total


class _WeightedSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weights: Tensor, *terms: Tensor) -> Tensor:
        ctx.save_for_backward(weights, *terms)
        total = terms[0] * weights[0]
        for term, weight in zip(terms[1:], weights[1:], strict=True):
            total.addcmul_(term, weight)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, ...]:
        weights, *terms = ctx.saved_tensors
        flat = slope.permute(0, 2, 3, 1).flatten()
        of_weights = torch.stack([flat.dot(term.permute(0, 2, 3, 1).flatten()) for term in terms])
        return of_weights, *(slope * weight for weight in weights)
