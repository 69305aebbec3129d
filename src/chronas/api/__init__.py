"""The functions of `import chronas`: measure, fit, search, train, export, run, by name or with a user's own objects.

import chronas

data = chronas.load_data("digits")
size = data.size(width=8, depth=1)
table = chronas.measure("nasbench201", "onnxruntime-cpu", size=size, networks=100)
latency = chronas.fit(table)
found = chronas.search("nasbench201", data, size=size, costs={"latency_ms": latency}, limits={"latency_ms": 0.2})
"""

from __future__ import annotations

from chronas.api.comparing import Compared, Comparison, compare
from chronas.api.measuring import count, fit, measure
from chronas.api.objects import device, load_data, load_table, register, space
from chronas.api.running import FinishedRun, run
from chronas.api.searching import Found, search
from chronas.api.training import TrainedModel, export, train

__all__ = [
    "Compared",
    "Comparison",
    "FinishedRun",
    "Found",
    "TrainedModel",
    "compare",
    "count",
    "device",
    "export",
    "fit",
    "load_data",
    "load_table",
    "measure",
    "register",
    "run",
    "search",
    "space",
    "train",
]
