"""Where each network of a run comes from: its own search, and the three that it is compared with.

Each of them ends in `networks/<role>/choice.json`; one that is there is taken as it is, so a killed run goes on.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from chronas.errors import UsageError
from chronas.files import read_as, write_json
from chronas.predictors import Predictor
from chronas.progress import Progress, silent
from chronas.runs.folder import Run
from chronas.runs.searching import Choice, choose, search
from chronas.search import Found, ObjectiveConfig, Searcher, make_searcher, searcher_class
from chronas.spaces import Architecture
from chronas.tables import CostTable

CHOICE_SCHEMA = "chronas.choice/1"
HISTORY_SCHEMA = "chronas.history/1"
SCORED_SCHEMA = "chronas.scored/1"
BRIEF = 4  # random search trains each network for a fourth of the recipe's epochs
FASTEST = 0.1  # share of random networks that random search can always draw from
MOST = 1000  # networks that random search trains at most, whatever the time
SCORED = 10  # random architectures that the supernet scores beside the found one


@dataclass(frozen=True)
class Chosen:
    """What `choice.json` says: an architecture, its latency as predicted and as measured, and what was tried before."""

    architecture: str
    predicted_ms: float
    latency_ms: float
    tried: tuple[str, ...]


@dataclass(frozen=True)
class Finder:
    """The parts that all four ways of finding share."""

    run: Run
    predictor: Predictor
    table: CostTable
    progress: Progress = silent

    def own(self) -> Architecture:
        """What the run was asked for; the same supernet also scores random architectures that the table has measured.

        Raises:
            LimitMissedError: nothing that was derived keeps the limit when it is measured.
            UsageError: the limit is below anything that is predicted to be reachable.
        """
        return self._searched(self.run.role, self.run.config.objective)

    def weight_zero(self) -> Architecture:
        """The same search with the same seed, without any latency term."""
        return self._searched("weight-0", ObjectiveConfig())

    def random(self) -> Architecture:
        """The random architecture of the table whose measured cost is nearest to the run's own network's."""
        if not (self._folder("random") / "choice.json").exists():
            wanted_ms = read_choice(self._folder(self.run.role)).latency_ms
            costs = self.table.costs()
            row = int(np.argmin(np.abs(costs - wanted_ms)))
            self._keep("random", self.table.architectures()[row], float(costs[row]))
        return self._chosen("random")

    def random_search(self) -> Architecture:
        """Random search for as long as the run's own search took, among networks about as fast as the found one.

        Where hardly any random network is as fast, it draws among the fastest tenth.
        """
        own = read_choice(self._folder(self.run.role))
        limit_ms = self.run.config.limit_ms or max(own.predicted_ms, own.latency_ms)
        limit_ms = max(limit_ms, float(np.quantile(self.table.costs(), FASTEST)))
        recipe, seconds = self.run.config.recipe, self.run.timings[f"search {self.run.role}"]
        config = {
            "architectures": MOST,
            "seconds": seconds,
            "epochs": max(1, recipe.epochs // BRIEF),
            "batch": recipe.batch,
            "learning_rate": recipe.learning_rate,
            "crop_padding": recipe.crop_padding,
            "flip": recipe.flip,
        }
        searcher = make_searcher("random", searcher_class("random").Config.model_validate(config))
        return self._searched("random-search", ObjectiveConfig(limits={"latency_ms": limit_ms}), searcher)

    def _searched(self, role: str, objective: ObjectiveConfig, searcher: Searcher | None = None) -> Architecture:
        if not (self._folder(role) / "choice.json").exists():
            found = search(self.run, role, objective, self.predictor, searcher=searcher, progress=self.progress)
            write_json(self._search(role) / "history.json", HISTORY_SCHEMA, {"epochs": found.history})
            limit_ms = self.run.config.limit_ms if role == self.run.role else None
            choice = choose(self.run, role, found, limit_ms, self.progress)
            self._score(role, found, choice)
            self._keep(role, choice.candidate.architecture, choice.latency.value_ms, choice.tried)
        return self._chosen(role)

    def _score(self, role: str, found: Found, choice: Choice) -> None:
        """Accuracy by the supernet's shared weights: the found architecture first, then random ones of the table."""
        architectures = [choice.candidate.architecture, *self.table.architectures()[:SCORED]]
        scores = found.score(architectures)
        if scores is not None:
            costs = [choice.latency.value_ms, *map(float, self.table.costs()[:SCORED])]
            rows = [
                {"architecture": str(architecture), "accuracy_percent": score, "latency_ms": cost}
                for architecture, score, cost in zip(architectures, scores, costs, strict=True)
            ]
            write_json(self._search(role) / "scored.json", SCORED_SCHEMA, {"rows": rows})

    def _keep(self, role: str, architecture: Architecture, latency_ms: float, tried: tuple[str, ...] = ()) -> None:
        chosen = Chosen(str(architecture), self._predicted_ms(architecture), latency_ms, tried)
        write_json(self._folder(role) / "choice.json", CHOICE_SCHEMA, asdict(chosen))

    def _predicted_ms(self, architecture: Architecture) -> float:
        return float(self.predictor.predict(self.run.space.encode([architecture])).mean_ms[0])

    def _chosen(self, role: str) -> Architecture:
        return self.run.space.parse(read_choice(self._folder(role)).architecture)

    def _folder(self, role: str) -> Path:
        return self.run.folder / "networks" / role

    def _search(self, role: str) -> Path:
        return self.run.folder / "search" / role


def read_choice(folder: Path) -> Chosen:
    """The choice that `Finder` left in `networks/<role>`; raises `DataError` where it is missing or damaged."""
    return read_as(folder / "choice.json", CHOICE_SCHEMA, Chosen)


def read_choices(run: Run) -> dict[str, Architecture]:
    """The architectures that a run has chosen so far, by role.

    Raises:
        UsageError: there is none yet.
    """
    found = sorted(path.parent for path in (run.folder / "networks").glob("*/choice.json"))
    if not found:
        raise UsageError(f"{run.folder} has chosen no architecture yet: run `chronas search {run.folder}` first")
    return {folder.name: run.space.parse(read_choice(folder).architecture) for folder in found}
