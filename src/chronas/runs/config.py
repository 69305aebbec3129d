"""The config of a run: one frozen object with the configs of all its parts, and its JSON form.

Names (space, device, searcher, predictor) choose the classes; their own configs are in fields of the same name with
`_config`. `RunConfig.from_json` reads the names first, because they determine the classes of the other configs.
"""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_args

import torch
from pydantic import BaseModel, Field, SerializeAsAny, ValidationError
from torch import nn

from chronas import __version__
from chronas.data import Dataset
from chronas.devices import DEVICES, Device, OfflineDevice, device_class
from chronas.errors import DataError, NotRegisteredError, UsageError, reason
from chronas.measurement import Plan
from chronas.predictors import PREDICTORS, Predictor, predictor_class
from chronas.runs.settings import RunSettings
from chronas.search import (
    SEARCHERS,
    Cost,
    CostFunction,
    ObjectiveConfig,
    RerankConfig,
    ScoreFunction,
    Searcher,
    searcher_class,
)
from chronas.spaces import SPACES, NetworkScale, Space
from chronas.training import Recipe
from chronas.units import MeasuredCost, cost_word

REGISTRIES = {"space": SPACES, "device": DEVICES, "searcher": SEARCHERS, "predictor": PREDICTORS}
PACKAGES = ("torch", "numpy", "polars", "onnx", "onnxruntime", "scikit-learn")


@dataclass(frozen=True, eq=False)
class RunParts:
    """A user's own objects for a run, instead of objects by name; the config has their names. None: by name.

    Attributes:
        space: the search space.
        device: the device to measure.
        searcher: the searcher, with its config.
        predictor: the class of the predictor, or an unfitted predictor.
        data: training and test images.
        evaluate: scores architectures, instead of the searcher's own evaluation.
        teacher: a trained network that trainings learn from too.
    """

    space: Space | None = None
    device: Device | None = None
    searcher: Searcher | None = None
    predictor: type[Predictor] | None = None
    data: Dataset | None = None
    evaluate: ScoreFunction | None = None
    teacher: nn.Module | None = None


class RunConfig(RunSettings):
    """All settings of a run; two runs with equal configs on one machine give the same results."""

    rerank: RerankConfig = Field(default=RerankConfig())
    size: NetworkScale = Field(default=NetworkScale())
    plan: Plan = Field(default=Plan())
    recipe: Recipe = Field(default=Recipe())
    device_config: SerializeAsAny[BaseModel]
    searcher_config: SerializeAsAny[BaseModel]
    predictor_config: SerializeAsAny[BaseModel]

    @classmethod
    def from_json(cls, content: dict[str, Any], parts: RunParts | None = None) -> RunConfig:
        """The config from the output of `model_dump(mode="json")`.

        Args:
            content: the JSON object.
            parts: a user's own objects for names in the config.

        Raises:
            DataError: a field is missing, unknown or out of its range.
            UsageError: this version of chronas does not have a name.
        """
        own = parts or RunParts()
        try:
            classes = {
                "device_config": (own.device or device_class(content["device"])).Config,
                "searcher_config": (own.searcher or searcher_class(content["searcher"])).Config,
                "predictor_config": (own.predictor or predictor_class(content["predictor"])).Config,
            }
            configs = {field: model.model_validate(content[field]) for field, model in classes.items()}
            return cls.model_validate({**content, **configs})
        except (KeyError, ValidationError) as error:
            raise DataError(f"the run's config is not one of this version of chronas: {reason(error)}") from error

    @property
    def objective(self) -> ObjectiveConfig:
        """The objective of the search."""
        return ObjectiveConfig(weights=self.weights, limits=self.limits)

    @property
    def training_length(self) -> str:
        """The length of a final training, in words."""
        if self.train_minutes is not None:
            return f"{self.train_minutes:g} minutes"
        return f"{self.recipe.epochs} epochs" if self.train_steps is None else f"{self.train_steps:,} steps"

    @property
    def length_flag(self) -> str:
        """The flag that changes that length, with its present value."""
        if self.train_minutes is not None:
            return f"--train-minutes, now {self.train_minutes:g}"
        if self.train_steps is not None:
            return f"--train-steps, now {self.train_steps}"
        return f"--recipe.epochs, now {self.recipe.epochs}"

    @property
    def costs(self) -> list[MeasuredCost]:
        """The costs to measure besides latency: those with a limit or a weight."""
        return [cost for cost in get_args(MeasuredCost) if cost in {**self.limits, **self.weights}]


# ----
# Compatibility of predictors and searchers: gradient-based searchers need differentiable predictors.


