"""A weighted sum and its gradients are those of the formula."""

from __future__ import annotations

import pytest
import torch

from chronas.supernets.kernels import weighted_sum


@pytest.mark.parametrize("count", [1, 3])
def test_value_and_slopes(count: int) -> None:
    generator = torch.Generator().manual_seed(0)
    terms = torch.randn(count, 2, 3, 4, 5, generator=generator, dtype=torch.float64).requires_grad_()
    weights = torch.randn(count, generator=generator, dtype=torch.float64).requires_grad_()
    found, wanted = weighted_sum(terms.unbind(), weights), torch.einsum("n,nbchw->bchw", weights, terms)
    torch.testing.assert_close(found, wanted)
    gradient = torch.randn_like(wanted)
    got, asked = (torch.autograd.grad(each, [terms, weights], gradient) for each in (found, wanted))
    for one, other in zip(got, asked, strict=True):
        torch.testing.assert_close(one, other)
