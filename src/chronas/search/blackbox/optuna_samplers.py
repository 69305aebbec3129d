"""Optuna's samplers (Akiba et al., arXiv 1907.10902; https://optuna.org), as baselines: TPE and its NSGA-II.

Each group of the space is a categorical parameter. If a sampler proposes an architecture that is predicted outside a
limit or is disconnected, a repaired one is evaluated instead, and the sampler gets its value. TPE minimises the value
that all searchers minimise; NSGA-II has the objectives of `nsga2`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from chronas.errors import MissingExtraError
from chronas.progress import Progress
from chronas.records import Trial
from chronas.search.blackbox.loop import BlackBoxResult, Proposals
from chronas.search.blackbox.nsga2 import points
from chronas.search.blackbox.single_path import SinglePathSearchConfig, SinglePathSearcher
from chronas.search.feasible import FeasibleSet, mutate
from chronas.search.objective import Objective
from chronas.search.searcher import Task
from chronas.spaces import Architecture, Choice, Space

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution

REPEATS = 64  # times in a row that a sampler may repeat known architectures; then a new one is evaluated


class OptunaConfig(SinglePathSearchConfig):
    """Settings of a search by optuna; the samplers use optuna's own defaults."""

    sampler: Literal["tpe", "nsga2"] = Field(default="tpe", description="optuna's sampler")


class OptunaSearch(SinglePathSearcher):
    """Search by optuna's ask-and-tell interface."""

    name: ClassVar[str] = "optuna"
    Config: ClassVar[type[OptunaConfig]] = OptunaConfig
    config: OptunaConfig

    def _search(self, task: Task, objective: Objective, progress: Progress) -> BlackBoxResult:
        """As every black-box searcher, but optuna is imported before a supernet is trained.

        Raises:
            MissingExtraError: optuna is not installed.
        """
        _optuna()
        return super()._search(task, objective, progress)

    def _proposals(self, feasible: FeasibleSet) -> Proposals:
        distributions = _distributions(feasible.space)
        study = self._study(int(feasible.generator.integers(2**31)), 1 + len(feasible.objectives))
        answers: dict[Architecture, Trial] = {}
        repeats = 0
        while True:
            trial = study.ask(distributions)
            asked = _architecture(feasible.space, trial.params)
            repeats = repeats + 1 if asked in answers else 0
            if asked not in answers or repeats > REPEATS:
                candidate = _near(asked, feasible)
                if candidate is None:
                    return
                [answers[asked]] = yield [candidate]
                repeats = 0
            study.tell(trial, self._values(answers[asked], feasible))

    def _study(self, seed: int, objectives: int) -> Study:
        optuna = _optuna()
        before = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        if self.config.sampler == "tpe":
            study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
        else:
            sampler = optuna.samplers.NSGAIISampler(seed=seed)
            study = optuna.create_study(sampler=sampler, directions=["minimize"] * objectives)
        optuna.logging.set_verbosity(before)
        return study

    def _values(self, trials: Trial, feasible: FeasibleSet) -> list[float]:
        return [trials.value] if self.config.sampler == "tpe" else points([trials], feasible.objectives)[0].tolist()


def _optuna() -> Any:
    """The package optuna, imported at this moment.

    Raises:
        MissingExtraError: optuna is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise MissingExtraError("searcher optuna needs the package optuna: pip install 'chronas[baselines]'") from error
    return optuna


def _distributions(space: Space) -> dict[str, BaseDistribution]:
    """A categorical distribution over the assignments of each group."""
    categorical = _optuna().distributions.CategoricalDistribution
    sizes = [len(space.assignments(group)) for group in space.groups]
    return {f"group.{g}": categorical(tuple(range(size))) for g, size in enumerate(sizes)}


def _architecture(space: Space, numbers: Mapping[str, int]) -> Architecture:
    choices: dict[int, Choice] = {}
    for g, group in enumerate(space.groups):
        choices.update(zip(group.decisions, space.assignments(group)[numbers[f"group.{g}"]], strict=True))
    return space.architecture([choices[d] for d in range(len(choices))])


def _near(asked: Architecture, feasible: FeasibleSet) -> Trial | None:
    """The candidate to evaluate for a proposal: itself, or a new feasible one near it; None if nothing is left."""
    as_asked = feasible.take(feasible.new([asked]))
    return as_asked[0] if as_asked else feasible.vary(lambda: mutate(asked, feasible.generator))
