"""The loop of all black-box searchers: candidates are proposed and evaluated, and their values are sent back.

A searcher is a generator: it yields candidates that are new and inside the limits, and receives their values. It uses a
single generator of random numbers, so the journal of evaluations in `search.json` is its whole state. A stopped search
proposes the same candidates again, gets their values from the journal, and continues at its end.
"""

from __future__ import annotations

import math
import time
from abc import abstractmethod
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field
from torch import Tensor

from chronas.errors import DataError, MismatchError, OutOfReachError
from chronas.files import read_json, write_json
from chronas.pareto import non_dominated
from chronas.progress import Progress, silent
from chronas.records import Trial, amounts_text
from chronas.search.checks import check_same
from chronas.search.derive import require_costs
from chronas.search.feasible import FeasibleSet
from chronas.search.objective import Evaluator, FunctionEvaluator, Objective
from chronas.search.searcher import Searcher, SearcherConfig, SearchResult, Task, skip_connections
from chronas.spaces import Architecture, Space

SCHEMA = "chronas.sampling-search/2"
FILE = "search.json"
SAVE_EVERY_S = 1.0  # a killed search loses at most the evaluations of this time
STREAM = 1  # separate from the seed's own stream, which draws the networks that a table of the same seed measures


class BlackBoxConfig(SearcherConfig):
    """Budget of the search. It ends when either budget is spent, or when no new architecture is left."""

    architectures: int = Field(default=1000, ge=1, le=1_000_000, description="architectures to evaluate, at most")
    seconds: float | None = Field(
        default=None, gt=0, description="time for all evaluations (without a supernet's training); at least one is done"
    )


def read_trials(path: Path, space: Space) -> list[Trial]:
    """The trials in a search's journal, known or evaluated, without costs and penalties.

    Raises:
        DataError: the journal is damaged, or belongs to another space.
    """
    try:
        content = read_json(path, SCHEMA, oldest=1)
        rows = [
            row for row in [*content.get("known", []), *content["history"]] if row["validation_accuracy"] is not None
        ]
        return [
            Trial(
                space.parse(row["mode"]),
                score=row["validation_accuracy"],
                log_probability=-math.log(space.cardinality),
                value=1.0 - row["validation_accuracy"] / 100.0,
                losses=_losses(row),
            )
            for row in rows
        ]
    except (KeyError, TypeError) as error:
        raise DataError(f"{path} is no whole journal of a search: {error}") from error


def _losses(row: Mapping[str, Any]) -> tuple[float, ...]:
    return tuple(row[key] for key in ("train_loss", "validation_loss") if row.get(key) is not None)


Proposals = Generator[list[Trial], list[Trial], None]


class BlackBoxResult(SearchResult):
    """All evaluated architectures.

    Attributes:
        trials: trials, best first; `quality` is the search's estimate of the accuracy in percent.
        evaluator: the source of their scores.
        failed: the architectures whose evaluation failed, in their order.
    """

    def __init__(
        self,
        history: list[dict[str, Any]],
        trials: Sequence[Trial],
        evaluator: Evaluator,
        failed: Sequence[Architecture] = (),
    ) -> None:
        self.history = history
        self.failed = list(failed)
        self.trials = list(trials)
        self.evaluator = evaluator

    def candidates(self, limits: Mapping[str, float]) -> Iterator[Trial]:
        """Evaluated architectures predicted inside the limits, best first; raises as `SearchResult.candidates`."""
        require_costs(self.trials[0].costs, limits)
        inside = [each for each in self.trials if each.violation(limits) == 0]
        if not inside:
            nearest = min(self.trials, key=lambda each: each.violation(limits))
            raise OutOfReachError(
                f"of {len(self.trials)} evaluated architectures none is predicted within {amounts_text(limits)}; the "
                f"nearest is predicted at {amounts_text({name: nearest.costs[name] for name in limits})}: search "
                f"with these limits, or give at least that"
            )
        yield from inside

    def front(self, costs: Sequence[str]) -> list[Trial]:
        """The Pareto front of accuracy and these costs, by falling accuracy.

        Raises:
            UsageError: the search cannot predict a cost.
        """
        require_costs(self.trials[0].costs, dict.fromkeys(costs, math.inf))
        points = [[-each.score, *(each.costs[name] for name in costs)] for each in self.trials]
        best = [each for each, on_front in zip(self.trials, non_dominated(np.array(points)), strict=True) if on_front]
        return sorted(best, key=lambda each: -each.score)

    def contenders(self, limits: Sequence[Mapping[str, float]], progress: Progress = silent) -> list[Trial]:  # noqa: ARG002
        """All evaluated architectures, which serve every limit."""
        return [replace(each, score=each.quality) for each in self.trials]

    def score(self, architectures: Sequence[Architecture]) -> list[float] | None:
        """Accuracy in percent of each architecture by the supernet; None without a supernet."""
        return self.evaluator.score(architectures)

    def weights(self, architecture: Architecture) -> dict[str, Tensor] | None:
        """Trained weights for an architecture's network, by name, from a nested supernet; None without one."""
        return self.evaluator.weights(architecture)


