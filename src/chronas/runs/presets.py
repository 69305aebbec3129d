"""Presets: whole configs by name. Each says what it is from, or that it is smaller than a paper's.

config = make_preset("cifar10-cpu", {"searcher": "pc-darts"})
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from chronas.devices import device_class
from chronas.measurement import Plan
from chronas.predictors import predictor_class
from chronas.registry import Registry
from chronas.runs.config import DEFAULT_SEARCHER, Frame, RunConfig
from chronas.search import searcher_class
from chronas.spaces import make_space
from chronas.training import make_recipe

PRESETS = Registry(
    "preset",
    {
        "digits-cpu": "chronas.runs.presets:digits_cpu",
        "cifar10-cpu": "chronas.runs.presets:cifar10_cpu",
        "darts-cifar10": "chronas.runs.presets:darts_cifar10",
        "pcdarts-cifar10": "chronas.runs.presets:pcdarts_cifar10",
        "nasbench201-cifar10": "chronas.runs.presets:nasbench201_cifar10",
    },
)
Names = Mapping[str, str]
SMALL_PLAN = Plan(warmup=5, repeats=20)  # of networks below 1 ms: many runs cost little, the first ones are cold


def preset_summaries() -> dict[str, str]:
    """What each preset is for, in one line: the first line of its docstring."""
    return {name: (inspect.getdoc(preset) or "").partition("\n")[0] for name, preset in PRESETS.items()}


def make_preset(name: str, names: Names | None = None) -> RunConfig:
    """The config of a preset.

    Args:
        name: a key of `PRESETS`.
        names: space, device, searcher or predictor to take instead of the preset's.

    Raises:
        UsageError: there is no such preset, or no such name.
    """
    preset: Callable[[Names], RunConfig] = PRESETS[name]
    config = preset(names or {})
    return _of_layers(config) if make_space(config.space).topology.small_depth == 1 else config


def digits_cpu(names: Names) -> RunConfig:
    """8x8 digits in minutes, much smaller than a paper's settings; what `chronas demo` runs."""
    searcher = names.get("searcher", DEFAULT_SEARCHER)
    return RunConfig(
        **_names({"searcher": searcher, **names}),
        searcher_config=searcher_class(searcher).Config.digits(),
        data="digits",
        networks=200,
        frame=Frame(width=16, depth=5),
        plan=SMALL_PLAN,
        recipe=make_recipe("digits-small"),
        latency_weight=1.2,
        baseline=True,
    )


def cifar10_cpu(names: Names) -> RunConfig:
    """CIFAR-10 in an hour or so on two cores, smaller than a paper's."""
    name = names.get("searcher", DEFAULT_SEARCHER)
    searcher = searcher_class(name)
    return RunConfig(
        **_names({"searcher": name, **names}),
        searcher_config=searcher.Config.cifar10_cpu(),
        data="cifar10",
        threads=2,
        data_limit=10_000,
        search_images=5_000 if searcher.supernet else None,  # seconds of training need all there are
        networks=200,
        frame=Frame(width=16, depth=5),
        plan=SMALL_PLAN,
        recipe=make_recipe("cifar10-cpu"),
        latency_weight=0.5 if searcher.differentiable else 0.05,  # beside the loss, or beside the share of wrong images
        baseline=True,
    )


def darts_cifar10(names: Names) -> RunConfig:
    """The DARTS paper's settings; weeks, on a CPU.

    First order, as published for CIFAR-10 (arXiv 1806.09055; quark0/darts @f276dd3), no latency term.
    """
    return _published("darts", "darts-cifar10", names)


def pcdarts_cifar10(names: Names) -> RunConfig:
    """The PC-DARTS paper's settings; weeks, on a CPU.

    As published for CIFAR-10 (arXiv 1907.05737; yuhuixu1993/PC-DARTS @b74702f), no latency term.
    """
    return _published("pc-darts", "pcdarts-cifar10", names)


def nasbench201_cifar10(names: Names) -> RunConfig:
    """NAS-Bench-201's networks and training; a search takes minutes, a training a day or more, on a CPU.

    arXiv 2001.00326: networks have 16 channels and 5 cells a stage; no latency term.

    The search is ours, small: what it finds is held against the known accuracies in results/truth-nasbench201.md.
    """
    searcher = names.get("searcher", DEFAULT_SEARCHER)
    return RunConfig(
        **_names({"space": "nasbench201", "searcher": searcher, **names}),
        searcher_config=searcher_class(searcher).Config.nasbench201(),
        data="cifar10",
        search_validation_share=0.5 if searcher_class(searcher).supernet else 1 / 9,  # 5,000 images tell enough
        threads=2,
        networks=500,
        frame=Frame(width=16, depth=5),
        recipe=make_recipe("nasbench201"),
    )


def _published(searcher: str, recipe: str, names: Names) -> RunConfig:
    searcher = names.get("searcher", searcher)
    return RunConfig(
        **_names({"searcher": searcher, **names}),
        searcher_config=searcher_class(searcher).Config(),
        data="cifar10",
        networks=2000,
        frame=Frame(width=36, depth=20),
        recipe=make_recipe(recipe),
    )


def _of_layers(config: RunConfig) -> RunConfig:
    """The same for a chain of layers, where a depth of cells would stand each block in a row so many times: once."""
    searcher = config.searcher_config
    once = {"depth": 1} if "depth" in type(searcher).model_fields else {}
    frame, searcher = config.frame.model_copy(update={"depth": 1}), searcher.model_copy(update=once)
    return config.model_copy(update={"frame": frame, "searcher_config": searcher})


def _names(names: Names) -> dict[str, Any]:
    """The names of a run, the defaults where they are not given, and the configs of device and predictor."""
    device = names.get("device", "onnxruntime-cpu")
    predictor = names.get("predictor", "lpm")
    return {
        "space": names.get("space", "darts"),
        "device": device,
        "searcher": names["searcher"],
        "predictor": predictor,
        "device_config": device_class(device).Config(),
        "predictor_config": predictor_class(predictor).Config(),
    }