def search_costs(
    objective: ObjectiveConfig, predictors: Mapping[str, Predictor], searcher: type[Searcher]
) -> dict[str, Cost]:
    """The costs of a search, from the predictor of each cost; raises as `search`."""
    for cost, each in predictors.items():
        if cost in objective.asked:
            require_usable(type(each), searcher, cost_word(cost))
    return {
        cost: Cost(each.cost if each.differentiable else _without_gradient(each), each.median)
        for cost, each in predictors.items()
        if each.differentiable or not searcher.differentiable
    }


def require_usable(predictor: type[Predictor], searcher: type[Searcher], what: str) -> None:
    """Check that a searcher can use a predictor's cost.

    Raises:
        UsageError: the searcher is gradient-based, and the predictor is not differentiable.
    """
    if searcher.differentiable and not predictor.differentiable:
        raise UsageError(
            f"predictor {predictor.name} is not differentiable, and searcher {searcher.name} is gradient-based: "
            f"choose another of them to search with {what}"
        )


def _without_gradient(predictor: Predictor) -> CostFunction:
    return lambda codes: torch.from_numpy(predictor.predict(codes.float().numpy()).mean)


@dataclass(frozen=True)
class Facts:
    """The content of `run.json` besides the config: the command that repeats the run, and its initial state.

    Attributes:
        command: the command line.
        created: date and time (UTC, ISO 8601).
        versions: versions of chronas and of the packages that results depend on.
        device: the device's fingerprint.
        config: the config as JSON.
        reused: SHA-256 of the warm-start file copied from another run; None without one.
        sources: import paths of the classes of a user's own objects, by kind.
        teacher: checksum of the teacher; None without one.
        init: SHA-256 of the file of weights that it begins with; None without one.
    """

    command: str
    created: str
    versions: dict[str, str]
    device: dict[str, str | int | float]
    config: dict[str, Any]
    reused: str | None = None
    sources: dict[str, str] = field(default_factory=dict)
    teacher: str | None = None
    init: str | None = None

    @property
    def int8(self) -> bool:
        """Whether the device computes in int8, so that trained networks are quantised on their own images."""
        return self.device.get("dtype") == "int8"

    @property
    def batch(self) -> int:
        """The number of images in one run of the device."""
        return int(self.device.get("batch", 1))


def require_registered(folder: Path, facts: Facts, parts: RunParts) -> None:
    """Check that all things that a run has by name are known here.

    Raises:
        NotRegisteredError: the run has a user's own objects that are neither given nor registered.
    """
    for kind, registry in REGISTRIES.items():
        name, source = facts.config.get(kind), facts.sources.get(kind)
        if getattr(parts, kind) is None and name not in registry and name != OfflineDevice.name:
            made = "" if source is None else f" (class {source})"
            raise NotRegisteredError(
                f"{folder} was made with {kind} {name!r}{made}, which is not registered here: "
                f"give it as `{kind}=`, call `chronas.register` first, or install the package with its entry "
                f"point in {registry.group}"
            )


@dataclass(frozen=True)
class DataFacts:
    """A data set without its images: name, shape [C, H, W], classes, and numbers of images.

    Attributes:
        given: checksums of images that were given as an object; empty if the name identifies them.
        validation: number of images of the data's own validation split; 0 without one.
        notes: sentences about how the data was read.
    """

    name: str
    shape: tuple[int, int, int]
    classes: int
    train: int
    test: int
    given: str = ""
    validation: int = 0
    notes: tuple[str, ...] = ()


def versions() -> dict[str, str]:
    """Versions of chronas, Python and the packages that results depend on; also chronas's git commit, if known."""
    found = {"chronas": __version__, "python": platform.python_version()}
    found |= {package: version(package) for package in PACKAGES}
    commit = _git_commit(Path(__file__))
    return found | ({"commit": commit} if commit else {})


def _git_commit(file: Path) -> str | None:
    """The commit of the checkout that tracks `file`; None if it was installed from a package."""
    git = ["git", "-C", str(file.parent)]
    try:
        tracked = subprocess.run([*git, "ls-files", "--error-unmatch", file.name], capture_output=True, check=False)
        answer = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=False)
    except OSError:
        return None
    return answer.stdout.strip() if tracked.returncode == answer.returncode == 0 else None


def differences(old: RunConfig, new: RunConfig) -> str:
    """The first three settings that differ, as text."""
    before, after = _flat(old.model_dump(mode="json")), _flat(new.model_dump(mode="json"))
    changed = [key for key in sorted(before.keys() | after.keys()) if before.get(key) != after.get(key)]
    shown = [f"{key} {before.get(key)} -> {after.get(key)}" for key in changed[:3]]
    return ", ".join(shown) + (f" and {len(changed) - 3} more" if len(changed) > 3 else "")


def _flat(content: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in content.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat
