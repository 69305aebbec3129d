"""The loop: from a config to a run folder that holds the network, its measurements and the report.

run = Run.create(Path("runs/mine"), make_preset("digits-cpu"), command="my script")
report = execute(run)
print(report.verdict.text)
"""

from __future__ import annotations

from chronas.runs.config import Frame, RunConfig
from chronas.runs.finding import Chosen, Finder, read_choice, read_choices
from chronas.runs.folder import Run
from chronas.runs.measuring import fit, measure, measure_again
from chronas.runs.presets import PRESETS, make_preset
from chronas.runs.run import execute, find, measure_found, show
from chronas.runs.training import (
    EXPORTED,
    Trained,
    check_onnx,
    export,
    export_own,
    read_architecture,
    read_trained,
    train_architecture,
    train_network,
    write_architecture,
)

__all__ = [
    "EXPORTED",
    "PRESETS",
    "Chosen",
    "Finder",
    "Frame",
    "Run",
    "RunConfig",
    "Trained",
    "check_onnx",
    "execute",
    "export",
    "export_own",
    "find",
    "fit",
    "make_preset",
    "measure",
    "measure_again",
    "measure_found",
    "read_architecture",
    "read_choice",
    "read_choices",
    "read_trained",
    "show",
    "train_architecture",
    "train_network",
    "write_architecture",
]
