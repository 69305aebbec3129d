"""How many measurements are enough: measure on until a predictor's error is small, or cannot get smaller.

After each batch the predictor is judged on random networks alone, each by a fit that has not seen it nor a twin of it:
networks that were measured because they are hard would make the error look too large, their neighbours too small.
Of a batch, a quarter is random, the others are those that the predictor is least sure of among as many random ones
again.

No predictor gets below the measurements' own noise. Half of the difference between the first and the last rounds is as
large as the error of all rounds together, so its mean, in percent, is the error of a perfect predictor.
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
FIRST = 30  # random networks before the first judgement
FEWEST_MORE = 8  # networks of a batch
GROWTH = 0.25  # of all networks so far, in the next batch
RANDOM_SHARE = 0.25  # of a batch
DRAWN = 2  # candidates for each network that is chosen among them
AT_NOISE = 1.15  # an error within this factor of the noise is as good as the noise: a tenth of it is squared noise
MOST_RANDOM = 2000  # whatever the budget is, so that a larger one goes on with what was begun
POOL_SEED = 5_550_001  # of candidates, so that they are other ones than the random networks


@dataclass(frozen=True)
class Step:
    """What was known after a batch.

    Attributes:
        networks: measured so far.
        random: how many of them are random, on which the error is judged.
        error_percent: mean absolute error on these, over the measured cost.
        standard_error_percent: how sure that is.
        noise_percent: what a perfect predictor's error would be; None where there are no two rounds.
    """

    networks: int
    random: int
    error_percent: float
    standard_error_percent: float
    noise_percent: float | None

    @property
    def highest_percent(self) -> float:
        """The error, one standard error up: what has to be reached, as stopping at a lucky moment is no skill."""
        return self.error_percent + self.standard_error_percent


@dataclass(frozen=True)
class Enough:
    """How it went.

    Attributes:
        table: of all networks.
        steps: after each batch.
        reason: why it ended: the error was reached, the measurements' noise, or the budget, which is also spent where
            a space has no more networks.
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
) -> Enough:
    """Measure networks of a space, batch after batch.

    Args:
        predictor: its kind, space, size and config; it is not fitted itself.
        measure: gives the table of the networks that it is asked for, those of earlier calls among them.
        error_percent: mean absolute percentage error that is wanted.
        budget: most networks.
        seed: of networks and fits; the same one goes on with what was begun.
        begun: what an attempt before has measured, or begun to.
        cost: which one of the table; None means its own.

    Raises:
        UsageError: the budget is too small to judge on.
        DataError: costs that nothing can be learned from.
    """
    first = max(FIRST, needed_for_folds(predictor.minimum, FOLDS))
    if budget < first:
        raise UsageError(f"the error of {predictor.name} is judged on {first} networks first, got a budget of {budget}")
    networks = _Networks(predictor.space, seed, begun)
    networks.take_random(first - len(networks.random))
    steps: list[Step] = []
    while True:
        table = measure([*networks.random, *networks.chosen])
        judged = table if cost is None else table.of(cost)
        step = _judge(predictor, judged, networks, seed)
        steps.append(step)
        nothing_new = len(steps) > 1 and step.networks == steps[-2].networks
        reason = "budget" if nothing_new else _reason(step, error_percent, budget)
        if reason is not None:
            return Enough(table, tuple(steps), reason)
        more = max(FEWEST_MORE, round(GROWTH * step.networks))
        _take_more(predictor, judged, networks, min(budget - step.networks, more), seed)


def _take_more(predictor: Predictor, table: CostTable, networks: _Networks, more: int, seed: int) -> None:
    """Add the next batch: random networks, and those that a fit on the whole table is least sure of."""
    by_chance = math.ceil(RANDOM_SHARE * more)
    candidates = networks.draw(DRAWN * (more - by_chance))
    if candidates:
        learner = _fitted(predictor, table, np.ones(len(table), dtype=bool), seed)
        widest = np.argsort(-relative_width(learner, predictor.space.encode(candidates)), kind="stable")
        networks.chosen += [candidates[row] for row in widest[: more - by_chance]]
    networks.take_random(by_chance)


class _Networks:
    """Which networks are random and which were chosen; no chosen one is a twin of any that may become random."""

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
        """Up to `count` new candidates, no two of them twins; fewer where the space has hardly any left."""
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


def _judge(predictor: Predictor, table: CostTable, networks: _Networks, seed: int) -> Step:
    """Cross-validate on the random networks; the chosen ones are in every fit."""
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
    """The mean over networks of half the difference between first and last rounds, over their mean."""
    every = table.rounds()
    repeated = [every[row] for row in rows if len(every[row]) >= 2]
    if not repeated:
        return None
    first = np.array([np.median(rounds[: len(rounds) // 2]) for rounds in repeated])
    last = np.array([np.median(rounds[len(rounds) // 2 :]) for rounds in repeated])
    return float(np.mean(100 * np.abs(first - last) / (first + last)))
