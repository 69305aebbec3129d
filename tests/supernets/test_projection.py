"""Convolution, batch norm and weighted sum as one map are what torch computes one after the other."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from chronas.supernets.projection import normalised_sum


def terms(channels_last: bool, dtype: torch.dtype) -> tuple[list[Tensor], list[Tensor], Tensor]:  # noqa: FBT001
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)

    features = [1.5 + draw(3, 4, 5, 6) for _ in range(3)]
    if channels_last:
        features = [each.contiguous(memory_format=torch.channels_last) for each in features]
    return features, [draw(8, 4, 1, 1) for _ in range(3)], draw(3)


def plain(features: list[Tensor], kernels: list[Tensor], weights: Tensor) -> Tensor:
    normalised = [
        functional.batch_norm(functional.conv2d(x, kernel), None, None, training=True)
        for x, kernel in zip(features, kernels, strict=True)
    ]
    return torch.einsum("n,nbchw->bchw", weights, torch.stack(normalised))


def compare(channels_last: bool, dtype: torch.dtype, tolerance: float) -> None:  # noqa: FBT001
    features, kernels, weights = terms(channels_last, dtype)
    inputs = [each.requires_grad_() for each in (*features, *kernels, weights)]
    found, wanted = normalised_sum(features, kernels, weights), plain(features, kernels, weights)
    assert found.is_contiguous(memory_format=torch.channels_last) == channels_last
    torch.testing.assert_close(found, wanted, rtol=tolerance, atol=tolerance)
    slope = torch.randn_like(wanted)
    got, asked = torch.autograd.grad(found, inputs, slope), torch.autograd.grad(wanted, inputs, slope)
    for one, other in zip(got, asked, strict=True):
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance * float(other.abs().max()))


def test_value_and_all_slopes_are_torchs() -> None:
    compare(channels_last=True, dtype=torch.float64, tolerance=1e-11)


def test_channels_may_lie_first() -> None:
    compare(channels_last=False, dtype=torch.float64, tolerance=1e-11)


def test_float32_is_as_good_as_torchs_own() -> None:
    compare(channels_last=True, dtype=torch.float32, tolerance=1e-4)


def test_a_constant_image_gives_zeros_and_finite_slopes() -> None:
    """Its variance is zero, and rounding must not make it less; the mean is large beside the norm's epsilon."""
    x = torch.full((4, 4, 8, 8), 37.3).requires_grad_()
    kernel = torch.randn(4, 4, 1, 1, generator=torch.Generator().manual_seed(0)).requires_grad_()
    found = normalised_sum([x], [kernel], torch.ones(1))
    assert bool(found.isfinite().all())
    slopes = torch.autograd.grad(found.square().sum(), [x, kernel])
    assert all(bool(slope.isfinite().all()) for slope in slopes)
