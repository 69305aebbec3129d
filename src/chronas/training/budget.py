"""The length of a training in steps or minutes, instead of its recipe's epochs; importing it does not import torch."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

TrainSteps = Annotated[
    int | None,
    Field(ge=1, description="optimiser steps of a training, instead of the recipe's epochs"),
]
TrainMinutes = Annotated[
    float | None,
    Field(
        gt=0,
        le=1e6,
        description="minutes that a training may take, instead of the recipe's epochs; a few timed steps decide their "
        "number, once",
    ),
]


class Budget(BaseModel):
    """The length of a training; without one, the recipe's epochs decide it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    steps: TrainSteps = None
    minutes: TrainMinutes = None

    @model_validator(mode="after")
    def _one_of_them(self) -> Budget:
        if self.steps is not None and self.minutes is not None:
            raise ValueError("a training takes steps or minutes, not both: leave one out")
        return self
