"""One option sampled per decision, and how a gradient passes: straight-through Gumbel-softmax and ReinMax.

Straight-through (Jang et al., arXiv 1611.01144; GDAS, arXiv 1910.04465): the one-hot sample goes forward, the slope is
that of the softmax of noisy logits at a temperature. Its mean is the slope of another function, unless the temperature
is low, where it varies much.

ReinMax (Liu et al., arXiv 2304.08612, algorithm 2; https://github.com/microsoft/ReinMax): the slope is that of Heun's
method between the sample and the distribution; at temperature 1 its mean is exact for every quadratic function of one
decision. It needs the slope of every option, also of those that were not sampled.

Letters: `D` decisions, `O` options.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

Sample = Callable[[Tensor, Tensor, float], Tensor]  # logits [D, O], Gumbel noise [D, O], temperature -> one-hot [D, O]


@dataclass(frozen=True)
class Estimator:
    """How to sample one option per decision.

    Attributes:
        sample: gives exact one-hot rows, differentiable in the logits; what is sampled follows softmax(logits).
        needs_all: whether the slope of every option is needed, not of the sampled one alone.
        temperatures: of the first and of the last epoch where nobody says otherwise.
        least_temperature: below which it is not meant to be used.
    """

    sample: Sample
    needs_all: bool
    temperatures: tuple[float, float]
    least_temperature: float


def gumbel_noise(shape: Sequence[int], generator: torch.Generator) -> Tensor:
    """Independent standard Gumbel numbers, all finite."""
    exponential = torch.empty(tuple(shape)).exponential_(generator=generator)
    return -exponential.clamp_(min=torch.finfo(exponential.dtype).tiny).log()


def straight_through(logits: Tensor, noise: Tensor, temperature: float) -> Tensor:
    """[D, O] one-hot rows with the slope of softmax((logits + noise) / temperature)."""
    soft = ((logits + noise) / temperature).softmax(dim=1)
    return _sampled(logits, noise) + (soft - soft.detach())


def reinmax(logits: Tensor, noise: Tensor, temperature: float) -> Tensor:
    """[D, O] one-hot rows with the slope of Heun's method; temperatures above 1 trade bias for less variance."""
    hard = _sampled(logits, noise)
    middle = (hard + (logits / temperature).softmax(dim=1)).detach() / 2
    at_middle = ((middle.log() - logits).detach() + logits).softmax(dim=1)  # its value is `middle`, its slope there
    soft = 2 * at_middle - logits.softmax(dim=1) / 2
    return hard + (soft - soft.detach())


def _sampled(logits: Tensor, noise: Tensor) -> Tensor:
    return functional.one_hot((logits + noise).detach().argmax(dim=1), logits.shape[1]).to(logits.dtype)


ESTIMATORS = {
    "straight-through": Estimator(straight_through, needs_all=False, temperatures=(10.0, 0.1), least_temperature=0.0),
    "reinmax": Estimator(reinmax, needs_all=True, temperatures=(1.0, 1.0), least_temperature=1.0),
}
