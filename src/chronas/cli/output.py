"""How answers look on stdout: a table for people, JSON for programs.

Progress on stderr: a rich bar for each step on a terminal, a plain line every few seconds elsewhere.
"""

from __future__ import annotations

import io
import json
import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from chronas.units import duration_text

NUMBER = (int, float)


def write(text: str) -> None:
    """One answer as text, ending in a line break."""
    sys.stdout.write(text if text.endswith("\n") else f"{text}\n")


def write_json(content: Any) -> None:
    """One answer as indented JSON."""
    write(json.dumps(content, indent=2, allow_nan=False))


def write_table(columns: Sequence[str], rows: Sequence[Sequence[object]], title: str | None = None) -> None:
    """A table: numbers to the right, text to the left; as wide as its content where stdout is not a terminal.

    Args:
        columns: headings.
        rows: one value for each column; None is shown as a dash.
        title: above the table.
    """
    if title is not None:
        write(title)  # rich would fold it to the table's width
    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, column in enumerate(columns):
        right = any(isinstance(row[number], NUMBER) for row in rows)
        table.add_column(column, justify="right" if right else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, map(_text, row)))
    terminal = sys.stdout.isatty()
    console = Console(file=io.StringIO(), width=None if terminal else 1000, force_terminal=terminal, highlight=False)
    with console.capture() as capture:
        console.print(table)
    write("\n".join(line.rstrip() for line in capture.get().splitlines()))


def _text(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


LINE_EVERY_S = 15.0


class Pace:
    """How long a step will still take, from how fast it has gone since it was first told."""

    def __init__(self) -> None:
        self._began: dict[str, tuple[float, int]] = {}

    def left(self, step: str, done: int, total: int) -> str:
        """Time left, such as `2 min 05 s left`; empty where it cannot be known yet, or the step is done."""
        now = time.monotonic()
        began, first = self._began.setdefault(step, (now, done))
        if done < first:
            began, first = self._began[step] = (now, done)
        if not first < done < total:
            return ""
        return f"{duration_text((now - began) / (done - first) * (total - done))} left"


class ProgressLines:
    """Plain lines: one when a step starts, then at most one every `LINE_EVERY_S` seconds, and one when it is done."""

    def __init__(self) -> None:
        self._last: dict[str, float] = {}
        self._pace = Pace()

    def __enter__(self) -> ProgressLines:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        sys.stderr.flush()

    def __call__(self, step: str, done: int, total: int, note: str) -> None:
        """Tell where a step is; see `chronas.progress.Progress`."""
        now, left = time.monotonic(), self._pace.left(step, done, total)
        if done < total and now - self._last.get(step, -LINE_EVERY_S) < LINE_EVERY_S:
            return
        self._last[step] = now
        count = f" {done}/{total}" if total > 1 else ""
        texts = ", ".join(text for text in (note, left) if text)
        sys.stderr.write(f"{step}{count}{': ' + texts if texts else ''}\n")
        sys.stderr.flush()


class ProgressBars:
    """A rich bar for each step, on a terminal."""

    def __init__(self) -> None:
        columns = (TextColumn("{task.description:<22}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._bars = Progress(*columns, TextColumn("{task.fields[note]}"), console=Console(stderr=True))
        self._tasks: dict[str, TaskID] = {}
        self._pace = Pace()

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
        texts = ", ".join(text for text in (note, self._pace.left(step, done, total)) if text)
        self._bars.update(self._tasks[step], completed=done, total=total, note=texts)


def progress_display() -> ProgressLines | ProgressBars:
    """Bars where stderr is a terminal, lines where it is not."""
    return ProgressBars() if sys.stderr.isatty() else ProgressLines()
