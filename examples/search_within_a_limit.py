"""Find a network for handwritten digits that keeps a latency limit, on a simulated device, in a minute.

python examples/search_within_a_limit.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from chronas.runs import Run, execute, make_preset
from chronas.spaces import NetworkScale

preset = make_preset("digits-cpu", {"device": "simulated"})
config = preset.model_copy(
    update={
        "limit_ms": 0.8,
        "latency_weight": 0.0,
        "baseline": False,
        "networks": 60,
        "data_limit": 400,
        "size": NetworkScale(width=4, depth=3),
        "searcher_config": preset.searcher_config.model_copy(
            update={"architectures": 12, "initial_random": 6, "epochs": 2, "width": 4, "depth": 3}
        ),
        "recipe": preset.recipe.model_copy(update={"epochs": 12}),
    }
)

with tempfile.TemporaryDirectory() as folder:
    run = Run.create(Path(folder) / "run", config, command="python examples/search_within_a_limit.py")
    report = execute(run)
    print(report.verdict.text)
    print(report.networks[0].architecture)
    print("files:", ", ".join(sorted(report.files)))
