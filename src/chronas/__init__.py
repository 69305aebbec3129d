"""chronas finds neural networks that are as accurate as possible within a time limit on the target hardware.

import chronas

table = chronas.measure("nasbench201", "onnxruntime-cpu")
latency = chronas.fit(table)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from chronas.registry import imported

if TYPE_CHECKING:
    from chronas.api import (
        FinishedRun,
        Found,
        TrainedModel,
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

_LAZY = {  # each module is imported when one of its names is first used
    **dict.fromkeys(
        (
            *("FinishedRun", "Found", "TrainedModel", "device", "export", "fit", "load_data", "load_table"),
            *("count", "measure", "register", "run", "space", "train"),
        ),
        "chronas.api",
    ),
    "Dataset": "chronas.data",
    "Device": "chronas.devices",
    "ChronasError": "chronas.errors",
    "Plan": "chronas.measurement",
    "Predictor": "chronas.predictors",
    "load_predictor": "chronas.predictors",
    "Estimate": "chronas.records",
    "Trial": "chronas.records",
    "Run": "chronas.runs",
    "Cost": "chronas.search",
    "Evaluator": "chronas.search",
    "Searcher": "chronas.search",
    "Architecture": "chronas.spaces",
    "Decision": "chronas.spaces",
    "Group": "chronas.spaces",
    "NetworkSize": "chronas.spaces",
    "Operation": "chronas.spaces",
    "Space": "chronas.spaces",
    "Topology": "chronas.spaces",
    "CostTable": "chronas.tables",
    "Recipe": "chronas.training",
}

__all__ = [
    "Architecture",
    "ChronasError",
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


def __getattr__(name: str) -> Any:
    if name == "search":  # the package `chronas.search` is itself callable as the function
        return import_module("chronas.search")
    if name not in _LAZY:
        raise AttributeError(f"module 'chronas' has no attribute {name!r}")
    found = imported(f"{_LAZY[name]}:{name}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
