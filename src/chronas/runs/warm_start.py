"""What a run takes along from another one to search with what that has learnt, for another device.

It lies in `reused/`, which is a run folder in small: the config, the table, the predictors, the trained supernet or the
journal of trained networks, and the network that was found. So the new run needs nothing outside its own folder, and
the other stays as it is.
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
from chronas.training import BEST

if TYPE_CHECKING:
    from chronas.runs.run import Run

REUSED = "reused"
NETWORK = ("choice.json", "architecture.json", "result.json", f"training/{BEST}")
BESIDE = ("run.json", "data.json", "costs.parquet", "timings.json")
FIELDS = (  # of a config, which a run that reuses another cannot change: they decide what the search has learnt
    "space",
    "searcher",
    "data",
    "data_limit",
    "search_images",
    "search_validation_share",
    "validation_share",
    "seed",
    "size",
    "recipe",
)


def warm_start_file_of(run: Run) -> Path:
    """The file of what a run's own search has learnt: a supernet's checkpoint, or a journal of trained networks.

    Raises:
        UsageError: its searcher leaves nothing, or the search is not finished.
    """
    left = type(run.searcher).warm_start
    if left is None:
        able = ", ".join(name for name in SEARCHERS if searcher_class(name).warm_start is not None)
        raise UsageError(
            f"{run.folder} was searched by {run.config.searcher}, which leaves nothing that another search can begin "
            f"with: reuse a run of {able}"
        )
    path = run.folder / "search" / run.role / left.file
    if not path.exists() or not (run.folder / "networks" / run.role / "choice.json").exists():
        raise UsageError(
            f"{run.folder} has found no network yet, so there is nothing to compare with: finish it first with "
            f"`chronas run --resume {run.folder}`"
        )
    return path


def config_again(
    source: Run, device: str, device_config: BaseModel, predictor: str, predictor_config: BaseModel
) -> RunConfig:
    """The settings of a run with what the run `source` has learnt, for another device.

    What decides what was learnt stays, weights of costs too, as they are relative to each device's median.
    Limits go, as they are of the other device; the search is the searcher's shorter one, once; comparisons are off.
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
        }
    )


def require_again(source: Run, config: RunConfig) -> None:
    """Hold that a config searches with what a run has learnt for another device.

    Raises:
        UsageError: the device has no part in the search, is the same, or what is learnt is another.
    """
    changed = [name for name in FIELDS if getattr(config, name) != getattr(source.config, name)]
    if changed:
        raise UsageError(f"a run that reuses {source.folder} has its {', '.join(changed)}: leave that out")
    if not config.objective.asked and config.front is None:
        raise UsageError(
            "without a limit, a weight or a front the device has no part in the search: give --limit-ms, "
            "--latency-weight, those of another cost, or --front"
        )
    if (config.device, config.device_config) == (source.config.device, source.config.device_config):
        raise UsageError(
            f"{source.folder} was searched for this very device already: give another --device, or other settings of it"
        )


def take_along(source: Run, folder: Path) -> str:
    """Copy what is needed of a run into `folder/reused`; the SHA-256 of what was learnt.

    Raises:
        UsageError: as `warm_start_file_of`.
        DataError: the disk is full or the folder cannot be written.
    """
    learnt = warm_start_file_of(source)
    role = Path("networks", source.role)
    wanted = [*BESIDE, *(str(role / name) for name in NETWORK), str(learnt.relative_to(source.folder))]
    wanted += [str(path.relative_to(source.folder)) for path in (source.folder / "predictor").rglob("*.safetensors")]
    try:
        for name in wanted:
            if (source.folder / name).exists():
                (folder / REUSED / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source.folder / name, folder / REUSED / name)
    except OSError as error:
        raise DataError(f"cannot copy {source.folder} to {folder / REUSED}: {error.strerror}") from error
    return sha256(learnt)
