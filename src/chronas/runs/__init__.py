"""The loop: from a config to a run folder that holds the network, its measurements and the report.

run = Run.create(Path("runs/mine"), make_preset("digits-cpu"), command="my script")
report = execute(run)
print(report.verdict.text)
"""

from __future__ import annotations

from chronas.runs.config import Frame, RunConfig
from chronas.runs.finding import Finder, read_choice, read_choices
from chronas.runs.folder import Run
from chronas.runs.measuring import fit, measure, measure_again
from chronas.runs.presets import PRESETS, make_preset
from chronas.runs.run import execute, find, show
from chronas.runs.training import (
    Trained,
    check_onnx,
    export,
    read_architecture,
    read_trained,
    train_architecture,
    train_network,
    write_architecture,
)

__all__ = [
    "PRESETS",
    "Finder",
    "Frame",
    "Run",
    "RunConfig",
    "Trained",
    "check_onnx",
    "execute",
    "export",
    "find",
    "fit",
    "make_preset",
    "measure",
    "measure_again",
    "read_architecture",
    "read_choice",
    "read_choices",
    "read_trained",
    "show",
    "train_architecture",
    "train_network",
    "write_architecture",
]
