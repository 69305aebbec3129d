"""Second order equals the exact gradient through one step of SGD, and leaves the weights as they were."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from chronas.search.gradient.hypergradient import SgdStep, first_order, second_order

STEP = {"learning_rate": 0.1, "momentum": 0.9, "weight_decay": 0.01}


class Toy:
    """A mixture of three activations between two small layers; smooth, so that finite differences can be sharp."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(0)

        def draw(*shape: int) -> Tensor:
            return torch.randn(shape, generator=generator, dtype=torch.float64)

        self.images, self.labels = draw(2, 16, 4), torch.randint(0, 3, (2, 16), generator=generator)
        self.weights = [(0.5 * draw(4, 5)).requires_grad_(), (0.5 * draw(5, 3)).requires_grad_()]
        self.buffers = [0.1 * draw(4, 5), 0.1 * draw(5, 3)]
        self.alphas = [draw(3).requires_grad_()]

    def loss(self, part: int, weights: list[Tensor] | None = None) -> Tensor:
        first, second = weights or self.weights
        mixture = self.alphas[0].softmax(0)
        hidden = self.images[part] @ first
        mixed = mixture[0] * hidden.tanh() + mixture[1] * hidden.sin() + mixture[2] * hidden.sigmoid()
        return functional.cross_entropy(mixed @ second, self.labels[part])

    def exact(self) -> Tensor:
        gradients = torch.autograd.grad(self.loss(0), self.weights, create_graph=True)
        ahead = [
            weight - STEP["learning_rate"] * (STEP["momentum"] * buffer + slope + STEP["weight_decay"] * weight)
            for weight, slope, buffer in zip(self.weights, gradients, self.buffers, strict=True)
        ]
        return torch.autograd.grad(self.loss(1, ahead), self.alphas)[0]


def test_second_order_equals_the_exact_gradient_through_the_step() -> None:
    toy = Toy()
    before = [weight.detach().clone() for weight in toy.weights]
    found = second_order(
        lambda: toy.loss(1), lambda: toy.loss(0), toy.weights, toy.alphas, SgdStep(buffers=toy.buffers, **STEP)
    )[0]
    exact = toy.exact()
    torch.testing.assert_close(found, exact, rtol=1e-3, atol=1e-6)
    assert all(torch.equal(weight, saved) for weight, saved in zip(toy.weights, before, strict=True))
    naive = first_order(lambda: toy.loss(1), toy.weights, toy.alphas)[0]
    assert float((naive - exact).norm()) > 50 * float((found - exact).norm())


def test_a_loss_that_depends_on_no_weight_has_its_direct_gradient_alone() -> None:
    """GDAS draws cells that let no image through."""
    toy = Toy()
    before = [weight.detach().clone() for weight in toy.weights]
    step = SgdStep(buffers=toy.buffers, **STEP)
    found = second_order(lambda: toy.alphas[0].square().sum(), lambda: toy.loss(0), toy.weights, toy.alphas, step)[0]
    torch.testing.assert_close(found, 2 * toy.alphas[0].detach())
    assert all(torch.equal(weight, saved) for weight, saved in zip(toy.weights, before, strict=True))


def test_without_a_learning_rate_both_orders_agree() -> None:
    toy = Toy()
    still = SgdStep(learning_rate=0.0, momentum=0.9, weight_decay=0.01, buffers=[None, None])
    found = second_order(lambda: toy.loss(1), lambda: toy.loss(0), toy.weights, toy.alphas, still)[0]
    torch.testing.assert_close(found, first_order(lambda: toy.loss(1), toy.weights, toy.alphas)[0])


def test_first_order_computes_no_gradient_of_weights() -> None:
    toy = Toy()
    first_order(lambda: toy.loss(1), toy.weights, toy.alphas)
    assert all(weight.grad is None for weight in toy.weights)
    assert toy.exact() == pytest.approx(toy.exact())
