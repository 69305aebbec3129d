"""Adaptive measuring: measure until a predictor's error is small enough, or until noise keeps it from shrinking.

After each batch the predictor is scored on random networks only, each predicted by a fit that has seen neither it nor a
duplicate of it. Networks chosen because they are hard would make the error look too large, and their neighbours too
small. A quarter of a batch is random. The others are chosen among twice as many random candidates, by the largest
uncertainty of the predictor.

No predictor gets below the noise of the measurements. Half of the difference between the first and the last rounds is
as large as the error of all rounds together, so its mean, in percent, estimates the error of a perfect predictor.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from chronas.errors import UsageError
from chronas.predictors.evaluation import DEGENERATE_SHARE, assign_folds, needed_for_folds
from chronas.predictors.few_samples import relative_width
from chronas.predictors.predictor import Predictor
from chronas.spaces import Architecture, Space
from chronas.tables import CostTable

if TYPE_CHECKING:
    from numpy.typing import NDArray

Reason = Literal["error", "noise", "budget"]
Measure = Callable[[Sequence[Architecture]], CostTable]
FOLDS = 5
FIRST = 30  # random networks before the first scoring
FEWEST_MORE = 8  # networks of a batch
GROWTH = 0.25  # size of the next batch, as a share of all networks so far
RANDOM_SHARE = 0.25  # random share of a batch
DRAWN = 2  # candidates for each chosen network
AT_NOISE = 1.15  # an error within this factor of the noise counts as noise
MOST_RANDOM = 2000  # independent of the budget, so that a larger budget can resume
POOL_SEED = 5_550_001  # seed of candidates, different from that of the random networks


@dataclass(frozen=True)
class Step:
    """The state of the predictor after a batch.

    Attributes:
        networks: number of networks measured so far.
        random: number of random ones among them; the error is measured on these.
        error_percent: mean absolute error on these, over the measured cost.
        standard_error_percent: standard error of `error_percent`.
        noise_percent: error of a perfect predictor; None without two rounds.
    """

    networks: int
    random: int
    error_percent: float
    standard_error_percent: float
    noise_percent: float | None

    @property
    def highest_percent(self) -> float:
        """The error plus one standard error. This must reach the goal, so that luck does not stop the measuring."""
        return self.error_percent + self.standard_error_percent


@dataclass(frozen=True)
class AdaptiveMeasurement:
    """The result of adaptive measuring.

    Attributes:
        table: costs of all measured networks.
        steps: state after each batch.
        reason: why it ended: the wanted error or the noise was reached, or the budget was spent (also if the space has
            no more networks).
    """

    table: CostTable
    steps: tuple[Step, ...]
    reason: Reason


def measure_until(
    predictor: Predictor,
    measure: Measure,
    *,
    error_percent: float,
    budget: int,
    seed: int,
    begun: Sequence[Architecture] = (),
    cost: str | None = None,
) -> AdaptiveMeasurement:
    """Measure networks of a space, batch after batch, until a predictor is good enough.

    Args:
        predictor: gives kind, space, size and config; it is not fitted itself.
        measure: returns the table of the requested networks, which include those of earlier calls.
        error_percent: wanted mean absolute percentage error.
        budget: largest number of networks.
        seed: seed of networks and fits; the same seed resumes an earlier attempt.
        begun: networks that an earlier attempt has measured or begun.
        cost: name of a cost of the table; None means the table's own.

    Raises:
        UsageError: the budget is too small for the first scoring.
        DataError: nothing can be learned from the costs.
    """
    first = max(FIRST, needed_for_folds(predictor.minimum, FOLDS))
    if budget < first:
        raise UsageError(f"the first score of {predictor.name} needs {first} networks, got a budget of {budget}")
    networks = _Networks(predictor.space, seed, begun)
    networks.take_random(first - len(networks.random))
    steps: list[Step] = []
    while True:
        table = measure([*networks.random, *networks.chosen])
        judged = table if cost is None else table.of(cost)
        step = _cross_validated(predictor, judged, networks, seed)
        steps.append(step)
        nothing_new = len(steps) > 1 and step.networks == steps[-2].networks
        reason = "budget" if nothing_new else _reason(step, error_percent, budget)
        if reason is not None:
            return AdaptiveMeasurement(table, tuple(steps), reason)
        more = max(FEWEST_MORE, round(GROWTH * step.networks))
        _take_more(predictor, judged, networks, min(budget - step.networks, more), seed)


def _take_more(predictor: Predictor, table: CostTable, networks: _Networks, more: int, seed: int) -> None:
    """Add the next batch: random networks, and those for which a fit on the whole table is least certain."""
    by_chance = math.ceil(RANDOM_SHARE * more)
    candidates = networks.draw(DRAWN * (more - by_chance))
    if candidates:
        learner = _fitted(predictor, table, np.ones(len(table), dtype=bool), seed)
        widest = np.argsort(-relative_width(learner, predictor.space.encode(candidates)), kind="stable")
        networks.chosen += [candidates[row] for row in widest[: more - by_chance]]
    networks.take_random(by_chance)


class _Networks:
    """The random and the chosen networks; no chosen one is a duplicate of one that may become random."""

    def __init__(self, space: Space, seed: int, begun: Sequence[Architecture]) -> None:
        self.order = space.sample(min(MOST_RANDOM, space.cardinality), seed)
        taken = set(begun)
        last = max((place for place, one in enumerate(self.order, start=1) if one in taken), default=0)
        self.random = self.order[:last]
        self.chosen = [one for one in begun if one not in set(self.order)]
        self._seen = {form for one in [*self.order, *self.chosen] for form in _forms(one)}
        self._rng = np.random.default_rng([POOL_SEED, seed, len(begun)])
        self._space = space

    def take_random(self, count: int) -> None:
        self.random = self.order[: len(self.random) + max(count, 0)]

    def draw(self, count: int) -> list[Architecture]:
        """Up to `count` new candidates without duplicates; fewer if the space has hardly any left."""
        found: list[Architecture] = []
        for _ in range(10 * count):
            one = self._space.draw(self._rng)
            if len(found) < count and not self._seen & _forms(one):
                found.append(one)
                self._seen |= _forms(one)
        return found


def _forms(architecture: Architecture) -> set[Architecture]:
    return {architecture, architecture.canonical(), architecture.pruned()}


def _reason(step: Step, error_percent: float, budget: int) -> Reason | None:
    if step.highest_percent <= error_percent:
        return "error"
    if step.noise_percent is not None and step.error_percent <= AT_NOISE * step.noise_percent:
        return "noise"
    return "budget" if step.networks >= budget else None


def _cross_validated(predictor: Predictor, table: CostTable, networks: _Networks, seed: int) -> Step:
    """Cross-validate on the random networks; the chosen ones are in every training set."""
    architectures, costs = table.architectures(), table.costs()
    numbers = {one: number for number, one in enumerate(networks.random)}
    random = np.array([row for row, one in enumerate(architectures) if one in numbers])
    fold = np.full(len(architectures), -1)
    fold[random] = assign_folds([architectures[row] for row in random], FOLDS, seed)
    predicted, codes = np.full(len(architectures), np.nan), predictor.space.encode(architectures)
    for number in range(FOLDS):
        out = fold == number
        learner = _fitted(predictor, table, ~out, seed)
        predicted[out] = learner.predict(codes[out]).mean
    usual = random[costs[random] >= DEGENERATE_SHARE * np.median(costs[random])]
    errors = 100 * np.abs(predicted[usual] / costs[usual] - 1)
    deviation = float(errors.std(ddof=1) / len(errors) ** 0.5)
    return Step(len(architectures), len(random), float(errors.mean()), deviation, _noise_percent(table, usual))


def _fitted(predictor: Predictor, table: CostTable, rows: NDArray[np.bool_], seed: int) -> Predictor:
    learner = predictor.clone()
    codes = predictor.space.encode(table.architectures())
    learner.fit(codes[rows], table.costs()[rows], seed=seed, cost=table.provenance.cost)
    return learner


def _noise_percent(table: CostTable, rows: NDArray[np.int64]) -> float | None:
    """The mean over networks of half the relative difference between first and last rounds, in percent."""
    every = table.rounds()
    repeated = [every[row] for row in rows if len(every[row]) >= 2]
    if not repeated:
        return None
    first = np.array([np.median(rounds[: len(rounds) // 2]) for rounds in repeated])
    last = np.array([np.median(rounds[len(rounds) // 2 :]) for rounds in repeated])
    return float(np.mean(100 * np.abs(first - last) / (first + last)))
