"""Finding one: searchers that return architectures, with their history.

found = make_searcher("pc-darts").search(task)
for candidate in found.candidates({"latency_ms": 12.0}):
    print(candidate.architecture, candidate.predicted["latency_ms"])
"""

from __future__ import annotations

from pydantic import BaseModel

from chronas.errors import UsageError
from chronas.names import named
from chronas.search.choice import ChoiceConfig, Contest, Judged
from chronas.search.derive import Candidate, Contender, amounts_text, candidates
from chronas.search.dominance import hypervolume
from chronas.search.evaluator import Evaluator, TableEvaluator
from chronas.search.front import find_front
from chronas.search.objective import CostFunction, Objective, ObjectiveConfig, SearchCost
from chronas.search.relaxation import Relaxation
from chronas.search.searcher import Found, Searcher, SearcherConfig, Task

__all__ = [
    "SEARCHERS",
    "Candidate",
    "ChoiceConfig",
    "Contender",
    "Contest",
    "CostFunction",
    "Evaluator",
    "Found",
    "Judged",
    "Objective",
    "ObjectiveConfig",
    "Relaxation",
    "SearchCost",
    "Searcher",
    "SearcherConfig",
    "TableEvaluator",
    "Task",
    "amounts_text",
    "candidates",
    "find_front",
    "hypervolume",
    "make_searcher",
    "searcher_class",
]

SEARCHERS = {
    "bayesian": "chronas.search.bayesian:Bayesian",
    "darts": "chronas.search.bilevel:Darts",
    "drnas": "chronas.search.drnas:DrNAS",
    "evolution": "chronas.search.evolution:Evolution",
    "gdas": "chronas.search.gdas:Gdas",
    "local-search": "chronas.search.local:LocalSearch",
    "nsga2": "chronas.search.nsga2:Nsga2",
    "optuna": "chronas.search.optuna:OptunaSearch",
    "pc-darts": "chronas.search.partial:PCDarts",
    "proxyless": "chronas.search.proxyless:Proxyless",
    "random": "chronas.search.random:RandomSearch",
}


def searcher_class(name: str) -> type[Searcher]:
    """The class of a name in `SEARCHERS`.

    Raises:
        UsageError: there is no such searcher.
    """
    found: type[Searcher] = named("searcher", name, SEARCHERS)
    return found


def make_searcher(name: str, config: BaseModel | None = None) -> Searcher:
    """The searcher of a name in `SEARCHERS`, with the given or its default settings.

    Raises:
        UsageError: there is no such searcher, the config is of another one, or its settings do not fit together.
    """
    searcher = searcher_class(name)
    if config is not None and not isinstance(config, searcher.Config):
        raise UsageError(f"searcher {name} takes a {searcher.Config.__name__}, got a {type(config).__name__}")
    return searcher(config)
