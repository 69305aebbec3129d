"""Logits -> architectures, best first, all predicted inside a limit.

Without a limit these are the most probable architectures, exactly in order. With one, the most probable ones are
filtered; where a tight limit lies far below them, a hill climb repairs the mode: the group is changed that gives most
milliseconds for its loss of log-probability, until the prediction is inside, and then whatever regains probability
and stays inside.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from chronas.errors import UsageError
from chronas.search.objective import CostFunction, predicted_ms
from chronas.search.relaxation import Relaxation
from chronas.spaces import Architecture

SCANNED = 8192
CHUNK = 512
STARTS = 8
KEPT = 64


@dataclass(frozen=True)
class Candidate:
    """An architecture that a search proposes.

    Attributes:
        architecture: of the searched space.
        log_probability: natural logarithm of its probability under the searcher's distribution.
        predicted_ms: predicted latency; None where the search has no predictor.
    """

    architecture: Architecture
    log_probability: float
    predicted_ms: float | None


def candidates(relaxation: Relaxation, cost: CostFunction | None, limit_ms: float | None) -> Iterator[Candidate]:
    """Architectures by falling probability, all predicted inside the limit; without a limit the whole space, lazily.

    Args:
        relaxation: the distribution over architectures.
        cost: predictor, encodings [N, W] -> ms [N].
        limit_ms: predicted latency that no candidate exceeds, or None.

    Raises:
        UsageError: a limit without a predictor, or below anything that the climb reaches; says what is reachable.
    """
    if limit_ms is None:
        for chunk in _chunks(relaxation, cost):
            yield from chunk
        return
    if cost is None:
        raise UsageError(f"a limit of {limit_ms:g} ms needs a fitted predictor, got none: run `chronas fit` first")
    inside: set[Architecture] = set()
    for chunk in itertools.islice(_chunks(relaxation, cost), SCANNED // CHUNK):
        for candidate in chunk:
            if candidate.predicted_ms is not None and candidate.predicted_ms <= limit_ms:
                inside.add(candidate.architecture)
                yield candidate
    climb = Climb(relaxation, cost, limit_ms)
    climb.run()
    if not inside and not climb.inside:
        raise UsageError(
            f"no architecture of {relaxation.space.name} is predicted within {limit_ms:g} ms; "
            f"the fastest that was found is predicted at {climb.fastest_ms:.4g} ms: give a limit above that"
        )
    rest = sorted(climb.inside.values(), key=lambda each: -each.log_probability)
    yield from (candidate for candidate in rest if candidate.architecture not in inside)


def _chunks(relaxation: Relaxation, cost: CostFunction | None) -> Iterator[list[Candidate]]:
    ranked = relaxation.ranked()
    while chunk := list(itertools.islice(ranked, CHUNK)):
        architectures = [relaxation.architecture(numbers) for numbers, _ in chunk]
        costs: Sequence[float | None] = [None] * len(chunk)
        if cost is not None:
            costs = _predict(relaxation, cost, torch.tensor([numbers for numbers, _ in chunk])).tolist()
        yield [
            Candidate(architecture, log_p, predicted)
            for architecture, (_, log_p), predicted in zip(architectures, chunk, costs, strict=True)
        ]


def _predict(relaxation: Relaxation, cost: CostFunction, numbers: Tensor) -> Tensor:
    """[M] predicted ms of the architectures of numbers [M, G]."""
    with torch.no_grad():
        return predicted_ms(cost, relaxation.codes(numbers))


class Climb:
    """Hill climbs over single groups, from the mode and from samples.

    Each step improves, so each climb ends; one that comes back to where it was ends too, as a predictor's rounding may
    depend on what else is in a batch.

    Attributes:
        inside: candidates inside the limit that were met.
        fastest_ms: the lowest prediction that was met.
    """

    def __init__(self, relaxation: Relaxation, cost: CostFunction, limit_ms: float) -> None:
        self.inside: dict[Architecture, Candidate] = {}
        self.fastest_ms = float("inf")
        self._relaxation = relaxation
        self._cost = cost
        self._limit_ms = limit_ms

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
        """The next [G]: the most probable inside, or, where none is inside, the least loss for a millisecond."""
        met = torch.cat([current[None], self._relaxation.neighbours(current)])
        log_p, costs = self._relaxation.log_probabilities(met), _predict(self._relaxation, self._cost, met)
        self.fastest_ms = min(self.fastest_ms, float(costs.min()))
        inside = costs <= self._limit_ms
        if bool(inside.any()):
            best = int(log_p.masked_fill(~inside, -torch.inf).argmax())
            self._note(met[inside], log_p[inside], costs[inside])
            return met[best] if best != 0 else None
        gained_ms = costs[0] - costs
        if not bool((gained_ms > 0).any()):
            return None
        price = ((log_p[0] - log_p) / gained_ms).masked_fill(gained_ms <= 0, torch.inf)
        return met[int(price.argmin())]

    def _note(self, numbers: Tensor, log_p: Tensor, costs: Tensor) -> None:
        best = log_p.argsort(descending=True)[:KEPT]
        for row, value, predicted in zip(
            numbers[best].tolist(), log_p[best].tolist(), costs[best].tolist(), strict=True
        ):
            architecture = self._relaxation.architecture(row)
            self.inside[architecture] = Candidate(architecture, value, predicted)
