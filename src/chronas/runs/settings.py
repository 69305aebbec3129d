"""The single-valued settings of a run, which a command line reads first; importing them does not import torch."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from chronas.training import Budget, TrainMinutes, TrainSteps

LARGEST_WEIGHT = 1e6
DEMO_PRESET = "shapes-cpu"
OWN_DATA_PRESET = "photos-cpu"  # for data that does not come with chronas
DEFAULT_PRESET = "digits-cpu"
DEFAULT_SEARCHER = "bayesian"  # found the best networks on NAS-Bench-201: results/truth-nasbench201.md
LIMITS = {"latency_ms": "limit_ms", "energy_mj": "limit_energy_mj", "peak_memory_mib": "limit_peak_memory_mib"}
WEIGHTS = {"latency_ms": "latency_weight", "energy_mj": "energy_weight", "peak_memory_mib": "peak_memory_weight"}


class TrainingSettings(BaseModel):
    """The settings of a final training, besides its recipe."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    train_steps: TrainSteps = None
    train_minutes: TrainMinutes = None
    teacher: str | None = Field(
        default=None,
        description="a trained network that trainings learn from too: .onnx, .pt2, FILE.py:FUNCTION (makes a module), "
        "or a folder of run, train or export",
    )
    init: str | None = Field(
        default=None,
        description="trained weights to begin with: a .safetensors, .pth or .pt file, by name and shape; a last layer "
        "of other classes is new",
    )

    @model_validator(mode="after")
    def _one_budget(self) -> TrainingSettings:
        if self.train_steps is not None and self.train_minutes is not None:
            raise ValueError("a training takes --train-steps or --train-minutes, not both: leave one out")
        return self

    @property
    def budget(self) -> Budget:
        """The length of a training."""
        return Budget(steps=self.train_steps, minutes=self.train_minutes)


class RunSettings(TrainingSettings):
    """The settings of a run, without the configs of its parts."""

    space: str = Field(default="darts", description="search space")
    device: str = Field(default="onnxruntime-cpu", description="device to measure and to search for")
    searcher: str = Field(default=DEFAULT_SEARCHER, description="search algorithm")
    predictor: str = Field(default="lpm", description="latency predictor; must be differentiable for gradient search")
    data: str = Field(
        default="digits", description="digits, shapes, cifar10, cifar100, a folder of images, or an .npz file"
    )
    image_size: int | None = Field(
        default=None,
        ge=4,
        le=1024,
        description="pixels of a side: images are scaled to it and the middle square is kept; by default images of one "
        "size stay as they are",
    )
    data_limit: int | None = Field(default=None, ge=20, description="training images to use (stratified)")
    search_images: int | None = Field(
        default=None, ge=20, description="training images that the search uses; all but those for checkpoints"
    )
    search_validation_share: float = Field(
        default=0.5,
        gt=0,
        lt=0.9,
        description="share of those images for comparing architectures, not for training",
    )
    validation_share: float = Field(
        default=0.1, gt=0, lt=0.9, description="share of the training images kept for choosing checkpoints"
    )
    fit_size: bool = Field(
        default=False,
        description="measure a network in some stems, widths and depths first, and take the largest size that fits the "
        "latency limit and --train-minutes, instead of --size",
    )
    retrain: bool = Field(
        default=True,
        description="train the found network further; otherwise, weights of the searcher elastic stay as they are and "
        "batch norms are recalibrated",
    )
    networks: int = Field(default=500, ge=10, description="random architectures that are measured for the predictor")
    limit_ms: float | None = Field(
        default=None, gt=0, description="the found network must not take longer on the device"
    )
    limit_energy_mj: float | None = Field(
        default=None, gt=0, description="the found network must not take more energy for a run; measured too"
    )
    limit_peak_memory_mib: float | None = Field(
        default=None, gt=0, description="the found network must not take more memory; measured too"
    )
    latency_weight: float = Field(
        default=0.0,
        ge=0,
        le=LARGEST_WEIGHT,
        description="weight of (latency / median latency of the space) relative to the task's loss; black-box searches "
        "count it relative to the share of wrong images",
    )
    energy_weight: float = Field(
        default=0.0, ge=0, le=LARGEST_WEIGHT, description="the same for energy, which is then measured too"
    )
    peak_memory_weight: float = Field(
        default=0.0, ge=0, le=LARGEST_WEIGHT, description="the same for peak memory, which is then measured too"
    )
    front: int | None = Field(
        default=None, ge=2, le=64, description="also find this many networks from fast to accurate, in the same search"
    )
    baseline: bool = Field(
        default=False,
        description="compare: search without latency, a random network of equal cost, random search in equal time",
    )
    by_hand: bool = Field(
        default=False, description="compare: five convolutions written by hand, trained as long on the same images"
    )
    seed: int = Field(default=0, ge=0, description="seed of everything random")
    threads: int = Field(
        default=1, ge=1, le=1024, description="CPU threads of search and training; results differ in the last digits"
    )

    @model_validator(mode="after")
    def _size_of_weights(self) -> RunSettings:
        if self.init is not None and self.fit_size:
            raise ValueError("weights to begin with (--init) need networks of their size, so --fit-size cannot choose")
        return self

    @property
    def limits(self) -> dict[str, float]:
        """Upper limits for the found network, by cost, in its unit."""
        asked = {cost: getattr(self, field) for cost, field in LIMITS.items()}
        return {cost: limit for cost, limit in asked.items() if limit is not None}

    @property
    def weights(self) -> dict[str, float]:
        """The weights above zero, by cost."""
        asked = {cost: getattr(self, field) for cost, field in WEIGHTS.items()}
        return {cost: weight for cost, weight in asked.items() if weight > 0}


def implied(given: Collection[str]) -> dict[str, Any]:
    """Settings of a preset that given ones replace, so that no given one is without effect.

    Args:
        given: names of settings; `epochs` for those of the recipe.
    """
    found: dict[str, Any] = {}
    if "train_minutes" not in given and {"train_steps", "epochs"} & set(given):
        found["train_minutes"] = None
    if "fit_size" not in given and {"size", "init"} & set(given):  # weights have a size
        found["fit_size"] = False
    return found


def limits_alone(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Changes of a config; limits or a front among them set the latency weight to zero unless it is given too."""
    limited = {*LIMITS.values(), "front"} & changes.keys()
    return {**({"latency_weight": 0.0} if limited else {}), **changes}
