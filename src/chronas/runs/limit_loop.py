"""The step that searches, and the choice of an architecture that keeps all limits when it is measured."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from chronas.errors import LimitMissedError, OutOfReachError
from chronas.predictors import Predictor
from chronas.progress import Progress, silent
from chronas.records import Estimate, Trial, amounts_text
from chronas.runs.compatibility import search_costs
from chronas.runs.cost_model import saved_predictors
from chronas.runs.network_costs import SAID, NetworkCosts, costs_of
from chronas.runs.run import Run
from chronas.runs.warm_start import warm_start_file_of
from chronas.search import (
    ObjectiveConfig,
    Reranker,
    Searcher,
    SearchResult,
    Task,
)
from chronas.spaces import Architecture
from chronas.training import ProcessGroup
from chronas.units import COST_UNITS, cost_word

RESERVE = 0.02  # share of a limit to leave free: halves of a campaign differ by about 1 % (docs/log.md)
TRIES = 4  # the first choice and three more, each with limits tightened by the observed error


@dataclass(frozen=True)
class Choice:
    """A chosen trial, its costs, the candidates tried before it, and all candidates compared with it."""

    trial: Trial
    costs: NetworkCosts
    tried: tuple[str, ...]
    compared: tuple[Trial, ...]


def search(
    run: Run,
    name: str,
    objective: ObjectiveConfig,
    predictors: Mapping[str, Predictor],
    *,
    searcher: Searcher | None = None,
    progress: Progress = silent,
) -> SearchResult:
    """Search with the run's searcher (or another), under `search/<name>`; resumes from the last checkpoint.

    A run that reuses another run has a warm start, with its own searcher only.

    Args:
        run: the run.
        name: name of the search, for example "latency-term".
        objective: weights or limits.
        predictors: cost -> predictor; costs are divided by the median of the predictor's table.
        searcher: another searcher than the run's own.
        progress: called after each step.

    Raises:
        UsageError: a gradient-based search uses a cost whose predictor is not differentiable.
    """
    own = searcher is None
    searcher, task = _prepared(run, name, objective, predictors, searcher)

    def shown(_: str, done: int, total: int, note: str) -> None:
        told(f"search {name}", done, total, note)

    with run.timed(f"search {name}", progress) as told:
        if own and run.group.size > 1:
            asked = {"folder": str(run.folder), "name": name, "objective": objective.model_dump(mode="json")}
            run.group.broadcast(json.dumps(asked))
            searcher.search(replace(task, group=run.group), shown)  # a finished search is only loaded below
        return searcher.search(task, shown)


def help_searches(group: ProcessGroup) -> None:
    """Take part in the searches of the first process's run, until it broadcasts "" or ends."""
    while text := _told(group):
        asked = json.loads(text)
        run = Run.open(Path(asked["folder"]))
        torch.set_num_threads(run.config.threads)
        objective = ObjectiveConfig.model_validate(asked["objective"])
        searcher, task = _prepared(run, asked["name"], objective, saved_predictors(run), None)
        searcher.search(replace(task, group=group))


def _told(group: ProcessGroup) -> str:
    try:
        return group.broadcast()
    except RuntimeError:  # gloo's error for a closed connection; the first process reports its own reason
        return ""


def _prepared(
    run: Run,
    name: str,
    objective: ObjectiveConfig,
    predictors: Mapping[str, Predictor],
    searcher: Searcher | None,
) -> tuple[Searcher, Task]:
    trained = warm_start_file_of(run.reused) if searcher is None and run.reused is not None else None
    searcher = searcher or run.searcher
    costs = search_costs(objective, predictors, type(searcher))
    return searcher, run.task(name, objective, costs, trained)


def choose(run: Run, name: str, reranker: Reranker, limits: Mapping[str, float], progress: Progress = silent) -> Choice:
    """The best candidate of a search whose measured costs are inside all limits; without limits, the best of all.

    If a candidate misses a limit, that limit is tightened by the observed error for the next candidate. A candidate
    inside with less than `RESERVE` to spare is only used if no other has more, because it may be outside when measured
    again. An exact cost needs no reserve.

    Raises:
        LimitMissedError: none of `TRIES` candidates was inside; the message lists the missed limits and by how much.
        OutOfReachError: the limits are below all predicted costs.
    """
    tried: list[str] = []
    wanted = dict(limits)
    excluded: set[Architecture] = set()
    close: Choice | None = None
    for _ in range(TRIES):
        try:
            with run.timed(f"judge {name}"):
                compared = reranker.ranked(wanted, excluded)
        except OutOfReachError:
            if not tried:
                raise
            break
        if not compared:
            break
        trial = compared[0]
        costs = costs_of(run, f"choose {name}", [trial.architecture], progress)[str(trial.architecture)]
        choice = Choice(trial, costs, tuple(tried), tuple(compared))
        found = {cost: costs[cost] for cost in limits}
        tight = [cost for cost, limit in limits.items() if found[cost].high > limit * (1 - _reserve(found[cost]))]
        if not tight:
            return choice
        inside = all(found[cost].high <= limit for cost, limit in limits.items())
        close = close or (choice if inside else None)
        tried.append(" and ".join(_miss(cost, trial, costs) for cost in tight))
        excluded.add(trial.architecture)
        for cost in tight:
            goal = limits[cost] * (1 - _reserve(found[cost]))
            predicted = trial.costs[cost]  # below zero for a degenerate network, where an error is meaningless
            wanted[cost] = (predicted if 0 < predicted < wanted[cost] else wanted[cost]) * goal / found[cost].high
    if close is not None:
        return close
    raise LimitMissedError(
        f"no architecture within {amounts_text(limits)}: {'; '.join(tried) or 'none is predicted inside'}"
    )


def _reserve(found: Estimate) -> float:
    return RESERVE if found.high > found.low else 0.0


def _miss(cost: str, trial: Trial, costs: NetworkCosts) -> str:
    unit = COST_UNITS[cost]
    return (
        f"{cost_word(cost)} predicted {trial.costs[cost]:.3f} {unit}, "
        f"{SAID[costs[cost].source]} {costs[cost].high:.3f} {unit}"
    )
