"""The config of a run: one frozen object with the configs of all its parts, and its JSON form.

Names (space, device, searcher, predictor) choose the classes; their own configs are in fields of the same name with
`_config`. `RunConfig.from_json` reads the names first, because they determine the classes of the other configs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, Field, SerializeAsAny, ValidationError

from chronas.data import Dataset
from chronas.devices import Device, device_class
from chronas.errors import DataError
from chronas.measurement import Plan
from chronas.predictors import Predictor, predictor_class
from chronas.runs.settings import RunSettings
from chronas.search import ObjectiveConfig, RerankConfig, ScoreFunction, Searcher, searcher_class
from chronas.spaces import NetworkScale, Space
from chronas.training import Recipe
from chronas.units import MeasuredCost


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
    """

    space: Space | None = None
    device: Device | None = None
    searcher: Searcher | None = None
    predictor: type[Predictor] | None = None
    data: Dataset | None = None
    evaluate: ScoreFunction | None = None


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
            raise DataError(f"the run's config is not one of this version of chronas: {first_line(error)}") from error

    @property
    def objective(self) -> ObjectiveConfig:
        """The objective of the search."""
        return ObjectiveConfig(weights=self.weights, limits=self.limits)

    @property
    def costs(self) -> list[MeasuredCost]:
        """The costs to measure besides latency: those with a limit or a weight."""
        return [cost for cost in get_args(MeasuredCost) if cost in {**self.limits, **self.weights}]


def first_line(error: Exception) -> str:
    """A pydantic or key error in one line: field and reason."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return str(error)
