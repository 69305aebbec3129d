"""Accuracy of a network, counted by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from chronas.data import Images, Normalisation
from chronas.errors import DataError
from chronas.training import accuracy_and_loss, evaluate

PLAIN = Normalisation((0.0,), (1.0 / 255,))


class Brightest(nn.Module):
    """Says the number of the brightest of four pixels; in training mode it is always wrong."""

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(scale))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        logits = pixels.flatten(1) * self.scale
        return -logits if self.training else logits


def images(count: int, wrong: int) -> Images:
    labels = torch.arange(count) % 4
    pixels = nn.functional.one_hot(labels, 4).mul(200).byte().view(count, 1, 2, 2)
    return Images(pixels, torch.where(torch.arange(count) < wrong, (labels + 1) % 4, labels))


@pytest.mark.parametrize("batch", [1, 7, 500])
@pytest.mark.parametrize("wrong", [0, 3, 40])
def test_it_is_the_percentage_of_right_answers_for_any_batch(batch: int, wrong: int) -> None:
    assert evaluate(Brightest(), images(40, wrong), PLAIN, batch=batch) == pytest.approx(100 * (40 - wrong) / 40)


@pytest.mark.parametrize("batch", [1, 7, 500])
def test_the_loss_is_the_mean_of_all_images_for_any_batch(batch: int) -> None:
    """A right answer costs -log of the softmax of (1, 0, 0, 0) at 1, a wrong one that at 0."""
    scale = 200 / 255 * 255  # of the brightest pixel, as `PLAIN` undoes the division
    network = Brightest(1.0 / scale)
    verdict = accuracy_and_loss(network, images(40, 10), PLAIN, batch=batch)
    total = math.log(math.e + 3)
    assert verdict.loss == pytest.approx((30 * (total - 1) + 10 * total) / 40, rel=1e-5)
    assert verdict.accuracy == evaluate(network, images(40, 10), PLAIN)


@pytest.mark.parametrize("mode", [True, False])
def test_the_network_keeps_its_mode(mode: bool) -> None:
    network = Brightest().train(mode)
    evaluate(network, images(8, 0), PLAIN)
    assert network.training is mode


def test_nan_is_no_answer() -> None:
    network = Brightest(float("nan"))
    with pytest.raises(DataError, match="NaN or infinite"):
        evaluate(network, images(8, 0), PLAIN)
    assert network.training
