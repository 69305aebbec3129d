"""Compatibility of predictors and searchers: gradient-based searchers need differentiable predictors."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from chronas.errors import UsageError
from chronas.predictors import Predictor
from chronas.search import Cost, CostFunction, ObjectiveConfig, Searcher
from chronas.units import cost_word


def search_costs(
    objective: ObjectiveConfig, predictors: Mapping[str, Predictor], searcher: type[Searcher]
) -> dict[str, Cost]:
    """The costs of a search, from the predictor of each cost; raises as `search`."""
    for cost, each in predictors.items():
        if cost in objective.asked:
            require_usable(type(each), searcher, cost_word(cost))
    return {
        cost: Cost(each.cost if each.differentiable else _without_gradient(each), each.median)
        for cost, each in predictors.items()
        if each.differentiable or not searcher.differentiable
    }


def require_usable(predictor: type[Predictor], searcher: type[Searcher], what: str) -> None:
    """Check that a searcher can use a predictor's cost.

    Raises:
        UsageError: the searcher is gradient-based, and the predictor is not differentiable.
    """
    if searcher.differentiable and not predictor.differentiable:
        raise UsageError(
            f"predictor {predictor.name} is not differentiable, and searcher {searcher.name} is gradient-based: "
            f"choose another of them to search with {what}"
        )


def _without_gradient(predictor: Predictor) -> CostFunction:
    return lambda codes: torch.from_numpy(predictor.predict(codes.float().numpy()).mean)
