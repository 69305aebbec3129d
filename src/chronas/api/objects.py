"""Spaces, devices, data and tables by name, file or object, and registration of a user's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ValidationError
from torch.utils.data import Dataset as TorchDataset

from chronas.arguments import checked, path_of
from chronas.data import DATASETS, Dataset, load_dataset
from chronas.devices import DEVICES, Device, device_class, make_device
from chronas.errors import UsageError, reason, unknown_name
from chronas.measurement import SENSORS, Sensor
from chronas.predictors import PREDICTORS, Predictor
from chronas.progress import Progress, progress_display, silent
from chronas.runs import PRESETS
from chronas.search import EVALUATORS, SEARCHERS, Searcher
from chronas.spaces import SPACES, Space, make_space
from chronas.tables import CostTable, table_path
from chronas.training import RECIPES, Recipe

Config = TypeVar("Config", bound=BaseModel)
REGISTRIES = {
    each.kind: each
    for each in (SPACES, DEVICES, PREDICTORS, SEARCHERS, DATASETS, SENSORS, RECIPES, EVALUATORS, PRESETS)
}
BASES: dict[str, type] = {
    "space": Space,
    "device": Device,
    "predictor": Predictor,
    "searcher": Searcher,
    "dataset": Dataset,
    "sensor": Sensor,
    "recipe": Recipe,
}


@checked
def space(name: str | Space) -> Space:
    """A search space by its name.

    Raises:
        UsageError: there is no such space; `chronas.spaces.SPACES` lists them.
    """
    return make_space(name)


@checked
def device(name: str | Device, config: BaseModel | None = None, **settings: Any) -> Device:
    """A device of this machine by its name.

    Args:
        name: a name in `chronas.devices.DEVICES`, such as "onnxruntime-cpu".
        config: config of the device; None: its defaults, with `settings`.
        settings: fields of the config, such as `threads=2`.

    Raises:
        UsageError: there is no such device or setting.
        DeviceError: this machine does not have the device; the message says why.
    """
    if settings and (config is not None or isinstance(name, Device)):
        raise UsageError("settings are for a device's name without a config: give one of them")
    if settings:
        config = changed(device_class(cast("str", name)).Config(), settings)
    return make_device(name, config)


@checked
def load_data(source: str | Path | Dataset | TorchDataset[Any], **options: Any) -> Dataset:
    """A data set by its name, from a folder or file, or from a `torch.utils.data.Dataset`.

    Args:
        source: as for `chronas.data.load_dataset`.
        options: its other arguments: `test`, `test_share`, `limit`, `seed`.
    """
    with shown_progress(options.pop("progress", True)) as shown:
        return load_dataset(source, progress=shown, **options)


@checked
def load_table(path: str | Path, space: Space | None = None) -> CostTable:
    """A table of costs from a Parquet file, or one that comes with chronas, by its name.

    Args:
        path: the file or the name; `chronas table list` shows the names.
        space: of the architectures; needed for a user's own space that is not registered.
    """
    return CostTable.load(table_path(path_of(path)), space)


@checked
def register(thing: object, name: str | None = None, kind: str | None = None) -> None:
    """Make a user's own object available by name, in Python and in the worker processes of this one.

    For the command line, an installed package provides objects by entry points, in groups such as `chronas.spaces`.

    Args:
        thing: a space, a device, a predictor class, a searcher class, a data set, a sensor class, a recipe, an
            evaluator or a preset.
        name: the name; None: the object's own `name`.
        kind: "space", "device", "predictor", "searcher", "dataset", "sensor", "recipe", "evaluator" or "preset"; None:
            determined by its type.

    Raises:
        UsageError: its kind is unknown, it has no name, or a built-in object has that name.
    """
    cls = thing if isinstance(thing, type) else type(thing)
    kind = kind or next((key for key, base in BASES.items() if issubclass(cls, base)), None)
    if kind not in REGISTRIES:
        raise UsageError(f"say what {thing!r} is: `kind=` one of {', '.join(REGISTRIES)}")
    name = name or getattr(thing, "name", None)
    if not isinstance(name, str):
        raise UsageError(f"the {kind} {thing!r} has no name: give one as `name=`")
    REGISTRIES[kind].register(name, thing)


def changed(config: Config, settings: Mapping[str, Any]) -> Config:
    """A config with some fields changed.

    Raises:
        UsageError: there is no such field, or a value does not fit.
    """
    fields = type(config).model_fields
    for name in settings:
        if name not in fields:
            raise unknown_name("setting", name, fields)
    try:
        return type(config).model_validate({**{name: getattr(config, name) for name in fields}, **settings})
    except ValidationError as error:
        raise UsageError(reason(error)) from error


@contextmanager
def shown_progress(progress: bool | Progress) -> Iterator[Progress]:  # noqa: FBT001 - as every verb takes it
    """A display of progress if it is wanted, nothing if not, or the given function."""
    if isinstance(progress, bool):
        if progress:
            with progress_display() as display:
                yield display
        else:
            yield silent
    else:
        yield progress
