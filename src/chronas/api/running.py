"""The whole loop in one folder, on names or on objects of a user's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn
from torch.utils.data import Dataset as TorchDataset

from chronas.api.objects import changed, load_data, shown_progress
from chronas.arguments import checked
from chronas.data import Dataset
from chronas.devices import Device
from chronas.predictors import Predictor
from chronas.progress import Displayed, Progress
from chronas.records import TrainedNetwork
from chronas.runs import (
    Run,
    RunParts,
    execute,
    implied,
    limits_alone,
    make_preset,
    preset_for,
    searcher_settings,
)
from chronas.search import ScoreFunction, Searcher
from chronas.spaces import Space
from chronas.tables import CostTable
from chronas.training import Recipe, recipe_for


@dataclass(frozen=True, eq=False)
class FinishedRun(Displayed):
    """A finished run: its result, and the folder with everything.

    Attributes:
        run: folder and config of the run.
        verdict: the result in a sentence.
        met: whether the limits are met; None without limits.
        networks: all trained networks, the run's own first.
    """

    run: Run
    verdict: str
    met: bool | None
    networks: list[TrainedNetwork]

    @property
    def folder(self) -> Path:
        """The run's folder: `model.onnx`, `model.py`, `report.html`, tables and checkpoints."""
        return self.run.folder

    def __repr__(self) -> str:
        return f"{self.verdict} Report: {self.folder / 'report.html'}"


@checked
def run(
    data: Dataset | str | Path | TorchDataset[Any] | None = None,
    out: str | Path = "runs/mine",
    *,
    preset: str | None = None,
    space: str | Space | None = None,
    device: str | Device | None = None,
    searcher: str | Searcher | type[Searcher] | None = None,
    predictor: str | type[Predictor] | None = None,
    evaluate: ScoreFunction | None = None,
    teacher: str | Path | nn.Module | None = None,
    init: str | Path | None = None,
    table: CostTable | None = None,
    progress: bool | Progress = True,
    **settings: Any,
) -> FinishedRun:
    """The whole loop in one folder: measure, fit, search, train, export, measure again, report; resumable.

    Args:
        data: the images; None: those of the preset.
        out: the run's folder; the same call resumes a stopped run.
        preset: name of the preset with the initial settings; None: `photos-cpu` for your own data, else `digits-cpu`.
        space: a space, by name or object; None: that of the preset, also for the next three.
        device: a device, by name or object.
        searcher: a searcher, by name, object or class.
        predictor: a predictor, by name or class.
        evaluate: scores architectures, instead of training by the searcher.
        teacher: a trained network that the final trainings learn from too: a file as for `chronas train --teacher`, or
            a module.
        init: trained weights to begin with: a .safetensors, .pth or .pt file, as for `chronas run --init`.
        table: costs to use instead of measuring.
        progress: whether to show progress, or a function to call.
        settings: other fields of `chronas.runs.RunConfig`, such as `limit_ms=12`, `networks=100`. Without `recipe`, few
            images of your own are trained by the recipe `photos`, more by that of the preset.

    Raises:
        LimitMissedError: no network keeps the limits when it is measured; the report is written anyway.
        UsageError: settings do not fit together, or the folder has another run.
    """
    preset = preset or preset_for(data)
    parts, names, configs = _parts(space, device, searcher, predictor, data, evaluate, preset)
    if teacher is not None:
        own = teacher if isinstance(teacher, nn.Module) else None
        parts, configs["teacher"] = replace(parts, teacher=own), str(teacher) if own is None else type(own).__name__
    base = make_preset(preset, names)
    also = {"epochs"} if "recipe" in settings else set()
    settings |= implied({*settings, *also, *(() if init is None else ("init",))})
    if isinstance(space, Space) and base.size.stem not in space.topology.stems:
        shape = {"depth": space.topology.small_depth, "stem": space.topology.stems[0]}
        base = base.model_copy(update={"size": base.size.model_copy(update=shape)})
    if init is not None:
        configs["init"] = str(init)
    config = changed(base, {**configs, **limits_alone(settings)})
    recipe_of = None if "recipe" in settings else _recipe_of(config.recipe)
    begun = Run.create(Path(out), config, command="chronas.run(...)", table=table, parts=parts, recipe_of=recipe_of)
    with shown_progress(progress) as shown:
        if begun.initial is not None:
            shown("init", 1, 1, begun.initial.words)
        report = execute(begun, shown)
    return FinishedRun(begun, report.verdict.text, report.verdict.met, report.networks)


def _recipe_of(usual: Recipe) -> Callable[[str, int], Recipe]:
    return lambda data, images: recipe_for("auto", data, images, usual)


def _parts(
    space: str | Space | None,
    device: str | Device | None,
    searcher: str | Searcher | type[Searcher] | None,
    predictor: str | type[Predictor] | None,
    data: Dataset | str | Path | TorchDataset[Any] | None,
    evaluate: ScoreFunction | None,
    preset: str,
) -> tuple[RunParts, dict[str, str], dict[str, Any]]:
    """The user's objects of a run, the names for the preset, and the names for its config."""
    given = {"space": space, "device": device, "predictor": predictor, "searcher": searcher}
    names = {kind: each for kind, each in given.items() if isinstance(each, str)}
    configs: dict[str, Any] = {}
    parts = RunParts(evaluate=evaluate)
    if isinstance(space, Space):
        parts, configs["space"] = replace(parts, space=space), space.name
    if isinstance(device, Device):
        parts = replace(parts, device=device)
        configs |= {"device": device.name, "device_config": device.config}
    if searcher is not None and not isinstance(searcher, str):
        made = searcher if isinstance(searcher, Searcher) else searcher(searcher_settings(preset, searcher))
        parts = replace(parts, searcher=made)
        configs |= {"searcher": made.name, "searcher_config": made.config}
    if predictor is not None and not isinstance(predictor, str):
        parts = replace(parts, predictor=predictor)
        configs |= {"predictor": predictor.name, "predictor_config": predictor.Config()}
    if isinstance(data, str | Path):
        configs["data"] = str(data)
    elif data is not None:
        loaded = load_data(data, progress=False)
        parts, configs["data"] = replace(parts, data=loaded), loaded.name
    return parts, names, configs
