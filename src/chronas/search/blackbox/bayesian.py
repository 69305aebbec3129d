"""Bayesian optimisation: networks get a short proxy training, and a regression over features chooses the next ones.

It follows BANANAS (White et al., arXiv 1910.11858) and NAS-BOWL (Ru et al., arXiv 2006.07556), which use a regression
over whole architectures. The next network has the largest expected improvement (Jones et al., doi
10.1023/A:1008306431147). For several at once, the earlier ones are assumed to have the regression's mean (Ginsbourger
et al., doi 10.1007/978-3-642-10701-6_6). Our own parts are the regression's targets and the additional terms
(`surrogate`). Isomorphic cells are trained once. The result is the trained network with the highest posterior mean, not
the luckiest training. The trained networks of one search are a warm start for another one with other limits or costs.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from pydantic import Field
from scipy.stats import rankdata

from chronas.errors import OutOfReachError
from chronas.files import fingerprint, read_json
from chronas.progress import Progress, silent
from chronas.records import Trial
from chronas.search.blackbox.loop import (
    FILE,
    SCHEMA,
    STREAM,
    BlackBoxConfig,
    BlackBoxResult,
    BlackBoxSearcher,
    Proposals,
    read_trials,
)
from chronas.search.blackbox.proxy_training import ProxyConfig, ProxyTraining
from chronas.search.blackbox.surrogate import Surrogate, Weights
from chronas.search.derive import require_costs
from chronas.search.feasible import FeasibleSet, neighbours
from chronas.search.gradient.loop import AGAIN
from chronas.search.objective import Objective
from chronas.search.searcher import Task, WarmStart
from chronas.spaces import Architecture

AT_ONCE = 4  # random networks for each worker in the first batch, so that few workers wait for the last one
BEST = 8  # best networks whose neighbours are considered
CLIMBS = 4  # rounds of considering neighbours of the best ones
DRAWS = 256  # random architectures that are considered for one batch
LADDER = 1.3  # a front trains this many times the networks of a search
FRONT = "front"  # folder of its searches
OTHERS = 64  # untrained networks that are candidates after the trained ones


class BayesianConfig(BlackBoxConfig, ProxyConfig):
    """Settings of Bayesian optimisation and of its proxy training, which a task's own evaluator does not use."""

    architectures: int = Field(default=64, ge=1, le=100_000, description="networks to train, at most")
    seconds: float | None = Field(default=None, gt=0, description="time for all trainings; at least one is done")
    initial_random: int = Field(
        default=24, ge=2, le=100_000, description="random networks before the regression is used"
    )
    proposals: int = Field(default=2, ge=1, le=1024, description="networks proposed at once, for workers")
    macs_weight: float = Field(
        default=1.5, ge=0, le=10, description="weight of log MACs beside proxy scores, in standard deviations"
    )
    synflow_weight: float = Field(
        default=1.0, ge=0, le=10, description="the same for the cells' SynFlow score, which needs no training"
    )
    skip_penalty: float = Field(
        default=1.5, ge=0, le=10, description="penalty on the log multiplicity of weightless paths (skips) in cells"
    )
    pool: int = Field(default=1024, ge=1, le=1_000_000, description="random architectures considered for each proposal")

    @property
    def weights(self) -> Weights:
        """Weights of the terms that need no training."""
        return Weights(self.macs_weight, self.synflow_weight, self.skip_penalty)

    def for_warm_start(self) -> Self:
        """Settings with trained networks as a warm start: a third of the networks."""
        return self.shorter(1 / AGAIN)

    def shorter(self, share: float) -> Self:
        """Settings with a share of the networks and, if bounded, of the seconds."""
        seconds = None if self.seconds is None else share * self.seconds
        return self.model_copy(update={"architectures": max(1, round(share * self.architectures)), "seconds": seconds})


