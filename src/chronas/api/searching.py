"""Search of a space by any searcher, on images or with a user's own evaluator."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import torch
from pydantic import BaseModel
from torch import Tensor, nn
from torch.utils.data import Dataset as TorchDataset

from chronas.api.objects import changed, load_data, shown_progress
from chronas.arguments import checked
from chronas.data import Dataset
from chronas.errors import OutOfReachError, UsageError
from chronas.predictors import Predictor
from chronas.progress import Displayed, Progress
from chronas.records import Trial
from chronas.runs import initial_of_space, search_costs, searcher_settings
from chronas.search import (
    EVALUATORS,
    Cost,
    CostFunction,
    ObjectiveConfig,
    ScoreFunction,
    Searcher,
    SearchImages,
    SearchResult,
    Task,
    find_front,
    make_searcher,
    searcher_class,
)
from chronas.spaces import NetworkSize, Space, make_space
from chronas.tables import to_pandas
from chronas.units import LATENCY

if TYPE_CHECKING:
    import pandas

PROBES = 256  # random architectures whose costs give the median of a cost function
AnyCost = Predictor | Cost | CostFunction | nn.Module


@dataclass(frozen=True, eq=False)
class Found(Displayed):
    """The result of a search.

    Attributes:
        result: candidates, history and scores.
        task: the task of the search.
        searcher: the searcher.
    """

    result: SearchResult
    task: Task
    searcher: Searcher

    @property
    def best(self) -> Trial:
        """The best architecture within the limits.

        Raises:
            OutOfReachError: no architecture is predicted within the limits.
        """
        return next(self.candidates())

    def candidates(self, limits: Mapping[str, float] | None = None) -> Iterator[Trial]:
        """Architectures within limits, by default those of the search, best first."""
        return self.result.candidates(self.task.objective.limits if limits is None else limits)

    def front(self, cost: str = LATENCY, count: int = 8, *, progress: bool | Progress = False) -> list[Trial]:
        """At most `count` architectures from cheap to accurate; a searcher may search further for it."""
        with shown_progress(progress) as shown:
            return find_front(self.result, self.task, cost, count, shown)

    @property
    def history(self) -> pl.DataFrame:
        """A row for each epoch or architecture: accuracy, losses, expected costs; nested values are left out."""
        rows = [{k: v for k, v in row.items() if not isinstance(v, list | dict)} for row in self.result.history]
        return pl.DataFrame(rows, infer_schema_length=None)

    def to_pandas(self) -> pandas.DataFrame:
        """The history as a pandas frame."""
        return to_pandas(self.history)

    def __repr__(self) -> str:
        try:
            best: object = self.best
        except OutOfReachError as error:
            best = error
        return f"Found({self.searcher.name} in {self.task.space.name}: {best})"


@checked
def search(
    space: str | Space,
    data: Dataset | str | Path | TorchDataset[Any] | None = None,
    *,
    size: NetworkSize | None = None,
    evaluate: ScoreFunction | str | None = None,
    costs: Mapping[str, AnyCost] | None = None,
    limits: Mapping[str, float] | None = None,
    weights: Mapping[str, float] | None = None,
    searcher: str | Searcher | type[Searcher] = "bayesian",
    config: BaseModel | None = None,
    preset: str | None = None,
    validation_share: float = 0.5,
    seed: int = 0,
    folder: str | Path | None = None,
    keep_scores: bool = False,
    init: str | Path | None = None,
    progress: bool | Progress = True,
    **settings: Any,
) -> Found:
    """Search a space for architectures that score high within limits on their costs.

    Args:
        space: a space, by name or object.
        data: images for training and validation; None if only `evaluate` is used.
        size: size of the networks; None: the first of the space's published sizes, for the data.
        evaluate: scores architectures: a function of a list of them, or a name in `chronas.search.EVALUATORS`; None:
            the searcher's own evaluation.
        costs: name, such as "latency_ms" -> a fitted predictor, or a function or module from encodings (batch, size) to
            costs (batch,). For a gradient-based searcher, a user's own function must be differentiable.
        limits: upper limits, by name of the cost, in its unit.
        weights: weights of costs against accuracy, by name of the cost.
        searcher: a searcher, by name, class or object.
        config: config of the searcher; None: its defaults, or those of `preset`.
        preset: a name in `chronas.runs.PRESETS`, whose settings for the searcher are used.
        validation_share: share of the training images for comparing architectures.
        seed: seed of everything random.
        folder: folder for the state of the search, so that the same call resumes it; None: a temporary folder.
        keep_scores: whether to go on with the scores in `folder` though `evaluate` has changed since.
        init: trained weights that the supernet begins with, for the searcher `elastic`: a .safetensors, .pth or .pt
            file.
        progress: whether to show progress, or a function to call.
        settings: fields of the searcher's config, such as `epochs=20`.

    Raises:
        UsageError: there is neither data nor evaluator, or settings do not fit together.
        OutOfReachError: no architecture is predicted within the limits.
        DivergedError: a loss is not finite.
    """
    if data is None and evaluate is None:
        raise UsageError("a search needs images, `data=`, or a function that scores networks, `evaluate=`")
    searched = make_space(space)
    chosen = _searcher(searcher, config, preset, settings)
    objective = changed(ObjectiveConfig(), {"weights": dict(weights or {}), "limits": dict(limits or {})})
    priced = _costs(costs or {}, objective, searched, chosen)
    published = next(iter(searched.sizes.values()))
    dataset = None if data is None else load_data(data, progress=progress)
    built = size or (published if dataset is None else published.for_data(dataset.shape, dataset.classes))
    initial = None if init is None else initial_of_space(init, searched, built, seed=seed)
    kept = Path(tempfile.mkdtemp(prefix="chronas-") if folder is None else folder)
    task = Task(
        space=searched,
        size=built,
        folder=kept,
        images=None if dataset is None else SearchImages.of(dataset.train, validation_share, seed),
        costs=priced,
        objective=objective,
        seed=seed,
        evaluate=EVALUATORS[evaluate] if isinstance(evaluate, str) else evaluate,
        keep_scores=keep_scores,
        init=None if initial is None else initial.given,
    )
    if folder is None:  # it lasts as long as the task, which the answer holds
        weakref.finalize(task, shutil.rmtree, kept, ignore_errors=True)
    with shown_progress(progress) as shown:
        if initial is not None:
            shown("init", 1, 1, initial.words)
        return Found(chosen.search(task, shown), task, chosen)


def _searcher(
    searcher: str | Searcher | type[Searcher], config: BaseModel | None, preset: str | None, settings: dict[str, Any]
) -> Searcher:
    """The searcher with a config, a preset's settings or its defaults, with single settings changed."""
    if isinstance(searcher, Searcher):
        if config is not None or preset is not None or settings:
            raise UsageError("a searcher that is given as an object has its settings: give its name or class instead")
        return searcher
    kind = searcher_class(searcher) if isinstance(searcher, str) else searcher
    base = config or (searcher_settings(preset, kind) if preset is not None else kind.Config())
    made = changed(base, settings)
    return make_searcher(searcher, made) if isinstance(searcher, str) else kind(made)  # type: ignore[arg-type]


def _costs(
    costs: Mapping[str, AnyCost], objective: ObjectiveConfig, space: Space, searcher: Searcher
) -> dict[str, Cost]:
    predictors = {name: each for name, each in costs.items() if isinstance(each, Predictor)}
    found = search_costs(objective, predictors, type(searcher))
    codes = torch.from_numpy(space.encode(space.sample(min(PROBES, space.cardinality), seed=0)))
    for name, each in costs.items():
        if isinstance(each, Cost):
            found[name] = each
        elif not isinstance(each, Predictor):
            found[name] = _cost_of(each, codes, name)
    return found


def _cost_of(function: Callable[[Tensor], Tensor], codes: Tensor, name: str) -> Cost:
    with torch.no_grad():
        values = function(codes)
    if not isinstance(values, Tensor) or values.shape != (len(codes),):
        got = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
        raise UsageError(f"the cost {name} should give one number for each of {len(codes)} encodings, got {got}")
    return Cost(function, float(np.median(values.numpy())))
