"""Gaussian processes: a prior over costs by the similarity of networks, and the posterior given the measured ones.

Rasmussen and Williams, Gaussian processes for machine learning, 2006, http://gaussianprocess.org/gpml. The covariance
is a sum of parts; the variances of the parts and of the noise maximise the evidence on a few hundred networks.
Leave-one-out predictions are exact and free (5.12 there): they choose the scale and calibrate the intervals. The level
of all costs is one more unknown: subtracting it before would let the other networks reveal each network's cost.

`GaussianProcess` works on features: a linear part for each block, and smooth parts of three lengths. The linear parts
are the ridge regression of the LPM; the smooth parts model the nonlinear rest.

`PairTable` is a look-up table with a cost for each operation and for each pair of neighbouring operations. Neighbours
are edges of a cell that share a state, or consecutive blocks of a chain: runtimes fuse these or share their
computations. DARTS has 5,096 such pairs, too many to measure. So the table is a Gaussian process, whose covariance is
that of tables with normal entries. It equals ridge regression on all pairs.

Letters: `N` rows of a fit, `M` kept rows, `B` batch, `W` slots, `G` parts, `D` decisions.
"""

from __future__ import annotations

import functools
from abc import abstractmethod
from typing import NamedTuple

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from chronas.predictors.calibration import RESOLUTION, SCALES, Scale, ScaleName, interval_factor
from chronas.predictors.cv_ensemble import Learned, Learner
from chronas.predictors.features import basis, block_sizes, standardised
from chronas.predictors.gnn import space_graph
from chronas.predictors.linear import LEVEL_VARIANCE, PRIOR_MEAN, highest_evidence, kernel_loss
from chronas.predictors.predictor import Shape, State
from chronas.spaces import Space

JUDGED = 400  # rows whose evidence chooses the variances: enough for a few numbers, and time grows with their cube


class KernelConfig(BaseModel):
    """Number of kept networks and scale of a Gaussian process."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    rows: int = Field(
        default=2000,
        ge=16,
        le=20_000,
        description="largest number of networks to learn from; larger tables are sampled",
    )
    scale: ScaleName = Field(
        default="auto",
        description="predict costs (linear), their logarithms (log), or the better one on held-out networks (auto)",
    )


class _Posterior(NamedTuple):
    """The fit in one scale: squared leave-one-out error of costs, unseen targets [M], and the state."""

    error: float
    out_of_fold: Tensor
    state: dict[str, Tensor]


class KernelPredictor(Learner):
    """The posterior mean and deviation of a Gaussian process, on costs or their logarithms."""

    minimum = 8
    config: KernelConfig

    @abstractmethod
    def _setup(self, codes: Tensor) -> dict[str, Tensor]:
        """Tensors that the parts need besides the encodings [M, W] of a fit."""

    @abstractmethod
    def _setup_shapes(self) -> dict[str, Shape]:
        """Shapes of the tensors from `_setup`."""

    @abstractmethod
    def _parts(self, one: Tensor, other: Tensor, state: State) -> list[Tensor]:
        """The G parts of the covariance [B, M], for encodings [B, W] and [M, W]; smooth in both."""

    @abstractmethod
    def _own(self, codes: Tensor, state: State) -> list[Tensor]:
        """The G parts of each network's covariance with itself [B]."""

    def learn(self, codes: Tensor, costs: Tensor, seed: int) -> Learned:
        """Fit on checked float64 encodings [N, W] and costs [N]."""
        order = torch.randperm(len(codes), generator=torch.Generator().manual_seed(seed))
        kept, others = order[: self.config.rows], order[self.config.rows :]
        setup = {"codes": codes[kept], **self._setup(codes[kept])}
        found = [self._posterior(setup, costs[kept], logarithmic=each) for each in SCALES[self.config.scale]]
        best = min(found, key=lambda posterior: posterior.error)
        out_of_fold = torch.empty_like(costs)
        out_of_fold[kept] = best.out_of_fold
        parts = [self._mean(part, best.state) for part in torch.split(codes[others], JUDGED)]
        out_of_fold[others] = torch.cat([out_of_fold[:0], *parts])
        return Learned(best.state, out_of_fold)

    def _posterior(self, setup: dict[str, Tensor], costs: Tensor, *, logarithmic: bool) -> _Posterior:
        scale, codes = Scale.of(costs, logarithmic=logarithmic), setup["codes"]
        targets = scale.targets(costs)
        judged = torch.stack(self._parts(codes[:JUDGED], codes[:JUDGED], setup))
        loss = kernel_loss(judged, targets[:JUDGED])
        start = torch.full((len(judged) + 1,), PRIOR_MEAN, dtype=torch.float64)
        variances = highest_evidence(loss, start).exp()
        covariance = self._covariance(codes, codes, {**setup, "variances": variances})
        covariance = covariance + LEVEL_VARIANCE
        covariance.diagonal().add_(variances[-1])
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(covariance))
        alphas = inverse @ targets
        left, spreads = alphas / inverse.diagonal(), inverse.diagonal().rsqrt()
        out_of_fold = scale.costs(targets - left)
        floor = RESOLUTION * (1.0 if logarithmic else float(costs.median())) / scale.spread
        factor = interval_factor(left, spreads, floor / float(spreads.max()), len(variances))
        state = {
            "variances": variances,
            "alphas": alphas,
            "level": LEVEL_VARIANCE * alphas.sum(),  # separate, because float32 would lose the rest next to it
            "inverse": inverse,
            "scale": scale.state,
            "calibration": torch.tensor(factor, dtype=torch.float64),
        }
        return _Posterior(float((out_of_fold - costs).square().mean()), out_of_fold, {**setup, **state})

    def _covariance(self, one: Tensor, other: Tensor, state: State) -> Tensor:
        """The covariance [B, M] of encodings [B, W] and [M, W], without noise and level."""
        parts = self._parts(one, other, state)
        total = torch.zeros_like(parts[0])
        for variance, part in zip(state["variances"], parts, strict=False):
            total = total + variance * part
        return total

    def _mean(self, codes: Tensor, state: State) -> Tensor:
        targets = state["level"] + self._covariance(codes, state["codes"], state) @ state["alphas"]
        return Scale.from_state(state["scale"]).costs(targets)

    def _std(self, codes: Tensor, state: State) -> Tensor:
        return self._mean_and_std(codes, state)[1]

    def _mean_and_std(self, codes: Tensor, state: State) -> tuple[Tensor, Tensor]:
        scale, across = Scale.from_state(state["scale"]), self._covariance(codes, state["codes"], state)
        mean = scale.costs(state["level"] + across @ state["alphas"])
        across = across + LEVEL_VARIANCE
        parts = self._own(codes, state)
        own = LEVEL_VARIANCE + torch.stack([v * p for v, p in zip(state["variances"], parts, strict=False)]).sum(dim=0)
        known = ((across @ state["inverse"]) * across).sum(dim=1)
        std = state["calibration"] * (state["variances"][-1] + (own - known).clamp_min(0)).sqrt() * scale.spread
        return mean, std * mean if scale.logarithmic else std

    def _shapes(self) -> dict[str, Shape]:
        kept: dict[str, Shape] = {"codes": ("M", self.space.encoding_length), "alphas": ("M",), "inverse": ("M", "M")}
        return {**kept, "variances": ("G",), "level": (), "scale": (3,), "calibration": (), **self._setup_shapes()}