class BlackBoxSearcher(Searcher):
    """Proposes candidates; the base evaluates them, keeps the journal and ends in time."""

    config: BlackBoxConfig

    @abstractmethod
    def _own_evaluator(self, task: Task) -> Evaluator:
        """The evaluator for tasks that bring none."""

    @abstractmethod
    def _proposals(self, feasible: FeasibleSet) -> Proposals:
        """Yield candidates of the feasible set, and receive the trials of each batch; ends when none is left."""

    def _identity(self) -> dict[str, Any]:
        """The facts about the searcher that a journal must match, as JSON."""
        return {"searcher": self.name, "config": self.config.model_dump(mode="json")}

    def _known_rows(self) -> list[dict[str, Any]]:
        """Trials that the searcher knew before it began, as rows for the journal; none by default."""
        return []

    def _ranked(self, feasible: FeasibleSet, trials: list[Trial]) -> list[Trial]:  # noqa: ARG002 - see `Bayesian`
        """All trials, best first."""
        return sorted(trials, key=lambda each: each.value)

    def _accuracies(self, feasible: FeasibleSet, trials: list[Trial]) -> list[float]:  # noqa: ARG002 - see `Bayesian`
        """The search's estimate of each accuracy in percent."""
        return [each.score for each in trials]

    def _search(self, task: Task, objective: Objective, progress: Progress) -> BlackBoxResult:
        given = task.evaluate
        evaluator = (
            self._own_evaluator(task)
            if given is None
            else given
            if isinstance(given, Evaluator)
            else FunctionEvaluator(given)
        )
        identity = {**self._identity(), **task.identity()}
        log = TrialLog(task, self.config, evaluator, objective, identity, self._known_rows(), progress)
        feasible = FeasibleSet(task, np.random.default_rng([task.seed, STREAM]))
        proposals = self._proposals(feasible)
        batch = next(proposals, [])
        try:
            while batch and (evaluated := log.evaluate(batch)) is not None:
                batch = _after(proposals, evaluated)
        except BaseException:
            if log.history:
                log.save()  # what a user's function had scored before it failed
            raise
        finally:
            evaluator.close()
        log.require_success()
        ranked = self._ranked(feasible, [trial for trial in log.trials if trial.architecture not in log.failed])
        if not ranked:
            raise feasible.out_of_reach()
        log.save()
        qualities = self._accuracies(feasible, ranked)
        best = [
            replace(trial, quality=quality, origin=self.name) for trial, quality in zip(ranked, qualities, strict=True)
        ]
        return BlackBoxResult(log.history, best, evaluator, log.failed)


def _after(proposals: Proposals, evaluated: list[Trial]) -> list[Trial]:
    """The next proposals; empty if the searcher has ended."""
    try:
        return proposals.send(evaluated)
    except StopIteration:
        return []


def _require_same(saved: dict[str, Any], task: Task, identity: dict[str, Any], path: Path) -> None:
    """Refuse the journal of another search; only its evaluator may be another, if the task keeps scores."""
    other = task.evaluate is not None and saved.get("evaluate") not in (None, identity["evaluate"])
    if other and not task.keep_scores:
        raise MismatchError(
            f"{path} has scores of another evaluator ({saved['evaluate']}; now {identity['evaluate']}): search in a "
            "new folder, or give keep_scores=True to go on with them, as after a correction that changes no score"
        )
    check_same({**saved, "evaluate": identity["evaluate"]} if other else saved, identity, path)


