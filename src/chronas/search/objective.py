"""Task loss and cost made into one number to descend on: by a weight, by a limit, or both.

A weight adds weight * E[cost] / median, after LA-DARTS (arXiv 2001.06392); the median of the table makes one weight
mean the same everywhere. A limit adds multiplier * (E[cost] / limit - 1) with a multiplier that is learned by ascent,
after LightNAS (arXiv 2208.14446): it grows while the most probable architecture is above the limit and shrinks below
it. We differ: it never falls below zero, so a limit never makes a network slower, and the violation of the moment is
added to it, which answers at once where LightNAS has tens of thousands of steps to wait. With both, the weight goes
on pressing inside the limit.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from chronas.errors import DataError, UsageError
from chronas.search.relaxation import Relaxation

CostFunction = Callable[[Tensor], Tensor]  # encodings [N, W] -> predicted ms [N]


class ObjectiveConfig(BaseModel):
    """How much a cost matters during a search."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    weight: float = Field(default=0.0, ge=0.0, le=1e6, description="weight of expected latency / the table's median")
    limit_ms: float | None = Field(
        default=None, gt=0.0, description="latency that the found network must not exceed, in ms"
    )
    samples: int = Field(
        default=8, ge=1, le=4096, description="architectures sampled for the expected latency of a step"
    )
    multiplier_rate: float = Field(
        default=0.05,
        gt=0.0,
        le=100.0,
        description="how fast the limit's multiplier follows the relative violation, a step",
    )


def predicted_ms(cost: CostFunction, codes: Tensor) -> Tensor:
    """Costs [N] in ms of encodings [N, W].

    Raises:
        DataError: a cost is not a finite number.
    """
    costs = cost(codes)
    if not bool(torch.isfinite(costs).all()):
        raise DataError("the predictor gave a latency that is not a finite number: fit it again on a checked table")
    return costs


class Objective:
    """The cost's part of what a search descends on.

    Attributes:
        multiplier: what the limit weighs now; learned, never negative.
    """

    def __init__(self, config: ObjectiveConfig, cost: CostFunction | None, median_ms: float | None) -> None:
        """Check that what the config asks for can be computed.

        Args:
            config: weight, limit, samples.
            cost: frozen predictor, encodings [N, W] -> ms [N], differentiable in them; None where there is none.
            median_ms: median of the table that the predictor was fitted on.

        Raises:
            UsageError: a weight or a limit without a cost, or a weight without a median.
        """
        if cost is None and (config.weight > 0 or config.limit_ms is not None):
            raise UsageError("a latency weight or limit needs a fitted predictor, got none: run `chronas fit` first")
        if config.weight > 0 and not (median_ms is not None and 0 < median_ms < float("inf")):
            raise UsageError(f"a latency weight needs the table's median latency in ms, above zero, got {median_ms}")
        self.config = config
        self.multiplier = 0.0
        self._cost = cost
        self._scale = 0.0 if median_ms is None else config.weight / median_ms

    @property
    def active(self) -> bool:
        """Whether there is a term at all."""
        return self.config.weight > 0 or self.config.limit_ms is not None

    def term(self, relaxation: Relaxation, generator: torch.Generator) -> Tensor:
        """[] what is added to the validation loss; only an `active` objective has one.

        Args:
            relaxation: the distribution over architectures; the term is differentiable in its logits.
            generator: draws the sampled architectures.

        Raises:
            DataError: the predictor gave no finite number.
        """
        assert self._cost is not None
        codes = relaxation.sample(self.config.samples, generator)
        expected_ms = predicted_ms(self._cost, codes).mean()
        term = self._scale * expected_ms
        if self.config.limit_ms is not None:
            pressure = self.multiplier + max(self.violation(relaxation), 0.0)
            term = term + pressure * (expected_ms / self.config.limit_ms - 1.0)
        return term

    def violation(self, relaxation: Relaxation) -> float:
        """Latency of the most probable architecture over the limit, minus one; 0 where there is no limit."""
        if self.config.limit_ms is None:
            return 0.0
        mode_ms = self.mode_ms(relaxation)
        assert mode_ms is not None
        return mode_ms / self.config.limit_ms - 1.0

    def ascend(self, relaxation: Relaxation) -> None:
        """Let the multiplier follow the violation after a step on the logits; does nothing without a limit."""
        self.multiplier = max(0.0, self.multiplier + self.config.multiplier_rate * self.violation(relaxation))

    def expected_ms(self, relaxation: Relaxation, generator: torch.Generator, samples: int = 256) -> float | None:
        """Mean predicted latency of `samples` sampled architectures, in ms; None without a cost."""
        if self._cost is None:
            return None
        with torch.no_grad():
            return float(predicted_ms(self._cost, relaxation.sample(samples, generator)).mean())

    def mode_ms(self, relaxation: Relaxation) -> float | None:
        """Predicted latency of the most probable architecture, in ms; None without a cost."""
        if self._cost is None:
            return None
        code = torch.from_numpy(relaxation.space.encode([relaxation.mode()]))
        with torch.no_grad():
            return float(predicted_ms(self._cost, code))
