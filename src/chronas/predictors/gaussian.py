"""A Gaussian process over the features: a linear part for each block, and smooth parts of three lengths.

The linear parts are the ridge regression of the LPM; what is not linear in the features is left to the smooth ones.
"""

from __future__ import annotations

import torch
from torch import Tensor

from chronas.predictors.features import basis, block_sizes, standardised
from chronas.predictors.kernel import KernelConfig, KernelPredictor
from chronas.predictors.predictor import Shape, State

LENGTHS = (1.0, 2.0, 4.0)  # of the smooth parts, over the typical distance of two networks


class GaussianProcess(KernelPredictor):
    """A Gaussian process on blocks of features."""

    name = "gp"
    Config = KernelConfig

    def _setup(self, codes: Tensor) -> dict[str, Tensor]:
        features = standardised(self.space, self.skeleton, basis(self.space, self.skeleton, codes))
        return {"centre": features.centre, "projection": features.projection}

    def _setup_shapes(self) -> dict[str, Shape]:
        return {"centre": ("P",), "projection": ("Q", "P")}

    def _parts(self, one: Tensor, other: Tensor, state: State) -> list[Tensor]:
        (x, y), sizes = (self._features(codes, state) for codes in (one, other)), self._sizes()
        linear = [a @ b.T for a, b in zip(torch.split(x, sizes, dim=1), torch.split(y, sizes, dim=1), strict=True)]
        apart = (x.square().sum(1)[:, None] + y.square().sum(1) - 2 * sum(linear, start=torch.zeros(()).to(x))) / 2
        return linear + [(-apart / (len(sizes) * length**2)).exp() for length in LENGTHS]

    def _own(self, codes: Tensor, state: State) -> list[Tensor]:
        x = self._features(codes, state)
        linear = [part.square().sum(dim=1) for part in torch.split(x, self._sizes(), dim=1)]
        return linear + [torch.ones_like(x[:, 0])] * len(LENGTHS)

    def _features(self, codes: Tensor, state: State) -> Tensor:
        return (basis(self.space, self.skeleton, codes) - state["centre"]) @ state["projection"].T

    def _sizes(self) -> list[int]:
        return list(block_sizes(self.space, self.skeleton))
