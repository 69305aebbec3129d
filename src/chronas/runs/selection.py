"""Selection of the networks of a run: from its own search, and three to compare it with.

Each selection is stored in `networks/<role>/choice.json`. An existing file is used unchanged, so a killed run resumes.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from chronas.errors import LimitMissedError, OutOfReachError, UsageError
from chronas.files import read_as, write_json
from chronas.networks import save_state
from chronas.predictors import Predictor
from chronas.progress import Progress, silent
from chronas.records import Estimate, Trial, TrialRecord, amounts_text
from chronas.runs.config import search_costs
from chronas.runs.cost_model import saved_predictors
from chronas.runs.network_costs import SAID, NetworkCosts, beside_predicted, costs_of, of_row
from chronas.runs.run import Run
from chronas.runs.training import INHERITED
from chronas.runs.warm_start import warm_start_file_of
from chronas.search import (
    ObjectiveConfig,
    Reranker,
    Searcher,
    SearchResult,
    Task,
    make_searcher,
    searcher_class,
)
from chronas.spaces import Architecture
from chronas.tables import CostTable
from chronas.training import ProcessGroup
from chronas.units import COST_UNITS, LATENCY, cost_word

CHOICE_SCHEMA = "chronas.choice/3"
HISTORY_SCHEMA = "chronas.history/2"
SCORED_SCHEMA = "chronas.scored/2"
BRIEF = 4  # random search trains each network for a fourth of the recipe's epochs
FASTEST = 0.1  # least share of random networks that random search can draw from
MOST = 1000  # random search trains at most this many networks, independent of time
SCORED = 10  # random architectures that the supernet scores in addition to the found one


@dataclass(frozen=True)
class Chosen:
    """A chosen architecture, its costs, the candidates tried before, and those compared with it; `choice.json`.

    Attributes:
        architecture: text form.
        costs: predicted and measured costs, by name.
        tried: candidates tried before it, in words.
        margin: number of standard deviations by which it was predicted below the limits; None without a choice.
        compared: all candidates, the chosen one first.
    """

    architecture: str
    costs: dict[str, Estimate]
    tried: tuple[str, ...]
    margin: float | None
    compared: tuple[TrialRecord, ...]

    @property
    def predicted(self) -> dict[str, float]:
        """Each predicted cost, by name."""
        return {cost: each.predicted for cost, each in self.costs.items() if each.predicted is not None}

    @property
    def latency_ms(self) -> float:
        """The latency in ms, measured or from the table."""
        return self.costs[LATENCY].value


@dataclass(frozen=True)
class Finder:
    """Selects the networks of a run in four ways; `predictors` maps each cost to its predictor."""

    run: Run
    predictors: Mapping[str, Predictor]
    table: CostTable
    progress: Progress = silent

    def own(self) -> Architecture:
        """The result of the run's own search; its supernet also scores random architectures of the table.

        Raises:
            LimitMissedError: no derived architecture keeps the limit when it is measured.
            UsageError: the limit is below all predicted costs.
        """
        return self._searched(self.run.role, self.run.config.objective)

    def weight_zero(self) -> Architecture:
        """The result of the same search with the same seed, for accuracy alone."""
        return self._searched("weight-0", ObjectiveConfig())

    def random(self) -> Architecture:
        """The random architecture of the table whose latency is nearest to that of the run's own network.

        The table may have that network itself, or one with the same graph; those are left out.
        """
        if not (self._folder("random") / "choice.json").exists():
            own = read_choice(self._folder(self.run.role))
            graph = self.run.space.parse(own.architecture).pruned().canonical()
            same = [each.pruned().canonical() == graph for each in self.table.architectures()]
            row = int(np.argmin(np.where(same, np.inf, np.abs(self.table.costs() - own.latency_ms))))
            costs = of_row(self.table, row, [])
            assert costs is not None  # every row of a table has a latency
            self._keep("random", self.table.architectures()[row], costs)
        return self._chosen("random")

    def random_search(self) -> Architecture:
        """The result of random search in the time of the run's own search, within its limits or about as fast as its
        network.

        If hardly any random network is inside, all limits are widened by one factor until a tenth of the table is
        inside.
        """
        own = read_choice(self._folder(self.run.role))
        limits = self.run.config.limits or {"latency_ms": max(own.predicted["latency_ms"], own.latency_ms)}
        known = [self.table.of(cost).frame.select("architecture", cost) for cost in limits]
        together = functools.reduce(lambda left, right: left.join(right, on="architecture"), known)
        over = np.max([together[cost].to_numpy() / limit for cost, limit in limits.items()], axis=0)
        wider = max(1.0, float(np.quantile(over, FASTEST)))
        limits = {cost: wider * limit for cost, limit in limits.items()}
        recipe, timings = self.run.config.recipe, self.run.timings
        seconds = timings[f"search {self.run.role}"] + timings.get(f"judge {self.run.role}", 0.0)
        config = {
            "architectures": MOST,
            "seconds": seconds,
            "epochs": max(1, self._epochs() // BRIEF),
            "batch": recipe.batch,
            "learning_rate": recipe.learning_rate,
            "crop_padding": recipe.crop_padding,
            "flip": recipe.flip,
            "workers": getattr(self.run.config.searcher_config, "workers", 1),  # as many processes as in the search
        }
        searcher = make_searcher("random", searcher_class("random").Config.model_validate(config))
        return self._searched("random-search", ObjectiveConfig(limits=limits), searcher)

    def _epochs(self) -> int:
        """The epochs of a final training; the recipe's where minutes decide, as their number is not known yet."""
        recipe, steps = self.run.config.recipe, self.run.config.train_steps
        return recipe.epochs if steps is None else steps * recipe.batch // len(self.run.training_split[0])

    def _searched(self, role: str, objective: ObjectiveConfig, searcher: Searcher | None = None) -> Architecture:
        if not (self._folder(role) / "choice.json").exists():
            found = search(self.run, role, objective, self.predictors, searcher=searcher, progress=self.progress)
            write_json(self._search(role) / "history.json", HISTORY_SCHEMA, {"epochs": found.history})
            limits = self.run.config.limits if role == self.run.role else {}
            choice = choose(self.run, role, self._reranker(role, found, objective), limits, self.progress)
            self._score(role, found, choice)
            weights = found.weights(choice.trial.architecture)
            if weights is not None:
                save_state(self._folder(role) / INHERITED, weights, {"architecture": str(choice.trial.architecture)})
            self._keep(role, choice.trial.architecture, choice.costs, choice)
        return self._chosen(role)

    def _reranker(self, role: str, found: SearchResult, objective: ObjectiveConfig) -> Reranker:
        penalty = functools.partial(self._penalty, objective) if objective.weights else None
        return Reranker(
            found,
            self.run.config.rerank,
            deviations=self._deviations,
            penalty=penalty,
            progress=lambda _, done, total, note: self.progress(f"judge {role}", done, total, note),
        )

    def _penalty(self, objective: ObjectiveConfig, costs: Mapping[str, float]) -> float:
        return sum(weight * costs[cost] / self.predictors[cost].median for cost, weight in objective.weights.items())

    def _deviations(self, architectures: Sequence[Architecture]) -> list[dict[str, float]]:
        codes = self.run.space.encode(architectures)
        columns = {cost: each.predict(codes).std.tolist() for cost, each in self.predictors.items()}
        return [{cost: column[row] for cost, column in columns.items()} for row in range(len(architectures))]

    def _score(self, role: str, found: SearchResult, choice: Choice) -> None:
        """Accuracies by the supernet's shared weights: the found architecture first, then random ones of the table."""
        architectures = [choice.trial.architecture, *self.table.architectures()[:SCORED]]
        scores = found.score(architectures)
        if scores is not None:
            costs = [choice.costs[LATENCY].value, *map(float, self.table.costs()[:SCORED])]
            rows = [
                asdict(TrialRecord(str(architecture), score, {LATENCY: cost}))
                for architecture, score, cost in zip(architectures, scores, costs, strict=True)
            ]
            write_json(self._search(role) / "scored.json", SCORED_SCHEMA, {"rows": rows})

    def _keep(self, role: str, architecture: Architecture, costs: NetworkCosts, choice: Choice | None = None) -> None:
        chosen = Chosen(
            architecture=str(architecture),
            costs=beside_predicted(costs, self._predicted(architecture)),
            tried=() if choice is None else choice.tried,
            margin=None if choice is None else choice.compared[0].margin,
            compared=() if choice is None else tuple(map(TrialRecord.of, choice.compared)),
        )
        write_json(self._folder(role) / "choice.json", CHOICE_SCHEMA, asdict(chosen))

    def _predicted(self, architecture: Architecture) -> dict[str, float]:
        code = self.run.space.encode([architecture])
        return {cost: float(each.predict(code).mean[0]) for cost, each in self.predictors.items()}

    def _chosen(self, role: str) -> Architecture:
        return self.run.space.parse(read_choice(self._folder(role)).architecture)

    def _folder(self, role: str) -> Path:
        return self.run.folder / "networks" / role

    def _search(self, role: str) -> Path:
        return self.run.folder / "search" / role


