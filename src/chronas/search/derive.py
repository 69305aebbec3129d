"""Derivation of architectures from alphas: best first, all predicted inside every limit.

Without limits these are the most probable architectures, exactly in order. With limits, the most probable ones are
filtered. If tight limits are far below these, a hill climb repairs the mode: it changes the group with the largest
reduction of the summed relative violations for its loss of log-probability, until the predictions are inside. Then it
regains probability while it stays inside. Disconnected architectures are left out, even if they are probable.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from chronas.errors import OutOfReachError, UsageError
from chronas.pareto import non_dominated
from chronas.progress import Progress, silent
from chronas.records import Trial, amounts_text
from chronas.search.gradient.descend import Limits, limit_levels
from chronas.search.objective import Cost, predicted
from chronas.search.relaxation import Relaxation
from chronas.search.searcher import SearchResult, Task
from chronas.spaces import Architecture
from chronas.units import amount_text

SCANNED = 16_384  # more than NAS-Bench-201 has, so that nothing is missed there
CHUNK = 512
STARTS = 8
KEPT = 64


def candidates(relaxation: Relaxation, costs: Mapping[str, Cost], limits: Mapping[str, float]) -> Iterator[Trial]:
    """Connected architectures by falling probability, all predicted inside the limits, generated lazily.

    Args:
        relaxation: the distribution over architectures.
        costs: predictable costs by name.
        limits: upper limits for each candidate's predictions, by name, in the unit of the cost.

    Raises:
        UsageError: a limit has no predictor.
        OutOfReachError: a limit is below all costs that the climb reaches; the message says what is reachable.
    """
    if not limits:
        for chunk in _chunks(relaxation, costs):
            yield from chunk
        return
    require_costs(costs, limits)
    inside: set[Architecture] = set()
    for chunk in itertools.islice(_chunks(relaxation, costs), SCANNED // CHUNK):
        for candidate in chunk:
            if candidate.violation(limits) == 0:
                inside.add(candidate.architecture)
                yield candidate
    climb = Climb(relaxation, costs, limits)
    climb.run()
    if not inside and not climb.inside:
        raise out_of_reach(relaxation.space.name, limits, climb.nearest)
    rest = sorted(climb.inside.values(), key=lambda each: -each.log_probability)
    yield from (candidate for candidate in rest if candidate.architecture not in inside)


def require_costs(costs: Mapping[str, object], limits: Mapping[str, float]) -> None:
    """Check that each limit is on a predictable cost.

    Raises:
        UsageError: one is not.
    """
    for name, limit in limits.items():
        if name not in costs:
            raise UsageError(
                f"a limit of {amount_text(name, limit)} needs a fitted predictor of {name}, got "
                f"{', '.join(costs) or 'none'}: run `chronas fit` first"
            )


def out_of_reach(space: str, limits: Mapping[str, float], nearest: Mapping[str, float]) -> OutOfReachError:
    """The error if nothing is predicted to keep the limits; `nearest` are the costs of the nearest architecture."""
    if all(nearest[name] <= limit for name, limit in limits.items()):
        return OutOfReachError(
            f"all architectures found in {space} within {amounts_text(limits)} are disconnected: give higher limits"
        )
    return OutOfReachError(
        f"no architecture of {space} is predicted within {amounts_text(limits)}; the nearest that was found is "
        f"predicted at {amounts_text({name: nearest[name] for name in limits})}: give limits above that"
    )


def _chunks(relaxation: Relaxation, costs: Mapping[str, Cost]) -> Iterator[list[Trial]]:
    ranked = relaxation.ranked()
    while chunk := list(itertools.islice(ranked, CHUNK)):
        numbers = torch.tensor([row for row, _ in chunk])
        predictions = _rows(_predict(relaxation, costs, numbers), len(chunk))
        found = [
            Trial(relaxation.architecture(row), prediction, log_probability=log_p)
            for (row, log_p), prediction in zip(chunk, predictions, strict=True)
        ]
        yield [each for each in found if each.architecture.connected()]


def _predict(relaxation: Relaxation, costs: Mapping[str, Cost], numbers: Tensor) -> dict[str, Tensor]:
    """Each predicted cost [M] of the architectures with numbers [M, G]."""
    with torch.no_grad():
        return predicted(costs, relaxation.codes(numbers))


def _rows(costs: Mapping[str, Tensor], count: int) -> list[dict[str, float]]:
    """Costs by name, each [M], as a list of M dicts."""
    columns = {name: values.tolist() for name, values in costs.items()}
    return [{name: column[row] for name, column in columns.items()} for row in range(count)]


class Climb:
    """Hill climbing over single groups, from the mode and from samples.

    Each step improves, so each climb ends. A climb that returns to an earlier point ends too, because a predictor's
    rounding may depend on the rest of a batch.

    Attributes:
        inside: candidates inside the limits that were found.
        nearest: predicted costs of the architecture with the smallest violation that was found.
    """

    def __init__(self, relaxation: Relaxation, costs: Mapping[str, Cost], limits: Mapping[str, float]) -> None:
        self.inside: dict[Architecture, Trial] = {}
        self.nearest: dict[str, float] = {}
        self._least = float("inf")
        self._relaxation = relaxation
        self._costs = costs
        self._limits = limits

    def run(self) -> None:
        """Climb from each start."""
        mode = self._relaxation.mode_numbers()[None]
        samples = self._relaxation.draw(STARTS - 1, torch.Generator().manual_seed(0))
        for start in torch.cat([mode, samples]):
            current: Tensor | None = start
            visited: set[tuple[int, ...]] = set()
            while current is not None and (place := tuple(current.tolist())) not in visited:
                visited.add(place)
                current = self._step(current)

    def _step(self, current: Tensor) -> Tensor | None:
        """The next [G]: the most probable one inside, or else the best reduction of violation for its loss."""
        met = torch.cat([current[None], self._relaxation.neighbours(current)])
        log_p, costs = self._relaxation.log_probabilities(met), _predict(self._relaxation, self._costs, met)
        over = [(costs[name].double() - limit).clamp(min=0.0) / limit for name, limit in self._limits.items()]
        outside = torch.stack(over).sum(dim=0)
        self._come_near(outside, costs)
        inside = outside == 0
        if bool(inside.any()):
            best = int(log_p.masked_fill(~inside, -torch.inf).argmax())
            self._note(met[inside], log_p[inside], {name: values[inside] for name, values in costs.items()})
            return met[best] if best != 0 else None
        gained = outside[0] - outside
        if not bool((gained > 0).any()):
            return None
        penalty = ((log_p[0] - log_p) / gained).masked_fill(gained <= 0, torch.inf)
        return met[int(penalty.argmin())]

    def _come_near(self, outside: Tensor, costs: Mapping[str, Tensor]) -> None:
        nearest = int(outside.argmin())
        if float(outside[nearest]) < self._least:
            self._least = float(outside[nearest])
            self.nearest = {name: float(values[nearest]) for name, values in costs.items()}

    def _note(self, numbers: Tensor, log_p: Tensor, costs: Mapping[str, Tensor]) -> None:
        best = log_p.argsort(descending=True)[:KEPT]
        predictions = _rows({name: values[best] for name, values in costs.items()}, len(best))
        for row, value, prediction in zip(numbers[best].tolist(), log_p[best].tolist(), predictions, strict=True):
            architecture = self._relaxation.architecture(row)
            if architecture.connected():
                self.inside[architecture] = Trial(architecture, prediction, log_probability=value)


# ----
# A Pareto front from one search: networks from fast to accurate, none dominated by another.
#
# Among all contenders of a search for a sequence of limits, those are kept that no other dominates in predicted cost
# and quality. Each limit takes the best of these within it. If several limits take the same network, the front is
# filled with others, the farthest from the chosen ones first.


def find_front(found: SearchResult, task: Task, cost: str, count: int, progress: Progress = silent) -> list[Trial]:
    """At most `count` architectures, none dominated by another, by rising predicted cost and quality.

    Args:
        found: result of a search for the task.
        task: the task of that search; its limits apply to all architectures.
        cost: the cost to trade against accuracy, a name in `task.costs`.
        count: number of architectures; there are fewer if the front is smaller.
        progress: called after each step.

    Raises:
        UsageError: the cost has no predictor.
        DataError: a prediction is not a finite number.
    """
    require_costs(task.costs, {cost: math.inf})
    levels = limit_levels(task, cost, count)
    return choose_front(found.contenders(levels, progress), cost, levels)


def choose_front(contenders: Sequence[Trial], cost: str, levels: Sequence[Limits]) -> list[Trial]:
    """For each limit the best non-dominated contender within it, filled up to one for each limit, by rising cost."""
    unbeaten = _unbeaten(contenders, cost)
    values = [each.costs[cost] for each in unbeaten]
    within = [
        max((n for n, value in enumerate(values) if value <= limits.get(cost, math.inf)), default=None)
        for limits in levels
    ]
    taken = {n for n in within if n is not None}
    while len(taken) < min(len(levels), len(unbeaten)):
        left = [n for n in range(len(unbeaten)) if n not in taken]
        taken.add(max(left, key=lambda n: min((abs(values[n] - values[t]) for t in taken), default=0.0)))
    return [unbeaten[n] for n in sorted(taken)]


def _unbeaten(contenders: Sequence[Trial], cost: str) -> list[Trial]:
    """The non-dominated contenders, one of equal ones, by rising cost and so by rising quality."""
    if not contenders:
        return []
    points = np.array([[each.costs[cost], -each.quality] for each in contenders])
    _, first = np.unique(points, axis=0, return_index=True)
    return [contenders[n] for n, on_front in zip(first, non_dominated(points[first]), strict=True) if on_front]


# ----
# Reranking of candidates: the choice combines the alphas, the supernet's accuracy and the predictors.
#
# A candidate takes part if every predictor puts it inside its limit by a margin, in standard deviations of the
# prediction. Candidates are ranked by the searcher's own order, by validation accuracy with the search's shared
# weights, and, if costs have weights, by their penalty. The smallest mean rank wins. Ranks are used because percent
# of accuracy and nats of probability are not comparable. A searcher without shared weights keeps its own order. The
# rule is ours: a supernet's accuracy is known to rank better than alphas (SPOS, arXiv 1904.00420), but also to
# mislead if used alone (arXiv 2008.03064), so both are used.

TRIED_AT_ONCE = 64
MOST_TRIED = 4096  # candidates to search for ones with a margin; a tight limit has few

Deviations = Callable[[Sequence[Architecture]], Sequence[Mapping[str, float]]]  # of costs, by name
Penalty = Callable[[Mapping[str, float]], float]  # costs of an architecture -> their penalty by weights


class RerankConfig(BaseModel):
    """Settings for choosing the network of a search among its candidates."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    candidates: int = Field(
        default=32, ge=1, le=1024, description="feasible candidates that the supernet scores; 1 takes the most probable"
    )
    margin: float = Field(
        default=1.0, ge=0.0, le=10.0, description="standard deviations by which a prediction must be below its limit"
    )


