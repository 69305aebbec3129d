"""Runs: from a config to a folder with the found network, its measurements and a report.

run = Run.create(Path("runs/mine"), make_preset("digits-cpu"), command="my script")
report = execute(run)
print(report.verdict.text)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chronas.registry import Registry, lazily

if TYPE_CHECKING:
    from chronas.runs.architecture_file import read_architecture, read_preprocessing, write_architecture
    from chronas.runs.beside import BESIDE_FILE, compare_with
    from chronas.runs.by_hand import five_convolutions
    from chronas.runs.config import RunConfig, RunParts, search_costs
    from chronas.runs.cost_model import fit, fit_all, measure, predictor_folder
    from chronas.runs.exported import EXPORTED, check_onnx, export, export_network, export_own, quantise
    from chronas.runs.fitted_size import fit_size, read_fitted_size
    from chronas.runs.front import read_front, search_front
    from chronas.runs.given_accuracy import confusion_of, scaling_words
    from chronas.runs.given_networks import GivenNetwork, as_given, read_network
    from chronas.runs.initial_weights import InitialWeights, initial_of, initial_of_network, initial_of_space
    from chronas.runs.int8 import INT8_MODEL, Int8Result, read_int8, write_int8
    from chronas.runs.network_costs import NetworkCosts, costs_of, device_of
    from chronas.runs.pipeline import execute, find, measure_found, show
    from chronas.runs.presets import make_preset, preset_for, preset_summaries, searcher_settings
    from chronas.runs.run import Run
    from chronas.runs.selection import Chosen, Finder, help_searches, read_choice, read_choices
    from chronas.runs.settings import (
        DEFAULT_PRESET,
        DEMO_PRESET,
        LIMITS,
        OWN_DATA_PRESET,
        RunSettings,
        TrainingSettings,
        implied,
        limits_alone,
    )
    from chronas.runs.summary import DEVICES_FILE, compare_devices, read_devices
    from chronas.runs.teacher import teacher_of
    from chronas.runs.training import Trained, read_trained, train_architecture, train_network
    from chronas.runs.warm_start import FIELDS, config_again

__all__ = [
    "BESIDE_FILE",
    "DEVICES_FILE",
    "EXPORTED",
    "FIELDS",
    "GivenNetwork",
    "InitialWeights",
    "DEFAULT_PRESET",
    "DEMO_PRESET",
    "INT8_MODEL",
    "LIMITS",
    "OWN_DATA_PRESET",
    "PRESETS",
    "Chosen",
    "Finder",
    "Int8Result",
    "NetworkCosts",
    "Run",
    "RunConfig",
    "RunParts",
    "RunSettings",
    "Trained",
    "TrainingSettings",
    "as_given",
    "check_onnx",
    "compare_devices",
    "compare_with",
    "config_again",
    "confusion_of",
    "costs_of",
    "device_of",
    "execute",
    "five_convolutions",
    "export",
    "export_network",
    "export_own",
    "find",
    "fit_size",
    "read_fitted_size",
    "fit",
    "fit_all",
    "help_searches",
    "initial_of",
    "initial_of_network",
    "initial_of_space",
    "implied",
    "limits_alone",
    "preset_for",
    "make_preset",
    "preset_summaries",
    "measure",
    "measure_found",
    "predictor_folder",
    "quantise",
    "read_architecture",
    "read_choice",
    "read_network",
    "scaling_words",
    "read_choices",
    "read_devices",
    "read_front",
    "read_int8",
    "read_preprocessing",
    "read_trained",
    "search_costs",
    "search_front",
    "searcher_settings",
    "show",
    "teacher_of",
    "train_architecture",
    "train_network",
    "write_architecture",
    "write_int8",
]

__getattr__ = lazily(
    __name__,
    {
        "architecture_file": "read_architecture read_preprocessing write_architecture",
        "beside": "BESIDE_FILE compare_with",
        "by_hand": "five_convolutions",
        "fitted_size": "fit_size read_fitted_size",
        "config": "search_costs RunConfig RunParts",
        "cost_model": "fit fit_all measure predictor_folder",
        "summary": "DEVICES_FILE compare_devices read_devices",
        "given_accuracy": "confusion_of scaling_words",
        "given_networks": "GivenNetwork as_given read_network",
        "front": "read_front search_front",
        "int8": "INT8_MODEL Int8Result read_int8 write_int8",
        "initial_weights": "InitialWeights initial_of initial_of_network initial_of_space",
        "selection": "help_searches Chosen Finder read_choice read_choices",
        "network_costs": "NetworkCosts costs_of device_of",
        "pipeline": "execute find measure_found show",
        "presets": "make_preset preset_for preset_summaries searcher_settings",
        "run": "Run",
        "settings": "DEFAULT_PRESET DEMO_PRESET LIMITS OWN_DATA_PRESET RunSettings TrainingSettings "
        "implied limits_alone",
        "exported": "EXPORTED check_onnx export export_network export_own quantise",
        "training": "Trained read_trained train_architecture train_network",
        "teacher": "teacher_of",
        "warm_start": "FIELDS config_again",
    },
)

PRESETS = Registry(
    "preset",
    {
        "digits-cpu": "chronas.runs.presets:digits_cpu",
        "photos-cpu": "chronas.runs.presets:photos_cpu",
        "shapes-cpu": "chronas.runs.presets:shapes_cpu",
        "cifar10-cpu": "chronas.runs.presets:cifar10_cpu",
        "darts-cifar10": "chronas.runs.presets:darts_cifar10",
        "pcdarts-cifar10": "chronas.runs.presets:pcdarts_cifar10",
        "nasbench201-cifar10": "chronas.runs.presets:nasbench201_cifar10",
    },
)
