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
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from chronas.networks import space_counts
from chronas.predictors.calibration import interval_factor
from chronas.predictors.features import relative_amounts
from chronas.predictors.predictor import Predictor, Shape, State
from chronas.tables import BlockNetworks, CostTable, added_up

STRENGTHS = torch.logspace(-8, 4, 49, dtype=torch.float64)  # relative to the design's mean squared singular value
FULL_RANK = 1e-12  # squared singular values below this share of the largest are zero: one-hot columns are collinear
RESOLUTION = 1e-6  # relative; smallest uncertainty of a cost


@dataclass(frozen=True)
class Ridge:
    """A fitted ridge regression: target = base + design @ coefficients.

    Attributes:
        base: intercept [].
        coefficients: their values [P].
        covariance: covariance of the coefficients, divided by the noise variance [P, P]; large in directions outside of
            the design.
        residuals: leave-one-out errors [N].
        leverages: influence of each target on its own prediction [N], in 0..1.
    """

    base: Tensor
    coefficients: Tensor
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
    coefficients = right @ (projected / penalised[best])
    covariance = (right / penalised[best]) @ right.T
    return Ridge(base - centre @ coefficients, coefficients, covariance, residuals[best], leverages[best])


class LinearPredictor(Predictor):
    """base + inputs @ coefficients, in the unit of the cost; the coefficients sum rows of a design over the inputs."""

    @abstractmethod
    def _design(self) -> Tensor:
        """Design [P, I]: each column of the regression as a sum over inputs."""

    def _inputs(self, codes: Tensor) -> Tensor:
        """The inputs [N, I] of encodings [N, W]: by default the encodings themselves."""
        return codes

    def _fit(self, codes: Tensor, costs: Tensor, seed: int) -> dict[str, Tensor]:  # noqa: ARG002 - nothing is random here
        codes, design = self._inputs(codes), self._design()
        design = design / design.abs().max()
        ridge = fit_ridge(codes @ design.T, costs)
        floor = RESOLUTION * float(costs.median())
        scale = interval_factor(ridge.residuals, (1 - ridge.leverages).clamp_min(FULL_RANK).rsqrt(), floor)
        return {
            "base": ridge.base,
            "coefficients": ridge.coefficients @ design,
            "centre": codes.mean(dim=0),
            "variance": torch.tensor(scale**2 * (1 + 1 / len(codes)), dtype=torch.float64),
            "covariance": scale**2 * design.T @ ridge.covariance @ design,
        }

    def _mean(self, codes: Tensor, state: State) -> Tensor:
        return state["base"] + self._inputs(codes) @ state["coefficients"]

    def _std(self, codes: Tensor, state: State) -> Tensor:
        offset = self._inputs(codes) - state["centre"]
        from_coefficients = ((offset @ state["covariance"]) * offset).sum(dim=1).clamp_min(0)
        return (state["variance"] + from_coefficients).sqrt()

    def _shapes(self) -> dict[str, Shape]:
        width = self._inputs(torch.zeros(1, self.space.encoding_length, dtype=torch.float64)).shape[1]
        return {
            "base": (),
            "coefficients": (width,),
            "centre": (width,),
            "variance": (),
            "covariance": (width, width),
        }


class NoSettings(BaseModel):
    """The config of a predictor without settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Lookup(LinearPredictor):
    """base + sum of the costs of the chosen slots, in the unit of the cost."""

    name = "lookup"
    Config = NoSettings
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
            "base": torch.tensor(blocks.base, dtype=torch.float64),
            "coefficients": torch.tensor(blocks.slots),
            "centre": torch.zeros(width, dtype=torch.float64),
            "variance": torch.tensor(scale**2, dtype=torch.float64),
            "covariance": torch.zeros(width, width, dtype=torch.float64),
            "median": median,
        }
        return lookup

    def _design(self) -> Tensor:
        return torch.eye(self.space.encoding_length, dtype=torch.float64)


class Macs(LinearPredictor):
    """base + coefficient x MACs + coefficient x parameters, in the unit of the cost."""

    name = "macs"
    Config = NoSettings
    minimum = 4

    def _design(self) -> Tensor:
        form = space_counts(self.space, self.size).additive
        if form is None:  # the inputs are the amounts themselves
            return torch.eye(2, dtype=torch.float64)
        design = torch.from_numpy(np.stack([form.slot_macs, form.slot_parameters]))
        return design / design.amax(dim=1, keepdim=True)

    def _inputs(self, codes: Tensor) -> Tensor:
        """MACs and parameters [N, 2], relative to one network's, if they are no sums over slots."""
        if space_counts(self.space, self.size).additive is not None:
            return codes
        return relative_amounts(self.space, self.size, codes)


