"""A complete table as its own predictor: it has every architecture of its space, so nothing is learned."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from chronas.errors import DataError
from chronas.predictors.predictor import Predictor, Shape, State

if TYPE_CHECKING:
    from numpy.typing import NDArray

EXACT = 1e-6  # standard deviation of a known cost, relative to it; a predictor's must be above zero


class TableConfig(BaseModel):
    """There is nothing to set."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class CompleteTable(Predictor):
    """The known cost of every architecture of a space that is small enough to list; it has no gradient.

    It is not in `PREDICTORS`, as nobody needs to choose it: a run with a complete table uses it.
    """

    name = "complete-table"
    Config = TableConfig
    differentiable = False
    generalises = False

    def _fit(self, codes: Tensor, costs: Tensor, seed: int) -> dict[str, Tensor]:  # noqa: ARG002 - nothing is random
        count = self.space.cardinality if self.space.listable else -1
        numbers = self._numbers(codes.numpy())
        known = np.unique(numbers)
        if len(known) != count:
            raise DataError(
                f"predictor {self.name} needs all {self.space.cardinality:,} architectures of {self.space.name}, got "
                f"{len(known):,}: choose another predictor"
            )
        order = np.argsort(numbers)
        return {"numbers": torch.from_numpy(numbers[order]).double(), "costs": costs[torch.from_numpy(order.copy())]}

    def _mean(self, codes: Tensor, state: State) -> Tensor:
        numbers = torch.from_numpy(self._numbers(codes.double().numpy())).double()
        return state["costs"][torch.searchsorted(state["numbers"], numbers).clamp(max=len(state["costs"]) - 1)]

    def _std(self, codes: Tensor, state: State) -> Tensor:
        return EXACT * self._mean(codes, state)

    def _shapes(self) -> dict[str, Shape]:
        return {"numbers": ("N",), "costs": ("N",)}

    def _numbers(self, codes: NDArray[np.float64]) -> NDArray[np.int64]:
        """A number for each encoding [N]: its options as digits, 0 for a decision that is not kept."""
        numbers = np.zeros(len(codes), dtype=np.int64)
        for first, decision in zip(self.space.offsets, self.space.decisions, strict=True):
            part = codes[:, first : first + len(decision.options)]
            digit = np.where(part.any(axis=1), part.argmax(axis=1) + 1, 0)
            numbers = numbers * (len(decision.options) + 1) + digit
        return numbers