class Reranker:
    """Reranks the candidates of one search; scores are remembered for later calls with tighter limits."""

    def __init__(
        self,
        found: SearchResult,
        config: RerankConfig,
        *,
        deviations: Deviations | None = None,
        penalty: Penalty | None = None,
        progress: Progress = silent,
    ) -> None:
        """Store the search's result.

        Args:
            found: result of a search.
            config: number of candidates, and the margin.
            deviations: gives the standard deviation of each predicted cost of architectures; None for no margin.
            penalty: gives the penalty of an architecture's costs; None if no cost has a weight.
            progress: called after each scored candidate.
        """
        self._found = found
        self._config = config
        self._deviations = deviations
        self._penalty = penalty
        self._progress = progress
        self._scores: dict[Architecture, float] = {}

    def ranked(self, limits: Mapping[str, float], excluded: Collection[Architecture] = ()) -> list[Trial]:
        """The candidates inside all limits, the chosen one first; empty if all are excluded.

        Args:
            limits: limits by name of the cost, in its unit.
            excluded: architectures that must not be chosen.

        Raises:
            UsageError: as `SearchResult.candidates`.
        """
        entered, margin = self._enter(limits, excluded)
        accuracies = self._accuracies([each.architecture for each in entered])
        if accuracies is None:
            return [
                replace(each, place=place, rank=float(place), margin=margin) for place, each in enumerate(entered, 1)
            ]
        from scipy.stats import rankdata  # here, as it takes a second to import

        ranks = [np.arange(1.0, len(entered) + 1), rankdata([-accuracy for accuracy in accuracies])]
        if self._penalty is not None:
            ranks.append(rankdata([self._penalty(each.costs) for each in entered]))
        compared = [
            replace(trial, score=accuracy, place=place, rank=float(rank), margin=margin)
            for place, (trial, accuracy, rank) in enumerate(
                zip(entered, accuracies, np.mean(ranks, axis=0), strict=True), 1
            )
        ]
        return sorted(compared, key=lambda each: each.rank)  # stable: equals keep the searcher's order

    def _enter(self, limits: Mapping[str, float], excluded: Collection[Architecture]) -> tuple[list[Trial], float]:
        """The first candidates that keep the margin, and the margin; if none does, the first inside, and 0."""
        wanted = self._config.candidates
        inside = (each for each in self._found.candidates(limits) if each.architecture not in excluded)
        if not limits or self._deviations is None or self._config.margin == 0:
            return list(itertools.islice(inside, wanted)), 0.0
        safe: list[Trial] = []
        close: list[Trial] = []
        for _ in range(MOST_TRIED // TRIED_AT_ONCE):
            chunk = list(itertools.islice(inside, TRIED_AT_ONCE))
            for candidate, keeps in zip(chunk, self._keep_margin(chunk, limits), strict=True):
                (safe if keeps else close).append(candidate)
            if len(safe) >= wanted or len(chunk) < TRIED_AT_ONCE:
                break
        return (safe[:wanted], self._config.margin) if safe else (close[:wanted], 0.0)

    def _keep_margin(self, candidates: Sequence[Trial], limits: Mapping[str, float]) -> list[bool]:
        if not candidates:
            return []
        assert self._deviations is not None
        deviations = self._deviations([each.architecture for each in candidates])
        return [
            all(each.costs[name] + self._config.margin * deviation[name] <= limit for name, limit in limits.items())
            for each, deviation in zip(candidates, deviations, strict=True)
        ]

    def _accuracies(self, architectures: Sequence[Architecture]) -> list[float] | None:
        if len(architectures) < 2:
            return None
        for done, architecture in enumerate(architectures, 1):
            if architecture not in self._scores:
                scores = self._found.score([architecture])
                if scores is None:
                    return None
                self._scores[architecture] = scores[0]
                self._progress("score", done, len(architectures), f"{scores[0]:.1f} % by the supernet")
        return [self._scores[architecture] for architecture in architectures]
