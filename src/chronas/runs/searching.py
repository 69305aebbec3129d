"""The step that searches, and the choice of one architecture that keeps the limit when it is measured (DESIGN 8)."""

from __future__ import annotations

from dataclasses import dataclass

from chronas.errors import LimitMissedError, UsageError
from chronas.measurement import Latency
from chronas.predictors import Predictor
from chronas.progress import Progress, silent
from chronas.runs.folder import Run
from chronas.runs.measuring import measure_again
from chronas.search import Candidate, Found, ObjectiveConfig, SearchCost, Searcher, Task, make_searcher
from chronas.spaces import Architecture

RESERVE = 0.02  # share of a limit that is left free: halves of a campaign differ by about 1 % (docs/log.md)
TRIES = 4  # the derived network and three more, each with the limit tightened by the error seen


@dataclass(frozen=True)
class Choice:
    """An architecture that was chosen and measured, and what was tried before it."""

    candidate: Candidate
    latency: Latency
    tried: tuple[str, ...]


def search(
    run: Run,
    name: str,
    objective: ObjectiveConfig,
    predictor: Predictor,
    *,
    searcher: Searcher | None = None,
    progress: Progress = silent,
) -> Found:
    """Search with the run's searcher (or another), under `search/<name>`; resumes from its last checkpoint.

    Args:
        run: the run.
        name: of the search, for example "latency-term".
        objective: weight or limit.
        predictor: gives the cost that is descended on, and the median of its table that the cost is divided by.
        searcher: another searcher than the run's own.
        progress: told of each step.

    Raises:
        UsageError: the latency has a part in the search but the predictor is not differentiable.
    """
    searcher = searcher or make_searcher(run.config.searcher, run.config.searcher_config)
    if objective.active and not predictor.differentiable:
        raise UsageError(f"predictor {predictor.name} is not differentiable: choose another to search with latency")
    train, validation = run.search_split
    task = Task(
        space=run.space,
        skeleton=run.skeleton,
        search_train=train,
        search_validation=validation,
        normalisation=run.normalisation,
        costs={"latency_ms": SearchCost(predictor.cost, predictor.median_ms)} if predictor.differentiable else {},
        objective=objective,
        folder=run.folder / "search" / name,
        seed=run.config.seed,
    )
    with run.timed(f"search {name}"):
        return searcher.search(task, lambda _, done, total, note: progress(f"search {name}", done, total, note))


def choose(run: Run, name: str, found: Found, limit_ms: float | None, progress: Progress = silent) -> Choice:
    """The best architecture of a search whose measured cost is inside the limit, or the best of all without a limit.

    A candidate that misses tightens the limit of the next by the error that was seen. One that is inside with less than
    `RESERVE` to spare is kept for the case that no other has more: measured again, it may well be outside.

    Raises:
        LimitMissedError: no candidate of `TRIES` was inside; the message tells what was measured.
    """
    tried: list[str] = []
    wanted_ms = limit_ms
    excluded: set[Architecture] = set()
    close: Choice | None = None
    for _ in range(TRIES):
        limits = {} if wanted_ms is None else {"latency_ms": wanted_ms}
        try:
            candidate = next((c for c in found.candidates(limits) if c.architecture not in excluded), None)
        except UsageError:
            if not tried:
                raise
            break
        if candidate is None:
            break
        measured = measure_again(run, f"choose {name}", [candidate.architecture], progress)
        latency = measured[str(candidate.architecture)]
        choice = Choice(candidate, latency, tuple(tried))
        if limit_ms is None or latency.high_ms <= limit_ms * (1 - RESERVE):
            return choice
        inside = latency.high_ms <= limit_ms
        close = close or (choice if inside else None)
        predicted_ms = candidate.predicted["latency_ms"]
        tried.append(f"predicted {predicted_ms:.3f} ms, measured up to {latency.high_ms:.3f} ms")
        excluded.add(candidate.architecture)
        assert wanted_ms is not None
        goal_ms = limit_ms * (1 - RESERVE) if inside else limit_ms
        wanted_ms = min(wanted_ms, predicted_ms) * goal_ms / latency.high_ms
    if close is not None:
        return close
    raise LimitMissedError(f"no architecture within {limit_ms} ms: {'; '.join(tried) or 'none is predicted inside'}")
