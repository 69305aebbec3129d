"""Predictors whose cost is linear in the encoding, and the ridge regression behind them.

The ridge's strength has the smallest leave-one-out error, which linear models give in closed form (Golub, Heath and
Wahba 1979, doi 10.2307/1268518; we use leave-one-out itself, not its rotation-invariant form). Standard deviations are
those of Bayesian linear regression with the same strength, scaled so that 90 % intervals hold on the leave-one-out
residuals.

`Lookup` is a look-up table: one cost for each slot of the encoding, added up. It is fitted to whole networks by ridge
regression, not measured operation by operation as in FBNet (arXiv 1812.03443). So it includes the effects of fusion and
overheads between operations. It is exact if costs are additive (Eyeriss, FPGA). `Lookup.of_blocks` instead uses single
blocks, measured by `chronas measure lookup`.

`Macs` is a linear function of multiply-accumulates and parameters, a baseline that shows the value of measuring. On
15,625 NAS-Bench-201 networks MACs rank a batch-256 GPU at Spearman 0.97 but the Eyeriss accelerator at 0.54.

Letters: `N` networks, `P` columns of a design, `W` slots of the encoding, `B` batch.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from chronas.networks import space_counts
from chronas.predictors.calibration import interval_factor
from chronas.predictors.predictor import Predictor, Shape, State
from chronas.tables import BlockNetworks, CostTable, added_up

STRENGTHS = torch.logspace(-8, 4, 49, dtype=torch.float64)  # relative to the design's mean squared singular value
FULL_RANK = 1e-12  # squared singular values below this share of the largest are zero: one-hot columns are collinear
RESOLUTION = 1e-6  # relative; smallest uncertainty of a cost


@dataclass(frozen=True)
class Ridge:
    """A fitted ridge regression: target = base + design @ slopes.

    Attributes:
        base: intercept [].
        slopes: coefficients [P].
        covariance: covariance of the slopes, divided by the noise variance [P, P]; large in directions outside of the
            design.
        residuals: leave-one-out errors [N].
        leverages: influence of each target on its own prediction [N], in 0..1.
    """

    base: Tensor
    slopes: Tensor
    covariance: Tensor
    residuals: Tensor
    leverages: Tensor

    @property
    def error(self) -> float:
        """Mean squared leave-one-out error."""
        return float((self.residuals**2).mean())


def fit_ridge(design: Tensor, targets: Tensor) -> Ridge:
    """Ridge regression of targets [N] on a design [N, P]; the strength in `STRENGTHS` is chosen by leave-one-out.

    It uses the eigenvectors of the Gram matrix, because numpy 2.4.6 (OpenBLAS 0.3.31, gesdd on AVX-512) failed to find
    the singular values of finite encodings. It runs in torch, whose number of threads the user sets; OpenBLAS's threads
    wait for each other on a busy machine.
    """
    centre, base = design.mean(dim=0), targets.mean()
    powers, right = torch.linalg.eigh((design - centre).T @ (design - centre))
    powers = powers.where(powers > FULL_RANK * powers[-1], 0.0)
    scores = ((design - centre) @ right).where(powers > 0, 0.0)
    projected = scores.T @ (targets - base)
    level = powers[powers > 0].mean() if powers[-1] > 0 else torch.ones(())
    penalised = powers + STRENGTHS[:, None] * level
    leverages = (1 / penalised) @ (scores.T**2) + 1 / len(targets)
    residuals = (targets - base - (projected / penalised) @ scores.T) / (1 - leverages).clamp_min(FULL_RANK)
    best = int((residuals**2).mean(dim=1).argmin())
    slopes = right @ (projected / penalised[best])
    covariance = (right / penalised[best]) @ right.T
    return Ridge(base - centre @ slopes, slopes, covariance, residuals[best], leverages[best])


class LinearPredictor(Predictor):
    """base + codes @ slopes, in the unit of the cost; the slopes combine the rows of a design over slots."""

    @abstractmethod
    def _design(self) -> Tensor:
        """Design [P, W]: each column of the regression as a sum over slots."""

    def _fit(self, codes: Tensor, costs: Tensor, seed: int) -> dict[str, Tensor]:  # noqa: ARG002 - nothing is random here
        design = self._design()
        design = design / design.abs().max()
        ridge = fit_ridge(codes @ design.T, costs)
        floor = RESOLUTION * float(costs.median())
        scale = interval_factor(ridge.residuals, (1 - ridge.leverages).clamp_min(FULL_RANK).rsqrt(), floor)
        return {
            "base_ms": ridge.base,
            "slopes_ms": ridge.slopes @ design,
            "centre": codes.mean(dim=0),
            "variance_ms2": torch.tensor(scale**2 * (1 + 1 / len(codes)), dtype=torch.float64),
            "covariance_ms2": scale**2 * design.T @ ridge.covariance @ design,
        }

    def _mean(self, codes: Tensor, state: State) -> Tensor:
        return state["base_ms"] + codes @ state["slopes_ms"]

    def _std(self, codes: Tensor, state: State) -> Tensor:
        offset = codes - state["centre"]
        from_slopes = ((offset @ state["covariance_ms2"]) * offset).sum(dim=1).clamp_min(0)
        return (state["variance_ms2"] + from_slopes).sqrt()

    def _shapes(self) -> dict[str, Shape]:
        width = self.space.encoding_length
        return {
            "base_ms": (),
            "slopes_ms": (width,),
            "centre": (width,),
            "variance_ms2": (),
            "covariance_ms2": (width, width),
        }


class LookupConfig(BaseModel):
    """No settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Lookup(LinearPredictor):
    """base + sum of the costs of the chosen slots, in the unit of the cost."""

    name = "lookup"
    Config = LookupConfig
    minimum = 8

    @classmethod
    def of_blocks(cls, table: CostTable) -> Self:
        """The look-up of a table of single blocks; its uncertainty comes from the table's whole networks.

        Costs are scaled by one factor, so that sums are right for the median whole network.

        Raises:
            DataError: a network of single blocks is missing, or there are fewer than two other networks.
            UsageError: the table's space has no layers.
        """
        size = table.provenance.size
        networks = BlockNetworks.of(table.space, size)
        blocks, judged = added_up(table, networks)
        assert judged.provenance.additivity is not None
        blocks = blocks.levelled(judged.provenance.additivity)
        single = set(networks.architectures)
        whole = np.array([architecture not in single for architecture in table.architectures()])
        measured = torch.tensor(table.costs()[whole])
        sums = torch.tensor(blocks.costs(table.space.encode(table.architectures())[whole]))
        median, width = measured.median(), table.space.encoding_length
        scale = interval_factor(measured - sums, torch.ones_like(sums), RESOLUTION * float(median))
        lookup = cls(table.space, size)
        lookup.learned = table.provenance.cost
        lookup._state = {
            "base_ms": torch.tensor(blocks.base, dtype=torch.float64),
            "slopes_ms": torch.tensor(blocks.slots),
            "centre": torch.zeros(width, dtype=torch.float64),
            "variance_ms2": torch.tensor(scale**2, dtype=torch.float64),
            "covariance_ms2": torch.zeros(width, width, dtype=torch.float64),
            "median": median,
        }
        return lookup

    def _design(self) -> Tensor:
        return torch.eye(self.space.encoding_length, dtype=torch.float64)


class MacsConfig(BaseModel):
    """No settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Macs(LinearPredictor):
    """base + slope x MACs + slope x parameters, in the unit of the cost."""

    name = "macs"
    Config = MacsConfig
    minimum = 4

    def _design(self) -> Tensor:
        form = space_counts(self.space, self.size)
        design = torch.from_numpy(np.stack([form.slot_macs, form.slot_parameters]))
        return design / design.amax(dim=1, keepdim=True)
