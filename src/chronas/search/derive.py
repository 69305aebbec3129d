"""Derivation of architectures from alphas: best first, all predicted inside every limit.

Without limits these are the most probable architectures, exactly in order. With limits, the most probable ones are
filtered. If tight limits are far below these, a hill climb repairs the mode: it changes the group with the largest
reduction of the summed relative violations for its loss of log-probability, until the predictions are inside. Then it
regains probability while it stays inside. Disconnected architectures are left out, even if they are probable.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from chronas.errors import OutOfReachError, UsageError
from chronas.records import Trial, amounts_text
from chronas.search.objective import Cost, predicted
from chronas.search.relaxation import Relaxation
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
