"""GDAS: one operation of each edge is sampled in every step, and only it is computed (Dong and Yang, arXiv 1910.04465).

The sample goes through the supernet as it is, the gradient through a Gumbel-softmax whose temperature falls linearly
with the epochs (`estimators`); ReinMax can take its place. Derivation and costs are those of DARTS, on the softmax of
the logits without noise.

Where we differ from the published code (https://github.com/D-X-Y/AutoDL-Projects, exps/NAS-Bench-201-algos/GDAS.py,
search_model_gdas.py and configs/nas-benchmark/algos/GDAS.config): there an operation that was not sampled adds its
weight, a zero that carries gradient, to every pixel; here it takes no part. The logits' step comes first, the weights'
learning rate changes by epoch and not by batch, and their momentum is not Nesterov's. ReinMax computes all operations
in the logits' step, as it needs their slopes; MODNAS (arXiv 2402.18213), whose temperature of 1 is taken, gives it
those of the sampled ones.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from chronas.errors import UsageError
from chronas.search.bilevel import Darts
from chronas.search.config import BilevelConfig
from chronas.search.descent import Descent, Mixed
from chronas.search.estimators import ESTIMATORS, Estimator, gumbel_noise

Temperature = Annotated[float, Field(gt=0, le=1e3)]


class GdasConfig(BilevelConfig):
    """Settings of GDAS; the defaults are those of its authors for NAS-Bench-201."""

    epochs: int = Field(default=240, ge=1, le=10_000, description="passes over the search's training images")
    depth: int = Field(default=5, ge=1, le=200, description="cells of the supernet (nasbench201: cells a stage)")
    weight_decay: float = Field(default=5e-4, ge=0, le=1, description="of the weights")
    estimator: Literal["straight-through", "reinmax"] = Field(
        default="straight-through", description="how a gradient passes through a sample"
    )
    temperatures: tuple[Temperature, Temperature] | None = Field(
        default=None, description="of the first and the last epoch; none: 10 and 0.1, with ReinMax 1 and 1"
    )

    @classmethod
    def _smaller(cls) -> dict[str, int | float]:
        return {**super()._smaller(), "depth": 3}


class GdasDescent(Descent):
    """DARTS's steps on a sampled path."""

    config: GdasConfig
    _noise: Tensor

    @property
    def estimator(self) -> Estimator:
        """How a gradient passes."""
        return ESTIMATORS[self.config.estimator]

    @property
    def temperature(self) -> float:
        """Of this epoch; after the search that of the last one."""
        first, last = self.config.temperatures or self.estimator.temperatures
        progress = min(len(self.history) / max(self.config.epochs - 1, 1), 1.0)
        return first + (last - first) * progress

    def draw(self) -> None:
        """Draw the noise that decides the path."""
        self._noise = gumbel_noise(self.logits[0].shape, self.generator)

    def mixture(self) -> Mixed:
        """The path of this step."""
        sample = self.estimator.sample(self.logits[0], self._noise, self.temperature)
        computed = torch.ones_like(sample, dtype=torch.bool) if self.estimator.needs_all else None
        return Mixed(sample, self.edge_weights(), computed)


class Gdas(Darts):
    """DARTS's loop on sampled paths."""

    name: ClassVar[str] = "gdas"
    Config: ClassVar[type[BilevelConfig]] = GdasConfig
    descent: ClassVar[type[Descent]] = GdasDescent

    def __init__(self, config: GdasConfig | None = None) -> None:
        """Take the settings, the authors' where none are given.

        Raises:
            UsageError: the warm-up leaves the logits no epoch, or a temperature is too low for the estimator.
        """
        super().__init__(config)
        assert isinstance(self.config, GdasConfig)
        least = ESTIMATORS[self.config.estimator].least_temperature
        if self.config.temperatures is not None and min(self.config.temperatures) < least:
            raise UsageError(
                f"{self.config.estimator} needs temperatures of at least {least:g}, got "
                f"{self.config.temperatures[0]:g} and {self.config.temperatures[1]:g}: raise them or leave them out"
            )