class BayesianResult(BlackBoxResult):
    """All trained networks, the regression's predictions for others, and further training for a front."""

    def __init__(self, found: BlackBoxResult, searcher: Bayesian, task: Task) -> None:
        super().__init__(found.history, found.trials, found.evaluator, found.failed)
        self._searcher, self._task = searcher, task

    def candidates(self, limits: Mapping[str, float]) -> Iterator[Trial]:
        """Trained networks, best first, then others by the regression; all predicted inside the limits.

        After a wrong prediction limits are tightened, until few or no trained networks are left.

        Raises:
            UsageError: a limit has no predictor.
            OutOfReachError: a limit is below all reachable costs.
        """
        require_costs(self.trials[0].costs, limits)
        inside = [each for each in self.trials if each.violation(limits) == 0]
        yield from inside
        yield from self._others(limits, none_yet=not inside)

    def _others(self, limits: Mapping[str, float], *, none_yet: bool) -> list[Trial]:
        """At most `OTHERS` untrained networks, by the regression's mean; raises as `candidates` if there are none."""
        objective = self._task.objective.model_copy(update={"limits": dict(limits)})
        task = replace(self._task, objective=objective)
        feasible = FeasibleSet(task, np.random.default_rng([task.seed, STREAM]))
        known = [*(each.architecture for each in self.trials), *self.failed]
        feasible.known(known)
        surrogate = Surrogate(task.space, task.size, self.trials, self._searcher.config.weights)
        drawn = _drawn(feasible, OTHERS, set(map(graph, known)))
        if none_yet and not drawn:
            raise feasible.out_of_reach()
        penalties = [feasible.penalty(each) for each in drawn]
        means = (
            surrogate.means(surrogate.rows([each.architecture for each in drawn]), penalties) if drawn else np.empty(0)
        )
        return [drawn[n] for n in np.argsort(-means, kind="stable")]

    def contenders(self, limits: Sequence[Mapping[str, float]], progress: Progress = silent) -> list[Trial]:
        """All trained networks, after training some more inside each limit, from the loosest to the tightest."""
        task, config = self._task, self._searcher.config
        known = {each.architecture: each for each in self.trials}
        for number, level in enumerate(limits):

            def notify(_: str, done: int, total: int, note: str, number: int = number) -> None:
                progress("front", number * total + done, len(limits) * total, f"limit {number + 1}, {note}")

            inside = task.objective.model_copy(update={"limits": dict(level)})
            searcher = Bayesian(config.shorter(LADDER / len(limits)), list(known.values()))
            try:
                found = searcher.search(
                    replace(task, objective=inside, warm_start=None, folder=task.folder / FRONT / str(number)), notify
                )
            except OutOfReachError:  # no connected architecture this cheap was found
                continue
            assert isinstance(found, BlackBoxResult)
            known |= {each.architecture: each for each in found.trials}
        trials = list(known.values())
        smoothed = rank_smoothed(Surrogate(task.space, task.size, trials, config.weights), trials)
        return [replace(each, quality=value, score=value) for each, value in zip(trials, smoothed, strict=True)]


def journal_identity(path: Path) -> Any:
    """The identity of the search in a journal of trained networks."""
    return read_json(path, SCHEMA, oldest=1).get("identity")


class Bayesian(BlackBoxSearcher):
    """Train some networks, fit a regression, then train those with the largest expected improvement."""

    name: ClassVar[str] = "bayesian"
    Config: ClassVar[type[BayesianConfig]] = BayesianConfig
    warm_start: ClassVar[WarmStart | None] = WarmStart(
        FILE, frozenset(ProxyConfig.model_fields) - {"workers"}, ("width", "depth"), journal_identity
    )
    weight_sharing: ClassVar[bool] = False

    def __init__(self, config: BayesianConfig | None = None, known: Sequence[Trial] = ()) -> None:
        """Store the settings, and trials of an earlier search with the same images, size and recipe.

        Args:
            config: settings; None for the defaults.
            known: `BlackBoxResult.trials` of the earlier search; they count as initial networks, and their costs are
                predicted again.
        """
        self.config: BayesianConfig = config or BayesianConfig()
        self._known = tuple(known)

    def _identity(self) -> dict[str, Any]:
        known = [[str(each.architecture), each.score, *each.losses] for each in self._known]
        return {**super()._identity(), "known": fingerprint(known)}

    def _known_rows(self) -> list[dict[str, Any]]:
        keys = ("train_loss", "validation_loss")
        return [
            {
                "mode": str(each.architecture),
                "validation_accuracy": each.score,
                **dict(zip(keys, each.losses, strict=False)),
            }
            for each in self._known
        ]

    def _search(self, task: Task, objective: Objective, progress: Progress) -> BayesianResult:
        searcher = self
        if task.warm_start is not None:
            searcher = Bayesian(self.config, [*self._known, *read_trials(task.warm_start, task.space)])
        return BayesianResult(super(Bayesian, searcher)._search(task, objective, progress), searcher, task)

    def _own_evaluator(self, task: Task) -> ProxyTraining:
        return ProxyTraining(task, self.config)

    def _proposals(self, feasible: FeasibleSet) -> Proposals:
        trials = self._reconsidered(feasible)
        seen = {graph(each.architecture) for each in trials}
        workers = self.config.workers
        at_once = self.config.proposals if workers == 1 else AT_ONCE * workers
        while len(trials) < self.config.initial_random:
            drawn = _drawn(feasible, min(at_once, self.config.initial_random - len(trials)), seen)
            if not drawn:
                break
            trials += yield drawn
        while trials and (chosen := self._chosen(feasible, trials)):
            trials += yield chosen

    def _reconsidered(self, feasible: FeasibleSet) -> list[Trial]:
        """The known trials, with the costs and penalties of this search."""
        candidates = feasible.known([each.architecture for each in self._known])
        penalties = [feasible.penalty(candidate) for candidate in candidates]
        return [
            replace(each, costs=candidate.costs, value=each.value - each.penalty + penalty, penalty=penalty)
            for each, candidate, penalty in zip(self._known, candidates, penalties, strict=True)
        ]

    def _chosen(self, feasible: FeasibleSet, trials: list[Trial]) -> list[Trial]:
        """The next networks to train, one after the other by expected improvement, handed out by the feasible set."""
        surrogate = self._surrogate(feasible, trials)
        order = np.argsort(-surrogate.posterior_means(), kind="stable")[:BEST]
        trained = {graph(each.architecture) for each in trials if feasible.inside(each)}
        pool = Pool(feasible, surrogate, trained)
        draws = [feasible.space.draw(feasible.generator) for _ in range(self.config.pool)]
        near = [each for n in order for each in neighbours(trials[n].architecture)]
        climbs = 0
        while pool.add([*near, *draws]) and climbs < CLIMBS:
            near, draws = [each for best in pool.best(BEST) for each in neighbours(best.architecture)], []
            climbs += 1
        chosen = [best for _ in range(self.config.proposals) if (best := pool.take()) is not None]
        return feasible.take(chosen) if chosen else _drawn(feasible, self.config.proposals, trained)

    def _ranked(self, feasible: FeasibleSet, trials: list[Trial]) -> list[Trial]:
        """All trials by posterior mean, which is less affected by luck than an accuracy; known trials take part."""
        everything = [*self._reconsidered(feasible), *trials]
        if len(everything) <= 2:
            return super()._ranked(feasible, [each for each in everything if feasible.inside(each)])
        posterior_means = self._surrogate(feasible, everything).posterior_means()
        order = np.argsort(-posterior_means, kind="stable")
        return [everything[n] for n in order if feasible.inside(everything[n])]

    def _accuracies(self, feasible: FeasibleSet, trials: list[Trial]) -> list[float]:
        """Observed accuracies reassigned by posterior rank, to reduce selection noise."""
        if len(trials) <= 2:
            return super()._accuracies(feasible, trials)
        return rank_smoothed(self._surrogate(feasible, trials), trials)

    def _surrogate(self, feasible: FeasibleSet, trials: Sequence[Trial]) -> Surrogate:
        inside = [feasible.inside(each) for each in trials]
        return Surrogate(feasible.space, feasible.size, trials, self.config.weights, inside)