# ----
# Bayesian linear regression with variances of feature blocks by maximum evidence, or averaged over a grid.
#
# The evidence (marginal likelihood) and the posterior of a linear model with normal weights and noise: MacKay,
# Bayesian interpolation, 1992, https://doi.org/10.1162/neco.1992.4.3.415. There is one variance for each block, as in
# automatic relevance determination. No held-out rows are needed, so 20 networks are enough to see that MACs matter
# and that positions do not matter yet. All computations use Gram matrices, so that the time for many rows is that of
# one matrix product: 15,000 samples take hardly longer than ten.
#
# `fit_variances` takes the variances with the highest evidence, as MacKay does. `averaged` averages over a grid
# instead, because several settings are likely after a few samples.
#
# Letters: `N` rows, `Q` features, `G` blocks; for `averaged` also `D` columns of the design, `T` settings of the
# grid.

PRIOR_MEAN, PRIOR_SPREAD = -2.0, 5.0  # of the logarithms of all variances, for targets of variance 1; a weak prior
LOG_RANGE = (-18.0, 4.0)  # range of log variances: the noise of exact costs would fall for ever
LEVEL_VARIANCE = 100.0  # of the unknown mean of all targets; large compared to their variance of 1
STEPS = 40  # at most this many L-BFGS steps; on standardised targets it nearly always ends earlier


@dataclass(frozen=True)
class Variances:
    """Prior variances of coefficients and noise.

    Attributes:
        coefficients: variance of the coefficient of each feature [Q].
        noise: variance of the noise [].
    """

    coefficients: Tensor
    noise: Tensor


@dataclass(frozen=True)
class Coefficients:
    """A linear regression: target = base + design @ values.

    Attributes:
        base: intercept [].
        values: coefficients [Q].
    """

    base: Tensor
    values: Tensor


def fit_variances(design: Tensor, targets: Tensor, blocks: Tensor) -> Variances:
    """The variances with the highest evidence, including a weak prior on them.

    Args:
        design: features [N, Q], each block of about variance 1 in total.
        targets: of variance 1 [N].
        blocks: index of the block of each feature [Q], from 0.
    """
    centred, moved = design - design.mean(dim=0), targets - targets.mean()
    loss = (_loss_by_rows if len(design) < design.shape[1] else _loss_by_features)(centred, moved, blocks)
    logarithms = highest_evidence(loss, torch.full((int(blocks.max()) + 2,), PRIOR_MEAN, dtype=design.dtype))
    return Variances(logarithms[:-1].exp()[blocks], logarithms[-1].exp())


def _loss_by_rows(design: Tensor, targets: Tensor, blocks: Tensor) -> Callable[[Tensor], Tensor]:
    """Minus the log evidence as a function of log variances, through a matrix [N, N]; for few rows."""
    count = int(blocks.max()) + 1
    parts = [design[:, blocks == block] @ design[:, blocks == block].T for block in range(count)]
    return kernel_loss(torch.stack(parts), targets)


def kernel_loss(parts: Tensor, targets: Tensor) -> Callable[[Tensor], Tensor]:
    """Minus the log evidence of log variances [G + 1], the last for the noise, for parts of a covariance [G, N, N]."""
    kernels = torch.cat([parts, torch.eye(len(targets), dtype=parts.dtype)[None]])
    level = torch.full_like(kernels[0], LEVEL_VARIANCE)

    def loss(logarithms: Tensor) -> Tensor:
        factor = factor_of(level + torch.tensordot(logarithms.exp(), kernels, dims=1))
        whitened = torch.linalg.solve_triangular(factor, targets[:, None], upper=False)
        value: Tensor = 0.5 * whitened.square().sum() + factor.diagonal().log().sum()
        return value

    return loss


def _loss_by_features(design: Tensor, targets: Tensor, blocks: Tensor) -> Callable[[Tensor], Tensor]:
    """Minus the log evidence as a function of log variances, through a matrix [Q, Q]; for many rows."""
    gram, together, total = design.T @ design, design.T @ targets, targets @ targets

    def loss(logarithms: Tensor) -> Tensor:
        noise, spread = logarithms[-1].exp(), (logarithms[:-1][blocks] - logarithms[-1]).mul(0.5).exp()
        inner = spread[:, None] * gram * spread + torch.eye(len(gram), dtype=gram.dtype)
        factor = factor_of(inner)
        explained = torch.linalg.solve_triangular(factor, (spread * together)[:, None], upper=False).square().sum()
        determinant = (len(targets) - 1) * logarithms[-1] + 2 * factor.diagonal().log().sum()
        value: Tensor = 0.5 * ((total - explained) / noise + determinant)
        return value

    return loss