LENGTHS = (1.0, 2.0, 4.0)  # lengths of the smooth parts, relative to the typical distance of two networks


class GaussianProcess(KernelPredictor):
    """A Gaussian process on blocks of features."""

    name = "gp"
    Config = KernelConfig

    def _setup(self, codes: Tensor) -> dict[str, Tensor]:
        features = standardised(self.space, self.size, basis(self.space, self.size, codes))
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
        return (basis(self.space, self.size, codes) - state["centre"]) @ state["projection"].T

    def _sizes(self) -> list[int]:
        return list(block_sizes(self.space, self.size))


class PairTable(KernelPredictor):
    """A cost for each slot, and one for each two slots of neighbouring decisions."""

    name = "pairs"
    Config = KernelConfig

    def _setup(self, codes: Tensor) -> dict[str, Tensor]:
        return {"centre": codes.mean(dim=0)}

    def _setup_shapes(self) -> dict[str, Shape]:
        return {"centre": (self.space.encoding_length,)}

    def _parts(self, one: Tensor, other: Tensor, state: State) -> list[Tensor]:
        x, y = one - state["centre"], other - state["centre"]
        weights = neighbourhoods(self.space).to(x)
        pairs = torch.zeros(len(x), len(y)).to(x)
        for weight in weights:
            pairs = pairs + ((x * weight) @ y.T).square()
        return [x @ y.T / len(self.space.decisions), pairs / len(weights)]

    def _own(self, codes: Tensor, state: State) -> list[Tensor]:
        squares = (codes - state["centre"]).square()
        pairs = (squares @ neighbourhoods(self.space).to(codes).T).square().mean(dim=1)
        return [squares.sum(dim=1) / len(self.space.decisions), pairs]


@functools.cache
def neighbourhoods(space: Space) -> Tensor:
    """Weights of slots [D, W]: the sum over D of (sum over W of weight x y)^2 equals a sum over pairs of neighbours.

    The sum over all neighbours d, e of (s_d + s_e)^2, where s_d is the overlap of two networks in decision d, is a
    quadratic form. The weights are its eigenvectors, so D products replace hundreds of pairs.
    """
    count = len(space.decisions)
    form = torch.zeros(count, count, dtype=torch.float64)
    ends = _ends(space)
    for one in range(count):
        for other in range(one):
            if ends[one] & ends[other]:
                for d in (one, other):
                    for e in (one, other):
                        form[d, e] += 1.0
    values, vectors = torch.linalg.eigh(form)
    decisions = torch.tensor([decision for decision, _ in space.slots])
    weights: Tensor = ((values.clamp_min(0) / values.mean()).sqrt() * vectors).T[:, decisions]
    return weights


def _ends(space: Space) -> dict[int, set[int]]:
    """The two states that each decision's edge joins."""
    by_slot = {first: {source, target} for source, target, first, _ in space_graph(space).edges}
    return {decision: by_slot[offset] for decision, offset in enumerate(space.offsets)}