class Pool:
    """The candidates of a choice: one architecture for each graph that was not trained."""

    def __init__(self, feasible: FeasibleSet, surrogate: Surrogate, trained: set[Architecture]) -> None:
        self._feasible, self._surrogate = feasible, surrogate
        self._graphs = set(trained)
        self._candidates: list[Trial] = []
        self._penalties: list[float] = []
        self._rows = np.empty((0, 0))

    def add(self, architectures: Sequence[Architecture]) -> bool:
        """Add the architectures that are inside the limits and new; whether there were any."""
        fresh = [each for each in self._feasible.new(architectures) if graph(each.architecture) not in self._graphs]
        fresh = list({graph(each.architecture): each for each in fresh}.values())
        if not fresh:
            return False
        rows = self._surrogate.rows([each.architecture for each in fresh])
        self._graphs |= {graph(each.architecture) for each in fresh}
        self._candidates += fresh
        self._penalties += [self._feasible.penalty(each) for each in fresh]
        self._rows = np.concatenate([self._rows, rows]) if self._rows.size else rows
        return True

    def best(self, count: int) -> list[Trial]:
        """The `count` candidates with the largest expected improvement."""
        if not self._candidates:
            return []
        order = np.argsort(-self._surrogate.expected_improvement(self._rows, self._penalties), kind="stable")
        return [self._candidates[n] for n in order[:count]]

    def take(self) -> Trial | None:
        """Remove and return the best candidate, and assume its mean as its score; None if the pool is empty."""
        if not self._candidates:
            return None
        n = int(self._surrogate.expected_improvement(self._rows, self._penalties).argmax())
        self._surrogate.fantasize(self._rows[n], self._penalties[n])
        self._rows = np.delete(self._rows, n, axis=0)
        del self._penalties[n]
        return self._candidates.pop(n)


def _drawn(feasible: FeasibleSet, count: int, seen: set[Architecture]) -> list[Trial]:
    """At most `count` random candidates with new graphs; their graphs are added to `seen`."""
    found: list[Trial] = []
    for _ in range(DRAWS):
        candidate = feasible.draw() if len(found) < count else None
        if candidate is None:
            break
        shape = graph(candidate.architecture)
        if shape not in seen:
            seen.add(shape)
            found.append(candidate)
    return found


@functools.lru_cache(maxsize=65_536)
def graph(architecture: Architecture) -> Architecture:
    """The representative of all architectures with the same graph: pruned, then canonical."""
    return architecture.pruned().canonical()


def rank_smoothed(surrogate: Surrogate, trials: Sequence[Trial]) -> list[float]:
    """Observed accuracies in percent, reassigned by the rank of the posterior mean without penalties."""
    seen = np.sort([each.score for each in trials])
    found: list[float] = seen[rankdata(surrogate.posterior_means(penalised=False), "ordinal") - 1].tolist()
    return found
