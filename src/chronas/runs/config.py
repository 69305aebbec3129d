"""What a run is asked to do: one frozen config that holds the configs of all its parts, and its JSON form.

Names (space, device, searcher, predictor) choose the classes; their own configs sit beside them in fields of the same
name with `_config`. `RunConfig.from_json` reads the names first and so knows which classes to read the rest with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny, ValidationError

from chronas.data import Dataset
from chronas.devices import Device, device_class
from chronas.errors import DataError
from chronas.measurement import Cost, Plan
from chronas.predictors import Predictor, predictor_class
from chronas.search import ObjectiveConfig, RerankConfig, ScoreFunction, Searcher, searcher_class
from chronas.spaces import NetworkScale, Space
from chronas.training import Recipe

DEFAULT_SEARCHER = "bayesian"  # found the best networks on NAS-Bench-201: results/truth-nasbench201.md
LIMITS = {"latency_ms": "limit_ms", "energy_mj": "limit_energy_mj", "peak_memory_mib": "limit_peak_memory_mib"}
WEIGHTS = {"latency_ms": "latency_weight", "energy_mj": "energy_weight", "peak_memory_mib": "peak_memory_weight"}


@dataclass(frozen=True, eq=False)
class RunParts:
    """Objects of the user's own in place of names of a run's config, which then has their names; None: by the name.

    Attributes:
        space: what can be chosen.
        device: what is measured.
        searcher: with its config.
        predictor: the class of what learns costs, or an unfitted one.
        data: training and test images.
        evaluate: says how good architectures are, in place of what the searcher does.
    """

    space: Space | None = None
    device: Device | None = None
    searcher: Searcher | None = None
    predictor: type[Predictor] | None = None
    data: Dataset | None = None
    evaluate: ScoreFunction | None = None


class RunConfig(BaseModel):
    """Everything that decides what a run does; two runs with equal configs on one machine do the same."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    space: str = Field(default="darts", description="search space")
    device: str = Field(default="onnxruntime-cpu", description="device that is measured and searched for")
    searcher: str = Field(default=DEFAULT_SEARCHER, description="search algorithm")
    predictor: str = Field(default="lpm", description="latency predictor; must be differentiable for gradient search")
    data: str = Field(default="digits", description="digits, cifar10, cifar100, a folder or an .npz file")
    data_limit: int | None = Field(default=None, ge=20, description="use so many training images only (stratified)")
    search_images: int | None = Field(
        default=None, ge=20, description="training images that the search uses; all but those for checkpoints"
    )
    search_validation_share: float = Field(
        default=0.5,
        gt=0,
        lt=0.9,
        description="share of those that architectures are judged by, not trained on",
    )
    validation_share: float = Field(
        default=0.1, gt=0, lt=0.9, description="share of the training images kept for choosing checkpoints"
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
        description="weight of (latency / median latency of the space) beside the task's loss; searches by samples "
        "count it beside the share of wrong images",
    )
    energy_weight: float = Field(default=0.0, ge=0, description="the same of energy, which is then measured too")
    peak_memory_weight: float = Field(
        default=0.0, ge=0, description="the same of peak memory, which is then measured too"
    )
    rerank: RerankConfig = Field(default=RerankConfig())
    front: int | None = Field(
        default=None, ge=2, le=64, description="find so many networks from fast to accurate too, in the same search"
    )
    baseline: bool = Field(
        default=False,
        description="compare: search without latency, a random network of equal cost, random search in equal time",
    )
    seed: int = Field(default=0, ge=0, description="everything random follows from it")
    threads: int = Field(
        default=1, ge=1, le=1024, description="CPU threads of search and training; other sums, so other last digits"
    )
    size: NetworkScale = Field(default=NetworkScale())
    plan: Plan = Field(default=Plan())
    recipe: Recipe = Field(default=Recipe())
    device_config: SerializeAsAny[BaseModel]
    searcher_config: SerializeAsAny[BaseModel]
    predictor_config: SerializeAsAny[BaseModel]

    @classmethod
    def from_json(cls, content: dict[str, Any], parts: RunParts | None = None) -> RunConfig:
        """The config that `model_dump(mode="json")` gave.

        Args:
            content: the JSON object.
            parts: objects of the user's own that stand behind names of it.

        Raises:
            DataError: a field is missing, unknown or out of its range.
            UsageError: a name that this version of chronas does not have.
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
            raise DataError(f"the run's config is not one of this version of chronas: {first_line(error)}") from error

    @property
    def objective(self) -> ObjectiveConfig:
        """What the search descends on."""
        return ObjectiveConfig(weights=self.weights, limits=self.limits)

    @property
    def limits(self) -> dict[str, float]:
        """What the found network must not exceed, by cost, in its unit."""
        asked = {cost: getattr(self, field) for cost, field in LIMITS.items()}
        return {cost: limit for cost, limit in asked.items() if limit is not None}

    @property
    def weights(self) -> dict[str, float]:
        """The weights above zero, by cost."""
        asked = {cost: getattr(self, field) for cost, field in WEIGHTS.items()}
        return {cost: weight for cost, weight in asked.items() if weight > 0}

    @property
    def costs(self) -> list[Cost]:
        """What is measured beside the latency: the costs with a limit or a weight."""
        return [cost for cost in get_args(Cost) if cost in {**self.limits, **self.weights}]


def first_line(error: Exception) -> str:
    """What a pydantic or key error says, on one line: field and reason."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return str(error)
