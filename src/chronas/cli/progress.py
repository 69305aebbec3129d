"""Progress on stderr: a rich bar for each step on a terminal, a plain line every few seconds elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

LINE_EVERY_S = 15.0


class ProgressLines:
    """Plain lines: one when a step starts, then at most one every `LINE_EVERY_S` seconds, and one when it is done."""

    def __init__(self) -> None:
        self._last: dict[str, float] = {}

    def __enter__(self) -> ProgressLines:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        sys.stderr.flush()

    def __call__(self, step: str, done: int, total: int, note: str) -> None:
        """Tell where a step is; see `chronas.progress.Progress`."""
        now = time.monotonic()
        if done < total and now - self._last.get(step, -LINE_EVERY_S) < LINE_EVERY_S:
            return
        self._last[step] = now
        count = f" {done}/{total}" if total > 1 else ""
        sys.stderr.write(f"{step}{count}{': ' + note if note else ''}\n")
        sys.stderr.flush()


class ProgressBars:
    """A rich bar for each step, on a terminal."""

    def __init__(self) -> None:
        columns = (TextColumn("{task.description:<22}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._bars = Progress(*columns, TextColumn("{task.fields[note]}"), console=Console(stderr=True))
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> ProgressBars:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def __call__(self, step: str, done: int, total: int, note: str) -> None:
        """Tell where a step is; see `chronas.progress.Progress`."""
        if step not in self._tasks:
            self._tasks[step] = self._bars.add_task(step, total=total, note=note)
        self._bars.update(self._tasks[step], completed=done, total=total, note=note)


def progress_display() -> ProgressLines | ProgressBars:
    """Bars where stderr is a terminal, lines where it is not."""
    return ProgressBars() if sys.stderr.isatty() else ProgressLines()
