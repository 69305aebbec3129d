"""Costs to standardised targets and back, in ms or in their logarithm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

ScaleName = Literal["auto", "ms", "log"]
SCALES: dict[ScaleName, tuple[bool, ...]] = {"auto": (False, True), "ms": (False,), "log": (True,)}  # logarithm taken?


@dataclass(frozen=True)
class Scale:
    """Costs to standardised targets and back.

    Attributes:
        logarithmic: whether the logarithm is taken first.
        centre: mean of the costs, or of their logarithms.
        spread: standard deviation of these.
    """

    logarithmic: bool
    centre: float
    spread: float

    @classmethod
    def of(cls, costs_ms: Tensor, *, logarithmic: bool) -> Scale:
        """The scale on which these costs have mean 0 and standard deviation 1."""
        values = costs_ms.log() if logarithmic else costs_ms
        return cls(logarithmic, float(values.mean()), float(values.std()))

    def targets(self, costs_ms: Tensor) -> Tensor:
        """Standardised targets of costs."""
        return ((costs_ms.log() if self.logarithmic else costs_ms) - self.centre) / self.spread

    def costs_ms(self, targets: Tensor) -> Tensor:
        """Costs of standardised targets."""
        values = targets * self.spread + self.centre
        return values.exp() if self.logarithmic else values

    @property
    def state(self) -> Tensor:
        """As a tensor [3]."""
        return torch.tensor([self.logarithmic, self.centre, self.spread], dtype=torch.float64)

    @classmethod
    def from_state(cls, state: Tensor) -> Scale:
        """The scale of a tensor [3]."""
        logarithmic, centre, spread = state.tolist()
        return cls(bool(logarithmic), centre, spread)
