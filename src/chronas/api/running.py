"""A whole run in one folder, by name or with a user's own objects."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch.utils.data import Dataset as TorchDataset

from chronas.api.objects import load_data, shown_progress
from chronas.data import Dataset
from chronas.devices import Device
from chronas.display import Displayed
from chronas.predictors import Predictor
from chronas.progress import Progress
from chronas.records import TrainedNetwork
from chronas.runs import Run, RunConfig, RunParts, execute, make_preset, searcher_settings
from chronas.search import ScoreFunction, Searcher
from chronas.spaces import Space
from chronas.tables import CostTable


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


def run(
    data: Dataset | str | TorchDataset[Any] | None = None,
    out: str | Path = "runs/mine",
    *,
    preset: str = "digits-cpu",
    space: str | Space | None = None,
    device: str | Device | None = None,
    searcher: str | Searcher | type[Searcher] | None = None,
    predictor: str | type[Predictor] | None = None,
    evaluate: ScoreFunction | None = None,
    table: CostTable | None = None,
    progress: bool | Progress = True,
    **settings: Any,
) -> FinishedRun:
    """The whole loop in one folder: measure, fit, search, train, export, measure again, report; resumable.

    Args:
        data: the images; None: those of the preset.
        out: the run's folder; the same call resumes a stopped run.
        preset: name of the preset with the initial settings.
        space: a space, by name or object; None: that of the preset, also for the next three.
        device: a device, by name or object.
        searcher: a searcher, by name, object or class.
        predictor: a predictor, by name or class.
        evaluate: scores architectures, instead of training by the searcher.
        table: costs to use instead of measuring.
        progress: whether to show progress, or a function to call.
        settings: other fields of `chronas.runs.RunConfig`, such as `limit_ms=12`, `networks=100`.

    Raises:
        LimitMissedError: no network keeps the limits when it is measured; the report is written anyway.
        UsageError: settings do not fit together, or the folder has another run.
    """
    parts, names, configs = _parts(space, device, searcher, predictor, data, evaluate, preset)
    base = make_preset(preset, names)
    limited = any(key.startswith("limit_") for key in settings)
    changes: dict[str, Any] = {**({"latency_weight": 0.0} if limited else {}), **configs, **settings}
    config = RunConfig.model_validate({**{key: getattr(base, key) for key in RunConfig.model_fields}, **changes})
    begun = Run.create(Path(out), config, command="chronas.run(...)", table=table, parts=parts)
    with shown_progress(progress) as shown:
        report = execute(begun, shown)
    return FinishedRun(begun, report.verdict.text, report.verdict.met, report.networks)


def _parts(
    space: str | Space | None,
    device: str | Device | None,
    searcher: str | Searcher | type[Searcher] | None,
    predictor: str | type[Predictor] | None,
    data: Dataset | str | TorchDataset[Any] | None,
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
    if isinstance(data, str):
        configs["data"] = data
    elif data is not None:
        loaded = load_data(data, progress=False)
        parts, configs["data"] = replace(parts, data=loaded), loaded.name
    return parts, names, configs
