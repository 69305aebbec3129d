"""chronas finds neural networks that are as accurate as possible within a time limit on the target hardware.

import chronas

table = chronas.measure("nasbench201", "onnxruntime-cpu")
latency = chronas.fit(table)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from chronas.registry import lazily

if TYPE_CHECKING:
    from chronas.api import (
        Comparison,
        FinishedRun,
        Found,
        TrainedModel,
        compare,
        count,
        device,
        export,
        fit,
        load_data,
        load_table,
        measure,
        register,
        run,
        search,
        space,
        train,
    )
    from chronas.data import Dataset
    from chronas.devices import Device
    from chronas.errors import ChronasError
    from chronas.measurement import Plan
    from chronas.predictors import Predictor, load_predictor
    from chronas.records import Estimate, Trial
    from chronas.runs import Run
    from chronas.search import Cost, Evaluator, Searcher
    from chronas.spaces import Architecture, Decision, Group, NetworkSize, Operation, Space, Topology
    from chronas.tables import CostTable
    from chronas.training import Recipe

__version__ = "0.1.0"

__all__ = [
    "Architecture",
    "ChronasError",
    "Comparison",
    "Cost",
    "CostTable",
    "Dataset",
    "Decision",
    "Device",
    "Estimate",
    "Evaluator",
    "FinishedRun",
    "Found",
    "Group",
    "NetworkSize",
    "Operation",
    "Plan",
    "Predictor",
    "Recipe",
    "Run",
    "Searcher",
    "Space",
    "Topology",
    "TrainedModel",
    "Trial",
    "__version__",
    "compare",
    "count",
    "device",
    "export",
    "fit",
    "load_data",
    "load_predictor",
    "load_table",
    "measure",
    "register",
    "run",
    "search",
    "space",
    "train",
]


_found = lazily(
    __name__,
    {
        "api": "Comparison FinishedRun Found TrainedModel compare count device export fit load_data load_table measure "
        "register run space train",
        "data": "Dataset",
        "devices": "Device",
        "errors": "ChronasError",
        "measurement": "Plan",
        "predictors": "Predictor load_predictor",
        "records": "Estimate Trial",
        "runs": "Run",
        "search": "Cost Evaluator Searcher",
        "spaces": "Architecture Decision Group NetworkSize Operation Space Topology",
        "tables": "CostTable",
        "training": "Recipe",
    },
)


def __getattr__(name: str) -> Any:
    if name == "search":  # the package of that name, which is called as the function
        return import_module("chronas.search")
    return _found(name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
