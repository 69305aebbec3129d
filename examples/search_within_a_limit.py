"""Find a network for handwritten digits that keeps a latency limit, on a simulated device, in a minute.

python examples/search_within_a_limit.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import chronas
from chronas.runs import searcher_settings
from chronas.spaces import NetworkScale
from chronas.training import make_recipe

searcher = searcher_settings("digits-cpu", "bayesian").model_copy(
    update={"architectures": 8, "initial_random": 4, "epochs": 2, "width": 4, "depth": 3}
)
with tempfile.TemporaryDirectory() as folder:
    done = chronas.run(
        "digits",
        Path(folder) / "run",
        preset="digits-cpu",
        device="simulated",
        limit_ms=0.8,
        baseline=False,
        networks=40,
        data_limit=400,
        size=NetworkScale(width=4, depth=3),
        searcher_config=searcher,
        recipe=make_recipe("digits-small").model_copy(update={"epochs": 8}),
    )
    print(done.verdict)
    print(done.networks[0].architecture)
    print("files:", ", ".join(sorted(path.name for path in done.folder.iterdir() if path.is_file())))
