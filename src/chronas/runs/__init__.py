"""The loop: from a config to a run folder that holds the network, its measurements and the report.

run = Run.create(Path("runs/mine"), make_preset("digits-cpu"), command="my script")
report = execute(run)
print(report.verdict.text)
"""

from __future__ import annotations

from chronas.runs.config import LIMITS, RunConfig, RunParts
from chronas.runs.cost_model import fit, fit_all, measure, predictor_folder
from chronas.runs.device_comparison import DEVICES_FILE, compare_devices, read_devices
from chronas.runs.front import read_front, search_front
from chronas.runs.limit_loop import help_searches
from chronas.runs.network_costs import NetworkCosts, costs_of, device_of
from chronas.runs.pipeline import execute, find, measure_found, show
from chronas.runs.presets import PRESETS, make_preset, preset_summaries, searcher_settings
from chronas.runs.run import Run
from chronas.runs.selection import Chosen, Finder, read_choice, read_choices
from chronas.runs.training import (
    EXPORTED,
    Trained,
    check_onnx,
    export,
    export_own,
    read_architecture,
    read_preprocessing,
    read_trained,
    train_architecture,
    train_network,
    write_architecture,
)
from chronas.runs.warm_start import FIELDS, config_again

__all__ = [
    "DEVICES_FILE",
    "EXPORTED",
    "FIELDS",
    "LIMITS",
    "PRESETS",
    "Chosen",
    "Finder",
    "NetworkCosts",
    "Run",
    "RunConfig",
    "RunParts",
    "Trained",
    "check_onnx",
    "compare_devices",
    "config_again",
    "costs_of",
    "device_of",
    "execute",
    "export",
    "export_own",
    "find",
    "fit",
    "fit_all",
    "help_searches",
    "make_preset",
    "preset_summaries",
    "measure",
    "measure_found",
    "predictor_folder",
    "read_architecture",
    "read_choice",
    "read_choices",
    "read_devices",
    "read_front",
    "read_preprocessing",
    "read_trained",
    "search_front",
    "searcher_settings",
    "show",
    "train_architecture",
    "train_network",
    "write_architecture",
]