def factor_of(matrix: Tensor) -> Tensor:
    """The Cholesky factor of a matrix [Q, Q] that is positive definite, but perhaps not after rounding.

    The possible rounding error of its smallest eigenvalue is added. It matters if exact costs of many networks make the
    noise nearly zero.
    """
    lost = torch.finfo(matrix.dtype).eps * len(matrix) * matrix.diagonal().max()
    factor: Tensor = torch.linalg.cholesky(matrix + lost * torch.eye(len(matrix), dtype=matrix.dtype))
    return factor


def highest_evidence(loss: Callable[[Tensor], Tensor], start: Tensor) -> Tensor:
    """The log variances that minimise minus log evidence and a weak normal prior, starting at `start`."""
    free = start.clone().requires_grad_()
    search = torch.optim.LBFGS([free], max_iter=STEPS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        with torch.enable_grad():
            within = free.clamp(*LOG_RANGE)
            value = loss(within) + 0.5 * ((free - PRIOR_MEAN) / PRIOR_SPREAD).square().sum()
            (free.grad,) = torch.autograd.grad(value, free)
        return value.detach()

    search.step(closure)  # type: ignore[no-untyped-call]
    return free.detach().clamp(*LOG_RANGE)


def fit_coefficients(design: Tensor, targets: Tensor, variances: Variances) -> Coefficients:
    """The most probable regression of targets [N] on a design [N, Q] under these variances."""
    centre, base = design.mean(dim=0), targets.mean()
    spread = (variances.coefficients / variances.noise).sqrt()
    scaled = (design - centre) * spread
    inner = scaled.T @ scaled + torch.eye(len(spread), dtype=design.dtype)
    solved = torch.cholesky_solve((scaled.T @ (targets - base))[:, None], factor_of(inner))
    values = spread * solved[:, 0]
    return Coefficients(base - centre @ values, values)


NEGLIGIBLE = 1e-4  # settings with less weight than this share of the best one's are left out


class Posterior(NamedTuple):
    """The posterior of weights and noise, given the samples.

    Attributes:
        mean: mean of the weights [D].
        covariance: covariance of the weights [D, D].
        noise: variance of the noise [].
    """

    mean: Tensor
    covariance: Tensor
    noise: Tensor


class _Setting(NamedTuple):
    """One setting: its evidence, the scale of the weights [D], and the factor of their precision [D, D]."""

    log_evidence: Tensor
    scale: Tensor
    factor: Tensor
    noise: Tensor


def averaged(design: Tensor, targets: Tensor, weights: Tensor, noises: Tensor) -> Posterior:
    """The mixture of the posteriors of all settings.

    Args:
        design: columns of the regression [N, D].
        targets: [N].
        weights: prior variances of the weights, whose prior means are 0 [T, D]; zero leaves a column out.
        noises: variances of the noise [T], above zero.
    """
    gram, together, total = design.T @ design, design.T @ targets, targets @ targets
    found = [_setting(gram, together, total, len(targets), *pair) for pair in zip(weights, noises, strict=True)]
    evidence = torch.stack([setting.log_evidence for setting in found])
    shares = (evidence - evidence.max()).exp()
    shares = shares.where(shares > NEGLIGIBLE, 0.0)
    shares = shares / shares.sum()
    mean, second = torch.zeros_like(together), torch.zeros_like(gram)
    for share, setting in zip(shares.tolist(), found, strict=True):
        if share:
            inverse = torch.cholesky_inverse(setting.factor)
            covariance = setting.scale[:, None] * inverse * setting.scale
            one = covariance @ together / setting.noise
            mean += share * one
            second += share * (covariance + torch.outer(one, one))
    return Posterior(mean, second - torch.outer(mean, mean), (shares * noises).sum())


def _setting(gram: Tensor, together: Tensor, total: Tensor, count: int, weights: Tensor, noise: Tensor) -> _Setting:
    scale = weights.sqrt()
    inner = scale[:, None] * gram * scale / noise + torch.eye(len(gram), dtype=gram.dtype)
    factor = torch.linalg.cholesky(inner)
    explained = torch.linalg.solve_triangular(factor, (scale * together / noise)[:, None], upper=False).square().sum()
    determinant = count * noise.log() + 2 * factor.diagonal().log().sum()
    return _Setting(0.5 * (explained - total / noise - determinant), scale, factor, noise)