def read_choice(folder: Path) -> Chosen:
    """Read the choice of a `Finder` from `networks/<role>`; raises `DataError` if it is missing or damaged."""
    return read_as(folder / "choice.json", CHOICE_SCHEMA, Chosen, oldest=2, mend=_mended)


def _mended(content: dict[str, Any]) -> dict[str, Any]:
    """Upgrade a choice of an earlier version, with another place of the source and other names of fields."""
    for cost in content["costs"].values():
        cost["source"] = content["source"]
    names = {"accuracy_percent": "score", "predicted": "costs"}
    compared = [{names.get(key, key): value for key, value in each.items()} for each in content["judged"]]
    return {**content, "compared": compared}


def read_choices(run: Run) -> dict[str, Architecture]:
    """The architectures that a run has chosen so far, by role.

    Raises:
        UsageError: nothing is chosen yet.
    """
    found = sorted(path.parent for path in (run.folder / "networks").glob("*/choice.json"))
    if not found:
        raise UsageError(f"{run.folder} has chosen no architecture yet: run `chronas search {run.folder}` first")
    return {folder.name: run.space.parse(read_choice(folder).architecture) for folder in found}


# ----
# The step that searches, and the choice of an architecture that keeps all limits when it is measured.

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
        report(f"search {name}", done, total, note)

    with run.timed(f"search {name}", progress) as report:
        if own and run.group.size > 1:
            asked = {"folder": str(run.folder), "name": name, "objective": objective.model_dump(mode="json")}
            run.group.broadcast(json.dumps(asked))
            searcher.search(replace(task, group=run.group), shown)  # a finished search is only loaded below
        return searcher.search(task, shown)


def help_searches(group: ProcessGroup) -> None:
    """Take part in the searches of the first process's run, until it broadcasts "" or ends."""
    while text := _received(group):
        asked = json.loads(text)
        run = Run.open(Path(asked["folder"]))
        torch.set_num_threads(run.config.threads)
        objective = ObjectiveConfig.model_validate(asked["objective"])
        searcher, task = _prepared(run, asked["name"], objective, saved_predictors(run), None)
        searcher.search(replace(task, group=group))


def _received(group: ProcessGroup) -> str:
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
    task = run.task(name, objective, costs, trained)
    if searcher.takes_weights and run.initial is not None:
        task = replace(task, init=run.initial.given)
    return searcher, task


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
