"""Copies of another run's trained supernet or networks, as a warm start for a run on another device.

The copy is in `reused/`, a small run folder: the config, the table, the predictors, the trained supernet or the journal
of trained networks, and the found network. So the new run needs nothing outside of its own folder, and the other run is
not changed.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel

from chronas.errors import DataError, UsageError
from chronas.files import sha256
from chronas.runs.config import RunConfig
from chronas.search import SEARCHERS, SearcherConfig, searcher_class
from chronas.tables import CostTable
from chronas.training import BEST

if TYPE_CHECKING:
    from chronas.runs.run import Run

REUSED = "reused"
NETWORK = ("choice.json", "architecture.json", "result.json", f"training/{BEST}")
SIZE = "size.json"  # the chosen size, which the weights belong to
BESIDE = ("run.json", "data.json", "costs.parquet", "timings.json")
FITTED = ("predictor.safetensors", "report.json")
FIELDS = (  # fields of a config that a run with a warm start cannot change, because the trained weights depend on them
    "space",
    "searcher",
    "data",
    "data_limit",
    "image_size",
    "search_images",
    "search_validation_share",
    "validation_share",
    "seed",
    "size",
    "fit_size",
    "recipe",
    "train_steps",
    "train_minutes",
    "teacher",
    "init",
)


def warm_start_file_of(run: Run) -> Path:
    """The file for warm starts from a run's own search: a supernet's checkpoint, or a journal of trained networks.

    Raises:
        UsageError: its searcher has no such file, or the search is not finished.
    """
    left = type(run.searcher).warm_start
    if left is None:
        able = ", ".join(name for name in SEARCHERS if searcher_class(name).warm_start is not None)
        raise UsageError(
            f"{run.folder} was searched by {run.config.searcher}, which does not support a warm start of another "
            f"search: reuse a run of {able}"
        )
    path = run.folder / "search" / run.role / left.file
    if not path.exists() or not (run.folder / "networks" / run.role / "choice.json").exists():
        raise UsageError(
            f"{run.folder} has found no network yet, so there is nothing to compare with: finish it first with "
            f"`chronas resume {run.folder}`"
        )
    return path


def config_again(
    source: Run, device: str, device_config: BaseModel, predictor: str, predictor_config: BaseModel
) -> RunConfig:
    """The settings for a run on another device with a warm start from the run `source`.

    Settings that the trained weights depend on stay, and so do weights of costs, which are relative to each device's
    median. Limits are removed, because they belong to the other device. The searcher gets its settings for a warm
    start; comparisons are off.
    """
    searcher_config = source.config.searcher_config
    assert isinstance(searcher_config, SearcherConfig)
    return source.config.model_copy(
        update={
            "device": device,
            "device_config": device_config,
            "predictor": predictor,
            "predictor_config": predictor_config,
            "searcher_config": searcher_config if source.reused is not None else searcher_config.for_warm_start(),
            "limit_ms": None,
            "limit_energy_mj": None,
            "limit_peak_memory_mib": None,
            "baseline": False,
            "by_hand": False,
        }
    )


def require_again(source: Run, config: RunConfig) -> None:
    """Check that a config can search for another device with the trained weights of a run.

    Raises:
        UsageError: the device has no part in the search, is the same, or the settings do not fit the trained weights.
    """
    changed = [name for name in FIELDS if getattr(config, name) != getattr(source.config, name)]
    if changed:
        raise UsageError(f"a run that reuses {source.folder} has its {', '.join(changed)}: leave that out")
    if not config.objective.asked and config.front is None:
        raise UsageError(
            "without a limit, a weight or a front the device has no part in the search: give --limit-ms, "
            "--latency-weight, those of another cost, or --front"
        )
    same = (config.device, config.device_config) == (source.config.device, source.config.device_config)
    if same and not type(source.searcher).gives_weights:
        raise UsageError(
            f"{source.folder} was searched for this very device already: give another --device, or other settings of it"
        )


def same_predictor(source: Run, config: RunConfig, table: CostTable | None) -> bool:
    """Whether a run with this config and table would fit the predictor that the source has fitted."""
    fields = ("device", "device_config", "predictor", "predictor_config", "seed")
    known = source.folder / "costs.parquet"
    return (
        table is not None
        and known.exists()
        and all(getattr(config, name) == getattr(source.config, name) for name in fields)
        and table.frame.equals(CostTable.load(known, source.space).frame)
    )


def take_along(source: Run, folder: Path, *, predictor: bool = False) -> str:
    """Copy the needed files of a run into `folder/reused`; returns the SHA-256 of the warm-start file.

    Args:
        source: the run.
        folder: the new run's folder.
        predictor: whether the new run also takes the fitted predictors as its own.

    Raises:
        UsageError: as `warm_start_file_of`.
        DataError: the disk is full or the folder cannot be written.
    """
    warm_start = warm_start_file_of(source)
    role = Path("networks", source.role)
    wanted = [*BESIDE, *(str(role / name) for name in NETWORK), str(warm_start.relative_to(source.folder))]
    wanted += [str(path.relative_to(source.folder)) for path in (source.folder / "predictor").rglob("*.safetensors")]
    own = [SIZE]
    if predictor:
        files = [path for name in FITTED for path in (source.folder / "predictor").rglob(name)]
        own += [str(path.relative_to(source.folder)) for path in files]
    places = [(name, folder / REUSED / name) for name in (*wanted, SIZE)] + [(name, folder / name) for name in own]
    try:
        for name, place in places:
            if (source.folder / name).exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source.folder / name, place)
    except OSError as error:
        raise DataError(f"cannot copy {source.folder} to {folder / REUSED}: {error.strerror}") from error
    return sha256(warm_start)
