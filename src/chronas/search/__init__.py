"""Finding one: searchers that return architectures, with their history.

found = make_searcher("pc-darts").search(task)
for candidate in found.candidates({"latency_ms": 12.0}):
    print(candidate.architecture, candidate.predicted["latency_ms"])
"""

from __future__ import annotations

from pydantic import BaseModel

from chronas.errors import UsageError
from chronas.names import named
from chronas.search.derive import Candidate, Contender, amounts_text, candidates
from chronas.search.evaluators import ScoreFunction, TableEvaluator
from chronas.search.objective import CostFunction, Objective, ObjectiveConfig, SearchCost
from chronas.search.pareto_front import find_front
from chronas.search.relaxation import Relaxation
from chronas.search.rerank import Ranked, RerankConfig, Reranker
from chronas.search.searcher import Searcher, SearcherConfig, SearchResult, Task

__all__ = [
    "SEARCHERS",
    "Candidate",
    "RerankConfig",
    "Contender",
    "Reranker",
    "CostFunction",
    "ScoreFunction",
    "SearchResult",
    "Ranked",
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
    "make_searcher",
    "searcher_class",
]

SEARCHERS = {
    "bayesian": "chronas.search.blackbox.bayesian:Bayesian",
    "darts": "chronas.search.gradient.darts:Darts",
    "drnas": "chronas.search.gradient.drnas:DrNAS",
    "evolution": "chronas.search.blackbox.evolution:Evolution",
    "gdas": "chronas.search.gradient.gdas:Gdas",
    "local-search": "chronas.search.blackbox.local_search:LocalSearch",
    "nsga2": "chronas.search.blackbox.nsga2:Nsga2",
    "optuna": "chronas.search.blackbox.optuna_samplers:OptunaSearch",
    "pc-darts": "chronas.search.gradient.pc_darts:PCDarts",
    "proxyless": "chronas.search.gradient.proxyless:Proxyless",
    "random": "chronas.search.blackbox.random_search:RandomSearch",
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
