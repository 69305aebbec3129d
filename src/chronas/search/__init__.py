"""Searchers: algorithms that find architectures, with the history of the search.

found = make_searcher("pc-darts").search(task)
for candidate in found.candidates({"latency_ms": 12.0}):
    print(candidate.architecture, candidate.costs["latency_ms"])

The package is also a function: `chronas.search(space, ...)` is `chronas.api.search`.
"""

from __future__ import annotations

import sys
from inspect import Signature, signature
from types import ModuleType
from typing import TYPE_CHECKING, Any

from chronas.registry import Registry, imported, lazily

if TYPE_CHECKING:
    from chronas.search.derive import RerankConfig, Reranker, candidates, find_front
    from chronas.search.objective import (
        Cost,
        CostFunction,
        Evaluator,
        Objective,
        ObjectiveConfig,
        ScoreFunction,
        TableEvaluator,
    )
    from chronas.search.relaxation import Relaxation
    from chronas.search.searcher import (
        Searcher,
        SearcherConfig,
        SearchImages,
        SearchResult,
        Task,
        make_searcher,
        searcher_class,
    )

__all__ = [
    "EVALUATORS",
    "SEARCHERS",
    "RerankConfig",
    "Reranker",
    "CostFunction",
    "Evaluator",
    "ScoreFunction",
    "SearchResult",
    "Objective",
    "ObjectiveConfig",
    "Relaxation",
    "Cost",
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

__getattr__ = lazily(
    __name__,
    {
        "derive": "candidates find_front RerankConfig Reranker",
        "objective": "Evaluator ScoreFunction TableEvaluator Cost CostFunction Objective ObjectiveConfig",
        "searcher": "make_searcher searcher_class Searcher SearcherConfig SearchImages SearchResult Task",
        "relaxation": "Relaxation",
    },
)

SEARCHERS = Registry(
    "searcher",
    {
        "bayesian": "chronas.search.blackbox.bayesian:Bayesian",
        "darts": "chronas.search.gradient.darts:Darts",
        "drnas": "chronas.search.gradient.drnas:DrNAS",
        "elastic": "chronas.search.blackbox.elastic:Elastic",
        "evolution": "chronas.search.blackbox.evolution:Evolution",
        "gdas": "chronas.search.gradient.gdas:Gdas",
        "local-search": "chronas.search.blackbox.local_search:LocalSearch",
        "nsga2": "chronas.search.blackbox.nsga2:Nsga2",
        "optuna": "chronas.search.blackbox.optuna_samplers:OptunaSearch",
        "pc-darts": "chronas.search.gradient.darts:PCDarts",
        "proxyless": "chronas.search.gradient.proxyless:Proxyless",
        "random": "chronas.search.blackbox.random_search:RandomSearch",
    },
)


EVALUATORS = Registry("evaluator", {})  # functions that score architectures, from users and installed packages


class _CallablePackage(ModuleType):
    """This package, whose name is also the function `chronas.search`: calling it searches."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """See `chronas.api.search`."""
        return imported("chronas.api:search")(*args, **kwargs)

    @property
    def __signature__(self) -> Signature:
        return signature(imported("chronas.api:search"))


sys.modules[__name__].__class__ = _CallablePackage
