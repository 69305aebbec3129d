"""Presets: whole configs by name. Each one names its source, or says that it is smaller than a paper's settings.

config = make_preset("cifar10-cpu", {"searcher": "pc-darts"})
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from chronas.arguments import checked
from chronas.data import DATASETS
from chronas.devices import device_class
from chronas.errors import UsageError, reason, unknown_name
from chronas.measurement import Plan
from chronas.predictors import predictor_class
from chronas.runs import PRESETS
from chronas.runs.config import RunConfig
from chronas.runs.settings import DEFAULT_PRESET, DEFAULT_SEARCHER, OWN_DATA_PRESET, limits_alone
from chronas.search import Searcher, SearcherConfig, searcher_class
from chronas.spaces import NetworkScale, make_space
from chronas.training import make_recipe

Names = Mapping[str, str]
NAMES = ("space", "device", "searcher", "predictor")
SMALL_PLAN = Plan(warmup=5, repeats=20)  # for networks below 1 ms: many runs cost little, and the first ones are cold

# Settings of each searcher by name; a user's own searcher has the settings of the class that it extends, if any.
BILEVEL = {"width": 8, "depth": 5, "warmup_epochs": 1, "learning_rate": 0.05, "alphas_learning_rate": 0.03}
SHALLOW = BILEVEL | {"depth": 3}
PARTIAL = {key: value for key, value in BILEVEL.items() if key != "width"}
PATHS = {"width": 8, "depth": 3, "learning_rate": 0.1, "architectures": 200}
SMALL_IMAGES = {"crop_padding": 1, "flip": False}
DIGITS: dict[str, dict[str, Any]] = {  # 8x8 images: a minute or two on a core
    "bayesian": SMALL_IMAGES
    | {
        "architectures": 32,
        "initial_random": 12,
        "epochs": 3,
        "batch": 64,
        "learning_rate": 0.1,
        "width": 8,
        "depth": 3,
    },
    "random": SMALL_IMAGES | {"architectures": 8, "epochs": 4, "batch": 64, "learning_rate": 0.1},
    **dict.fromkeys(("evolution", "local-search", "nsga2", "optuna"), PATHS | SMALL_IMAGES | {"epochs": 40}),
    "darts": BILEVEL | SMALL_IMAGES | {"epochs": 14},
    "pc-darts": PARTIAL | SMALL_IMAGES | {"epochs": 14, "batch": 64},
    "gdas": SHALLOW | SMALL_IMAGES | {"epochs": 14},
    "drnas": PARTIAL | SMALL_IMAGES | {"epochs": 14, "depth": 3},
    "proxyless": SMALL_IMAGES
    | {"epochs": 30, "batch": 32, "width": 8, "warmup_epochs": 1, "alphas_learning_rate": 0.1},
    "elastic": SMALL_IMAGES | {"epochs": 30, "batch": 64, "crop_scale": 1.0, "color_jitter": 0.0},
}
CIFAR10: dict[str, dict[str, Any]] = {  # some thousand 32x32 images on two cores: minutes, much smaller than any paper
    # All deployed cells, as networks with fewer are good for other reasons (docs/log.md). Capacity counts little: six
    # epochs of the final training are too few for large networks to gain from it.
    "bayesian": {"architectures": 40, "initial_random": 16, "epochs": 3, "batch": 64, "learning_rate": 0.1}
    | {"crop_padding": 2, "width": 8, "image_stride": 2, "workers": 2, "macs_weight": 0.25, "synflow_weight": 0.0},
    "random": {"architectures": 8, "epochs": 3, "learning_rate": 0.1},
    **dict.fromkeys(("evolution", "local-search", "nsga2", "optuna"), PATHS | {"epochs": 30, "image_stride": 2}),
    "darts": BILEVEL | {"epochs": 4},
    "pc-darts": PARTIAL | {"epochs": 4, "batch": 64},
    "gdas": SHALLOW | {"epochs": 4},
    "drnas": PARTIAL | {"epochs": 4, "depth": 3},
    "proxyless": {"epochs": 10, "batch": 32, "width": 8, "warmup_epochs": 1, "alphas_learning_rate": 0.1},
    "elastic": {"epochs": 10, "batch": 64, "crop_padding": 4, "crop_scale": 1.0, "rotation": 0.0, "color_jitter": 0.0},
}
NASBENCH201 = CIFAR10 | {
    # Six minutes on two cores, for a network that is trained for 200 epochs, so capacity counts. Chosen on
    # NAS-Bench-201's validation accuracies (docs/log.md); results: results/truth-nasbench201.md.
    "bayesian": {"architectures": 36, "initial_random": 16, "epochs": 1, "batch": 64, "learning_rate": 0.1}
    | {"images": 25_600, "crop_padding": 2, "width": 8, "depth": 3, "image_stride": 2, "workers": 2},
}
PHOTOS: dict[str, dict[str, Any]] = {  # some hundred photos on two cores: about five minutes
    # As for CIFAR-10: networks that are too large for the minutes of the final training learn less in them.
    "bayesian": {"architectures": 24, "initial_random": 12, "epochs": 20, "batch": 32, "learning_rate": 0.05}
    | {"image_stride": 2, "workers": 2, "seconds": 150.0, "macs_weight": 0.25, "synflow_weight": 0.0},
    "random": {"architectures": 8, "epochs": 6, "batch": 32, "learning_rate": 0.05},
    "elastic": {"minutes": 6.0},
}
SHAPES: dict[str, dict[str, Any]] = CIFAR10 | {  # 2,000 images of 32x32 pixels on two cores: less than a minute
    "bayesian": {"architectures": 48, "initial_random": 20, "epochs": 4, "batch": 64, "learning_rate": 0.1}
    | {"crop_padding": 2, "image_stride": 2, "workers": 2, "seconds": 45.0, "macs_weight": 0.25, "synflow_weight": 0.0},
}
SEARCHER_SETTINGS = {
    "photos-cpu": PHOTOS,
    "shapes-cpu": SHAPES,
    "digits-cpu": DIGITS,
    "cifar10-cpu": CIFAR10,
    "nasbench201-cifar10": NASBENCH201,
}


def preset_summaries() -> dict[str, str]:
    """The purpose of each preset in one line: the first line of its docstring."""
    return {name: (inspect.getdoc(preset) or "").partition("\n")[0] for name, preset in PRESETS.items()}


@checked
def make_preset(name: str, changes: Mapping[str, Any] | None = None) -> RunConfig:
    """The config of a preset.

    Args:
        name: a key of `PRESETS`.
        changes: fields of `RunConfig` to use instead of the preset's. Space, device, searcher and predictor decide the
            preset's other settings. Limits or a front set the latency weight to zero, unless it is given too.

    Raises:
        UsageError: there is no such preset, name or field, or a value does not fit.
    """
    preset: Callable[[Names], RunConfig] = PRESETS[name]
    names = {key: value for key, value in (changes or {}).items() if key in NAMES}
    for key in changes or {}:
        if key not in RunConfig.model_fields:
            raise unknown_name("setting", str(key), RunConfig.model_fields)
    config = preset(names)
    config = _shallow(config) if make_space(config.space).topology.small_depth == 1 else config
    rest = {key: value for key, value in (changes or {}).items() if key not in NAMES}
    kept = {field: getattr(config, field) for field in RunConfig.model_fields}
    try:
        return RunConfig.model_validate({**kept, **limits_alone(rest)})
    except ValidationError as error:
        raise UsageError(reason(error)) from error


def preset_for(data: object) -> str:
    """The usual preset for data: `photos-cpu` if it does not come with chronas. None: no data is given."""
    known = data is None or (isinstance(data, str) and data in DATASETS.built_in)
    return DEFAULT_PRESET if known else OWN_DATA_PRESET


def searcher_settings(preset: str, searcher: str | type[Searcher]) -> SearcherConfig:
    """The settings of a preset for a searcher; the searcher's defaults if the preset has none.

    Args:
        preset: a key of `PRESETS`.
        searcher: a name in `SEARCHERS`, or a class; a user's own has the settings of the class it extends.
    """
    if preset not in PRESETS:
        raise unknown_name("preset", preset, PRESETS)
    table = SEARCHER_SETTINGS.get(preset, {})
    found = searcher_class(searcher) if isinstance(searcher, str) else searcher
    names = [str(cls.__dict__["name"]) for cls in found.__mro__ if "name" in cls.__dict__]
    settings = next((table[name] for name in names if name in table), {})
    known = found.Config.model_fields
    return found.Config.model_validate({key: value for key, value in settings.items() if key in known})


def _small_size(space: str, width: int, depth: int | None = None) -> NetworkScale:
    """The usual small size of a space, or another depth, with a stem that halves the image if it has one."""
    topology = make_space(space).topology
    stem = "small" if "small" in topology.stems else topology.stems[0]
    return NetworkScale(width=width, depth=depth or topology.small_depth, stem=stem)


def digits_cpu(names: Names) -> RunConfig:
    """8x8 digits in minutes, much smaller than a paper's settings."""
    searcher = names.get("searcher", DEFAULT_SEARCHER)
    return RunConfig(
        **_names({"searcher": searcher, **names}),
        searcher_config=searcher_settings("digits-cpu", searcher),
        data="digits",
        networks=200,
        size=NetworkScale(width=16, depth=5),
        plan=SMALL_PLAN,
        recipe=make_recipe("digits-small"),
        latency_weight=1.2,
        baseline=True,
    )


