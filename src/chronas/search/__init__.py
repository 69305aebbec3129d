"""Finding one: searchers that return architectures, with their history.

found = make_searcher("pc-darts").search(task)
for candidate in found.candidates({"latency_ms": 12.0}):
    print(candidate.architecture, candidate.costs["latency_ms"])
"""

from __future__ import annotations

from typing import cast

from pydantic import BaseModel

from chronas.errors import UsageError
from chronas.registry import Registry
from chronas.search.derive import candidates
from chronas.search.evaluators import ScoreFunction, TableEvaluator
from chronas.search.objective import CostFunction, Objective, ObjectiveConfig, SearchCost
from chronas.search.pareto_front import find_front
from chronas.search.relaxation import Relaxation
from chronas.search.rerank import RerankConfig, Reranker
from chronas.search.searcher import Searcher, SearcherConfig, SearchImages, SearchResult, Task

__all__ = [
    "SEARCHERS",
    "RerankConfig",
    "Reranker",
    "CostFunction",
    "ScoreFunction",
    "SearchResult",
    "Objective",
    "ObjectiveConfig",
    "Relaxation",
    "SearchCost",
    "SearchImages",
    "Searcher",
    "SearcherConfig",
    "TableEvaluator",
    "Task",
    "candidates",
    "find_front",
    "make_searcher",
    "searcher_class",
]

SEARCHERS = Registry(
    "searcher",
    {
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
    },
)


def searcher_class(name: str) -> type[Searcher]:
    """The class of a name in `SEARCHERS`.

    Raises:
        UsageError: there is no such searcher.
    """
    found = SEARCHERS[name]
    return type(found) if isinstance(found, Searcher) else cast("type[Searcher]", found)


def make_searcher(searcher: str | Searcher, config: BaseModel | None = None) -> Searcher:
    """The searcher of a name in `SEARCHERS`, with the given or its default settings; a searcher is given back.

    Raises:
        UsageError: there is no such searcher, the config is of another one, or its settings do not fit together.
    """
    if isinstance(searcher, Searcher):
        if config is not None and config != searcher.config:
            raise UsageError(f"searcher {searcher.name} is given as an object, which has its config: give its name")
        return searcher
    found = searcher_class(searcher)
    if config is not None and not isinstance(config, found.Config):
        raise UsageError(f"searcher {searcher} takes a {found.Config.__name__}, got a {type(config).__name__}")
    return found(config)
