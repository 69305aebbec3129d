"""Which predictor can serve which searcher, and what the searcher gets of it."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from chronas.errors import UsageError
from chronas.predictors import Predictor
from chronas.search import CostFunction, ObjectiveConfig, SearchCost, Searcher
from chronas.units import cost_word


def search_costs(
    objective: ObjectiveConfig, predictors: Mapping[str, Predictor], searcher: type[Searcher]
) -> dict[str, SearchCost]:
    """What a search can press on, of predictors by the cost that each gives; raises as `search`."""
    for cost, each in predictors.items():
        if cost in objective.asked:
            require_usable(type(each), searcher, cost_word(cost))
    return {
        cost: SearchCost(each.cost if each.differentiable else _without_gradient(each), each.median)
        for cost, each in predictors.items()
        if each.differentiable or not searcher.differentiable
    }


def require_usable(predictor: type[Predictor], searcher: type[Searcher], what: str) -> None:
    """Hold that a searcher can search with a predictor's cost.

    Raises:
        UsageError: it descends by gradient, and the predictor has none.
    """
    if searcher.differentiable and not predictor.differentiable:
        raise UsageError(
            f"predictor {predictor.name} is not differentiable, and searcher {searcher.name} descends by gradient: "
            f"choose another of them to search with {what}"
        )


def _without_gradient(predictor: Predictor) -> CostFunction:
    return lambda codes: torch.from_numpy(predictor.predict(codes.float().numpy()).mean)