def shapes_cpu(names: Names) -> RunConfig:
    """Pictures of textured shapes, made on the spot, in minutes on two cores; the preset of `chronas demo`."""
    searcher = names.get("searcher", DEFAULT_SEARCHER)
    space = names.get("space", "nasbench201")
    return RunConfig(
        **_names({**names, "space": space, "searcher": searcher}),
        searcher_config=searcher_settings("shapes-cpu", searcher),
        data="shapes",
        threads=2,
        networks=100,
        size=_small_size(space, width=8, depth=1),
        plan=SMALL_PLAN,
        recipe=make_recipe("photos").model_copy(update={"epochs": 10}),
        latency_weight=0.02,
        baseline=True,
        by_hand=True,
    )


def photos_cpu(names: Names) -> RunConfig:
    """Your own photos on two cores, made for twenty minutes; the size of the networks fits the limit.

    The default for data that does not come with chronas.
    """
    name = names.get("searcher", DEFAULT_SEARCHER)
    nested = searcher_class(name).gives_weights
    space = names.get("space", "mobilenetv3-plain" if nested else "convnet")
    return RunConfig(
        **_names({**names, "space": space, "searcher": name}),
        searcher_config=searcher_settings("photos-cpu", name),
        data="digits",
        search_validation_share=0.3,
        threads=2,
        networks=80,
        fit_size=True,
        size=_small_size(space, width=16),
        plan=SMALL_PLAN.model_copy(update={"block": 40}),  # networks of millions of weights in memory at a time
        recipe=make_recipe("photos"),
        train_minutes=11.0,
    )


