"""The folder of a run: the time that each step has taken, and results that are set aside."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from chronas.files import read_as, write_json
from chronas.progress import Progress, silent

TIMINGS_SCHEMA = "chronas.timings/1"
KEPT_S = 5.0  # least time between two writes of a step's time


@dataclass(frozen=True)
class Timings:
    """Seconds for each step."""

    seconds: dict[str, float]


class RunFolder:
    """The folder of a run.

    Attributes:
        folder: its path.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def timings(self) -> dict[str, float]:
        """Seconds of each step so far, over all attempts."""
        path = self.folder / "timings.json"
        return read_as(path, TIMINGS_SCHEMA, Timings).seconds if path.exists() else {}

    def set_aside(self, *names: str) -> None:
        """Rename files or folders to `<name>.old-<n>`, so that a step can be repeated and nothing is lost."""
        for name in names:
            path = self.folder / name
            if path.exists():
                taken = sum(1 for _ in path.parent.glob(f"{path.name}.old-*"))
                path.rename(path.with_name(f"{path.name}.old-{taken + 1}"))

    @contextmanager
    def timed(self, step: str, progress: Progress = silent) -> Iterator[Progress]:
        """Add the wall-clock time of the block to the step's time, also if it is interrupted.

        The yielded function calls `progress`, and writes the time so far at most every `KEPT_S`, in case of a kill.
        """
        earlier_s = self.timings.get(step, 0.0)
        began_s = kept_s = time.monotonic()

        def keep() -> None:
            nonlocal kept_s
            kept_s = time.monotonic()
            seconds = self.timings | {step: earlier_s + kept_s - began_s}
            write_json(self.folder / "timings.json", TIMINGS_SCHEMA, {"seconds": seconds})

        def shown(name: str, done: int, total: int, note: str) -> None:
            if time.monotonic() - kept_s >= KEPT_S:
                keep()
            progress(name, done, total, note)

        try:
            yield shown
        finally:
            keep()