class TrialLog:
    """The journal of a search and its budget.

    Attributes:
        history: a row for each evaluation; `search.json` has all of them.
        trials: the trials that this search has reached so far; a failed one has the lowest score before it.
        failed: the architectures of failed trials.
    """

    def __init__(
        self,
        task: Task,
        config: BlackBoxConfig,
        evaluator: Evaluator,
        objective: Objective,
        identity: dict[str, Any],
        known: list[dict[str, Any]],
        progress: Progress,
    ) -> None:
        """Load the folder's journal, if there is one.

        Raises:
            DataError: the journal is damaged.
            MismatchError: the journal belongs to another search.
        """
        self.history: list[dict[str, Any]] = []
        self.trials: list[Trial] = []
        self.failed: list[Architecture] = []
        self._path = task.folder / FILE
        self._config, self._evaluator, self._objective = config, evaluator, objective
        self._identity, self._known, self._progress = identity, known, progress
        self._saved_s = time.perf_counter()
        if self._path.exists():
            saved = read_json(self._path, SCHEMA, oldest=1)
            _require_same(saved["identity"], task, identity, self._path)
            self.history = saved["history"]

    def evaluate(self, batch: Sequence[Trial]) -> list[Trial] | None:
        """The trials of a batch, from the journal if possible; None if the budget ended before all were evaluated."""
        start = len(self.trials)
        for candidate, row in zip(batch, self.history[start:], strict=False):
            if row["mode"] != str(candidate.architecture):
                raise DataError(
                    f"{self._path} has {row['mode']} where this version of chronas proposes {candidate.architecture}: "
                    "search again in a new folder"
                )
            self._note(candidate, row)
        while (left := batch[len(self.trials) - start :]) and (count := self._affordable(len(left))):
            self._evaluate(left[:count])
        return None if left else self.trials[start:]

    def _affordable(self, wanted: int) -> int:
        """The number of further evaluations, at least one in total; those that would probably be late are not begun."""
        left = min(wanted, self._config.architectures - len(self.history))
        if self._config.seconds is None:
            return left
        times_s = [row["seconds"] for row in self.history]
        if not times_s:
            return 1
        return max(0, min(left, int((self._config.seconds - sum(times_s)) / max(*times_s, 1e-9))))

    def _evaluate(self, candidates: Sequence[Trial]) -> None:
        """Evaluate candidates, and write them into the journal."""
        self._evaluator.prepare(lambda done, note: self._notify(done, note))
        start_s = time.perf_counter()
        spent_s, before = sum(row["seconds"] for row in self.history), len(self.history)

        def inner(done: int, note: str) -> None:
            number = f"architecture {before + min(done // self._evaluator.steps, len(candidates) - 1) + 1}"
            if self._config.seconds is not None:
                done = min(int(spent_s + time.perf_counter() - start_s), math.ceil(self._config.seconds))
            else:
                done += before * self._evaluator.steps
            self._notify(self._evaluator.preparation + done, f"{number}, {note}" if note else number)

        assessed = self._evaluator.evaluate([each.architecture for each in candidates], inner)
        seconds = (time.perf_counter() - start_s) / len(candidates)
        for candidate, each in zip(candidates, assessed, strict=True):
            row = {
                "epoch": len(self.history) + 1,
                "train_loss": each.train_loss,
                "validation_loss": each.validation_loss,
                "validation_accuracy": each.accuracy if math.isfinite(each.accuracy) else None,
                **{f"expected_{name}": value for name, value in candidate.costs.items()},
                "skip_connections": skip_connections(candidate.architecture),
                "mode": str(candidate.architecture),
                "seconds": seconds,
            }
            self.history.append(row)
            self._note(candidate, row)
        if time.perf_counter() - self._saved_s > SAVE_EVERY_S:
            self.save()

    def save(self) -> None:
        """Write the journal; raises `DataError` if that fails."""
        content = {"identity": self._identity, "known": self._known, "history": self.history}
        write_json(self._path, SCHEMA, content)
        self._saved_s = time.perf_counter()

    def _note(self, candidate: Trial, row: Mapping[str, Any]) -> None:
        accuracy = row["validation_accuracy"]
        if accuracy is None:
            self._notify(self._done(), f"failed: {candidate.architecture}")
            self.failed.append(candidate.architecture)
            accuracy = min((trial.score for trial in self.trials), default=0.0)
        penalty = self._objective.cost_penalty(candidate.costs)
        value = 1.0 - accuracy / 100.0 + penalty
        self.trials.append(replace(candidate, score=accuracy, value=value, penalty=penalty, losses=_losses(row)))

    def require_success(self) -> None:
        """Raise `DataError` if every evaluation failed."""
        if self.failed and len(self.failed) == len(self.trials):
            raise DataError(
                f"the evaluator gave no finite number for any of {len(self.failed)} architectures, at first not for "
                f"{self.failed[0]}: correct it, and search again in a new folder"
            )

    def _done(self) -> int:
        return self._evaluator.preparation + len(self.history) * self._evaluator.steps

    def _notify(self, done: int, note: str) -> None:
        each = self._evaluator.steps * self._config.architectures
        total = each if self._config.seconds is None else math.ceil(self._config.seconds)
        self._progress("search", done, self._evaluator.preparation + total, note)