def cifar10_cpu(names: Names) -> RunConfig:
    """CIFAR-10 in an hour or so on two cores, smaller than a paper's."""
    name = names.get("searcher", DEFAULT_SEARCHER)
    searcher = searcher_class(name)
    return RunConfig(
        **_names({"searcher": name, **names}),
        searcher_config=searcher_settings("cifar10-cpu", name),
        data="cifar10",
        threads=2,
        data_limit=10_000,
        search_images=5_000 if searcher.weight_sharing else None,  # trainings of seconds need all images
        networks=200,
        size=NetworkScale(width=16, depth=5),
        plan=SMALL_PLAN,
        recipe=make_recipe("cifar10-cpu"),
        latency_weight=0.5 if searcher.differentiable else 0.05,  # of the loss, or of the share of wrong images
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

    arXiv 2001.00326: networks have 16 channels and 5 cells in each stage; no latency term. The search is our own and
    small; results/truth-nasbench201.md compares its results with the known accuracies.
    """
    searcher = names.get("searcher", DEFAULT_SEARCHER)
    sharing = searcher_class(searcher).weight_sharing
    return RunConfig(
        **_names({"space": "nasbench201", "searcher": searcher, **names}),
        searcher_config=searcher_settings("nasbench201-cifar10", searcher),
        data="cifar10",
        search_validation_share=0.5 if sharing else 1 / 9,  # 5,000 images are enough
        threads=2,
        networks=500,
        size=NetworkScale(width=16, depth=5),
        recipe=make_recipe("nasbench201"),
    )


def _published(searcher: str, recipe: str, names: Names) -> RunConfig:
    searcher = names.get("searcher", searcher)
    return RunConfig(
        **_names({"searcher": searcher, **names}),
        searcher_config=searcher_class(searcher).Config(),
        data="cifar10",
        networks=2000,
        size=NetworkScale(width=36, depth=20),
        recipe=make_recipe(recipe),
    )


def _shallow(config: RunConfig) -> RunConfig:
    """The same config with a depth of 1, for spaces such as chains of layers."""
    searcher = config.searcher_config
    once = {"depth": 1} if "depth" in type(searcher).model_fields else {}
    size, searcher = config.size.model_copy(update={"depth": 1}), searcher.model_copy(update=once)
    return config.model_copy(update={"size": size, "searcher_config": searcher})


def _names(names: Names) -> dict[str, Any]:
    """The names of a run, with defaults for missing ones, and the configs of device and predictor."""
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
