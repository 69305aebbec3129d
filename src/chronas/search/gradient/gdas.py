"""GDAS: each step samples one operation of each edge and computes only it (Dong and Yang, arXiv 1910.04465).

The sample goes forward unchanged. The gradient passes through an estimator: a straight-through Gumbel-softmax whose
temperature falls linearly with the epochs, or ReinMax. Derivation and costs are those of DARTS, on the softmax of the
alphas without noise.

Straight-through (Jang et al., arXiv 1611.01144; GDAS): the one-hot sample goes forward, the gradient is that of the
softmax of noisy alphas at a temperature. Its mean is the gradient of another function unless the temperature is low,
where its variance is large.

ReinMax (Liu et al., arXiv 2304.08612, algorithm 2; https://github.com/microsoft/ReinMax): the gradient is that of
Heun's method between the sample and the distribution. At temperature 1 its mean is exact for every quadratic function
of one decision. It needs the gradient of every option, also of those that were not sampled.

We differ from the published code (https://github.com/D-X-Y/AutoDL-Projects, exps/NAS-Bench-201-algos/GDAS.py,
search_model_gdas.py and configs/nas-benchmark/algos/GDAS.config) in some points. There an operation that was not
sampled adds its weight, a zero that carries gradient, to every pixel; here it has no effect. The alphas' step comes
first, the weights' learning rate changes by epoch and not by batch, and their momentum is not Nesterov's. ReinMax
computes all operations in the alphas' step, because it needs their gradients; MODNAS (arXiv 2402.18213), whose
temperature of 1 we use, gives it only the gradients of the sampled ones.

Letters: `D` decisions, `O` options.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from chronas.errors import UsageError
from chronas.search.gradient.darts import Darts
from chronas.search.gradient.loop import BilevelConfig, BilevelLoop, Mixture

Sample = Callable[[Tensor, Tensor, float], Tensor]  # alphas [D, O], Gumbel noise [D, O], temperature -> one-hot [D, O]


@dataclass(frozen=True)
class Estimator:
    """A way to sample one option for each decision, with a gradient.

    Attributes:
        sample: returns exact one-hot rows, differentiable in the alphas; samples follow softmax(alphas).
        needs_all: whether it needs the gradient of every option, not only of the sampled one.
        temperatures: default temperatures of the first and of the last epoch.
        least_temperature: smallest allowed temperature.
    """

    sample: Sample
    needs_all: bool
    temperatures: tuple[float, float]
    least_temperature: float


def gumbel_noise(shape: Sequence[int], generator: torch.Generator) -> Tensor:
    """Independent standard Gumbel samples, all finite."""
    exponential = torch.empty(tuple(shape)).exponential_(generator=generator)
    return -exponential.clamp_(min=torch.finfo(exponential.dtype).tiny).log()


def straight_through(alphas: Tensor, noise: Tensor, temperature: float) -> Tensor:
    """[D, O] one-hot rows with the gradient of softmax((alphas + noise) / temperature)."""
    soft = ((alphas + noise) / temperature).softmax(dim=1)
    return _sampled(alphas, noise) + (soft - soft.detach())


def reinmax(alphas: Tensor, noise: Tensor, temperature: float) -> Tensor:
    """[D, O] one-hot rows with the gradient of Heun's method; temperatures above 1 trade bias for less variance."""
    hard = _sampled(alphas, noise)
    middle = (hard + (alphas / temperature).softmax(dim=1)).detach() / 2
    at_middle = ((middle.log() - alphas).detach() + alphas).softmax(dim=1)  # `middle`, with the gradient there
    soft = 2 * at_middle - alphas.softmax(dim=1) / 2
    return hard + (soft - soft.detach())


def _sampled(alphas: Tensor, noise: Tensor) -> Tensor:
    return functional.one_hot((alphas + noise).detach().argmax(dim=1), alphas.shape[1]).to(alphas.dtype)


ESTIMATORS = {
    "straight-through": Estimator(straight_through, needs_all=False, temperatures=(10.0, 0.1), least_temperature=0.0),
    "reinmax": Estimator(reinmax, needs_all=True, temperatures=(1.0, 1.0), least_temperature=1.0),
}


Temperature = Annotated[float, Field(gt=0, le=1e3)]


class GdasConfig(BilevelConfig):
    """Settings of GDAS; the defaults are its authors' for NAS-Bench-201."""

    epochs: int = Field(default=240, ge=1, le=10_000, description="passes over the search's training images")
    depth: int = Field(default=5, ge=1, le=200, description="cells of the supernet (nasbench201: cells a stage)")
    weight_decay: float = Field(default=5e-4, ge=0, le=1, description="of the weights")
    estimator: Literal["straight-through", "reinmax"] = Field(
        default="straight-through", description="the way a gradient passes through a sample"
    )
    temperatures: tuple[Temperature, Temperature] | None = Field(
        default=None, description="of the first and the last epoch; none: 10 and 0.1, with ReinMax 1 and 1"
    )


class GdasLoop(BilevelLoop):
    """DARTS's steps on a sampled path."""

    config: GdasConfig
    _noise: Tensor

    @property
    def estimator(self) -> Estimator:
        """The estimator of the gradient."""
        return ESTIMATORS[self.config.estimator]

    @property
    def temperature(self) -> float:
        """The temperature of this epoch; after the search, that of the last one."""
        first, last = self.config.temperatures or self.estimator.temperatures
        progress = min(len(self.history) / max(self.config.epochs - 1, 1), 1.0)
        return first + (last - first) * progress

    def draw(self) -> None:
        """Draw the noise that decides the path."""
        self._noise = gumbel_noise(self.alphas[0].shape, self.generator)

    def mixture(self) -> Mixture:
        """The path of this step."""
        sample = self.estimator.sample(self.operation_alphas, self._noise, self.temperature)
        computed = torch.ones_like(sample, dtype=torch.bool) if self.estimator.needs_all else None
        return Mixture(sample, self.edge_weights(), computed)


class Gdas(Darts):
    """DARTS's loop on sampled paths."""

    name: ClassVar[str] = "gdas"
    Config: ClassVar[type[BilevelConfig]] = GdasConfig
    loop: ClassVar[type[BilevelLoop]] = GdasLoop

    def __init__(self, config: GdasConfig | None = None) -> None:
        """Store the settings; the defaults are the authors'.

        Raises:
            UsageError: the warm-up leaves no epoch for the alphas, or a temperature is too low for the estimator.
        """
        super().__init__(config)
        assert isinstance(self.config, GdasConfig)
        least = ESTIMATORS[self.config.estimator].least_temperature
        if self.config.temperatures is not None and min(self.config.temperatures) < least:
            raise UsageError(
                f"{self.config.estimator} needs temperatures of at least {least:g}, got "
                f"{self.config.temperatures[0]:g} and {self.config.temperatures[1]:g}: raise them or leave them out"
            )
