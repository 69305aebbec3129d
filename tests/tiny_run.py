"""The smallest run that does everything, on the simulated device, where results are exact."""

from __future__ import annotations

from typing import Any

from chronas.runs import RunConfig, make_preset
from chronas.spaces import NetworkScale

TINY: dict[str, Any] = {
    "networks": 40,
    "data_limit": 200,
    "size": NetworkScale(width=4, depth=3),
    "latency_weight": 2.0,
    "baseline": True,
}
FLAGS = (
    *("--device", "simulated", "--predictor", "lookup", "--searcher", "darts"),
    *("--networks", "40", "--data-limit", "200"),
    *("--size.width", "4", "--size.depth", "3", "--recipe.epochs", "2", "--latency-weight", "2.0"),
    *("--searcher.epochs", "2", "--searcher.warmup-epochs", "0", "--searcher.width", "4", "--searcher.depth", "3"),
)


def tiny_config(**changes: Any) -> RunConfig:
    """The demo's preset on the simulated device, as small as it can be; equal to the preset with `FLAGS`."""
    base = make_preset("digits-cpu", {"device": "simulated", "predictor": "lookup", "searcher": "darts"})
    searcher = base.searcher_config.model_copy(update={"epochs": 2, "warmup_epochs": 0, "width": 4, "depth": 3})
    recipe = base.recipe.model_copy(update={"epochs": 2})
    return base.model_copy(update={**TINY, "searcher_config": searcher, "recipe": recipe, **changes})
