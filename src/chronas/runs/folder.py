"""A run is a folder: its config, and what each step left there. Nothing in it is overwritten without being told.

run = Run.create(Path("runs/mine"), config, command="chronas run ...")
run = Run.open(Path("runs/mine"))
"""

from __future__ import annotations

import functools
import platform
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import torch
from filelock import FileLock, Timeout

from chronas import __version__
from chronas.data import Dataset, Images, Normalisation, load_dataset, split
from chronas.devices import Device, make_device
from chronas.errors import UsageError
from chronas.files import read_json, write_json
from chronas.runs.config import RunConfig
from chronas.spaces import Skeleton, Space, make_space

SCHEMA = "chronas.run/1"
DATA_SCHEMA = "chronas.data/1"
TIMINGS_SCHEMA = "chronas.timings/1"
PACKAGES = ("torch", "numpy", "polars", "onnx", "onnxruntime", "scikit-learn")


class Run:
    """A run folder and its config; steps read what steps before them left, and write their own.

    Attributes:
        folder: where everything lies.
        config: what was asked.
        command: the command line that repeats the run.
    """

    def __init__(self, folder: Path, config: RunConfig, command: str) -> None:
        self.folder = folder
        self.config = config
        self.command = command

    @classmethod
    def create(cls, folder: Path, config: RunConfig, *, command: str) -> Run:
        """Begin a run, or go on with the one in `folder` where its config is the same.

        Raises:
            UsageError: the folder holds a run with another config, or files that are no run's.
        """
        if (folder / "run.json").exists():
            run = cls.open(folder)
            if run.config != config:
                changed = _differences(run.config, config)
                raise UsageError(
                    f"{folder} holds a run with other settings ({changed}); choose another --out, or go on with "
                    f"it: chronas run --resume {folder}"
                )
            return run
        if folder.exists() and any(folder.iterdir()):
            raise UsageError(f"{folder} is not empty and holds no run; choose another --out")
        run = cls(folder, config, command)
        content = {
            "command": command,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "versions": versions(),
            "device": run.device.fingerprint(),
            "config": config.model_dump(mode="json"),
        }
        write_json(folder / "run.json", SCHEMA, content)
        return run

    @classmethod
    def open(cls, folder: Path) -> Run:
        """The run in a folder.

        Raises:
            DataError: there is none, or its `run.json` is damaged.
        """
        content = read_json(folder / "run.json", SCHEMA)
        return cls(folder, RunConfig.from_json(content["config"]), content["command"])

    @functools.cached_property
    def space(self) -> Space:
        """The search space."""
        return make_space(self.config.space)

    @functools.cached_property
    def device(self) -> Device:
        """The device that is measured."""
        return make_device(self.config.device, self.config.device_config)

    @functools.cached_property
    def data(self) -> Dataset:
        """The data set, decoded."""
        return load_dataset(self.config.data, limit=self.config.data_limit, seed=self.config.seed)

    @functools.cached_property
    def normalisation(self) -> Normalisation:
        """Mean and standard deviation of the training images' channels."""
        return Normalisation.of(self.data.train)

    @functools.cached_property
    def training_split(self) -> tuple[Images, Images]:
        """Training images: (for gradient steps, for choosing the best checkpoint)."""
        return split(self.data.train, self.config.validation_share, seed=self.config.seed)

    @functools.cached_property
    def search_split(self) -> tuple[Images, Images]:
        """The images for gradient steps, or `search_images` of them, halved: (for the supernet's weights, logits)."""
        images, wanted = self.training_split[0], self.config.search_images
        if wanted is not None and wanted < len(images):
            _, images = split(images, wanted / len(images), seed=self.config.seed + 2)
        return split(images, 0.5, seed=self.config.seed + 1)

    @functools.cached_property
    def data_facts(self) -> dict[str, Any]:
        """Name, shape [C, H, W], classes and image counts of the data; kept in `data.json`, to need no decoding."""
        path = self.folder / "data.json"
        if not path.exists():
            facts = {
                "name": self.data.name,
                "shape": list(self.data.shape),
                "classes": self.data.classes,
                "train": len(self.data.train),
                "test": len(self.data.test),
            }
            write_json(path, DATA_SCHEMA, facts)
        return read_json(path, DATA_SCHEMA)

    @functools.cached_property
    def skeleton(self) -> Skeleton:
        """The frame of the deployed network."""
        channels, height, width = self.data_facts["shape"]
        return self.config.frame.skeleton(self.space, (channels, height, width), self.data_facts["classes"])

    @property
    def role(self) -> Literal["limit", "latency-term", "weight-0"]:
        """What the run's own search is: "limit", "latency-term", or "weight-0" where latency plays no part."""
        if self.config.limit_ms is not None:
            return "limit"
        return "latency-term" if self.config.latency_weight > 0 else "weight-0"

    @property
    def timings(self) -> dict[str, float]:
        """Seconds that each step has taken so far, all attempts together."""
        path = self.folder / "timings.json"
        return dict(read_json(path, TIMINGS_SCHEMA)["seconds"]) if path.exists() else {}

    def set_aside(self, *names: str) -> None:
        """Rename files or folders to `<name>.old-<n>`, so that a step can be done anew and nothing is lost."""
        for name in names:
            path = self.folder / name
            if path.exists():
                taken = sum(1 for _ in path.parent.glob(f"{path.name}.old-*"))
                path.rename(path.with_name(f"{path.name}.old-{taken + 1}"))

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        """Add the wall-clock of the block to the step's timing, also where it is interrupted."""
        began = time.monotonic()
        try:
            yield
        finally:
            seconds = self.timings
            seconds[step] = seconds.get(step, 0.0) + time.monotonic() - began
            write_json(self.folder / "timings.json", TIMINGS_SCHEMA, {"seconds": seconds})

    @contextmanager
    def working(self) -> Iterator[None]:
        """Keep other processes out of this folder, and compute with the config's number of threads.

        The kernel frees the lock when this process dies.

        Raises:
            UsageError: another process works here.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise UsageError(f"another process works in {self.folder}; wait for it or choose another --out") from None
        threads = torch.get_num_threads()
        torch.set_num_threads(self.config.threads)
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            lock.release()


def versions() -> dict[str, str]:
    """Versions of chronas, Python and the packages that results depend on; chronas's git commit where it has one."""
    found = {"chronas": __version__, "python": platform.python_version()}
    found |= {package: version(package) for package in PACKAGES}
    commit = _git_commit(Path(__file__))
    return found | ({"commit": commit} if commit else {})


def _git_commit(file: Path) -> str | None:
    """The commit of the checkout that tracks `file`; None where it was installed from a package."""
    git = ["git", "-C", str(file.parent)]
    try:
        tracked = subprocess.run([*git, "ls-files", "--error-unmatch", file.name], capture_output=True, check=False)
        answer = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=False)
    except OSError:
        return None
    return answer.stdout.strip() if tracked.returncode == answer.returncode == 0 else None


def _differences(old: RunConfig, new: RunConfig) -> str:
    before, after = _flat(old.model_dump(mode="json")), _flat(new.model_dump(mode="json"))
    changed = [key for key in sorted(before.keys() | after.keys()) if before.get(key) != after.get(key)]
    shown = [f"{key} {before.get(key)} -> {after.get(key)}" for key in changed[:3]]
    return ", ".join(shown) + (f" and {len(changed) - 3} more" if len(changed) > 3 else "")


def _flat(content: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in content.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat
