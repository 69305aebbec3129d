"""Progress of long steps: a function of (step, done, total, note), and several displays.

Terminals and notebooks show a bar for each step; other outputs get a plain line every few seconds.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from html import escape
from types import TracebackType
from typing import Any

from chronas.names import printable
from chronas.registry import imported
from chronas.units import duration_text

Progress = Callable[[str, int, int, str], None]


def silent(step: str, done: int, total: int, note: str) -> None:  # noqa: ARG001 - the signature of every `Progress`
    """Show nothing; the default of every function that takes a `progress`."""


LINE_EVERY_S = 15.0
NOTEBOOK_EVERY_S = 0.2


class Pace:
    """Estimates the time left of each step, from its pace since the first report."""

    def __init__(self) -> None:
        self._began: dict[str, tuple[float, int]] = {}

    def left(self, step: str, done: int, total: int) -> str:
        """Time left, such as `2 min 05 s left`; empty if it cannot be estimated yet or the step is done."""
        left_s = self.left_s(step, done, total)
        return f"{duration_text(left_s)} left" if left_s is not None and done < total else ""

    def left_s(self, step: str, done: int, total: int) -> float | None:
        """Time left in seconds; None if it cannot be estimated yet."""
        now = time.monotonic()
        began, first = self._began.setdefault(step, (now, done))
        if done < first:
            began, first = self._began[step] = (now, done)
        return (now - began) / (done - first) * max(0, total - done) if first < done else None

    def spent_s(self, step: str) -> float:
        """Seconds since the first report of a step."""
        return time.monotonic() - self._began[step][0]


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
        """Show the progress of a step; see `Progress`."""
        now, left = time.monotonic(), self._pace.left(step, done, total)
        if done < total and now - self._last.get(step, -LINE_EVERY_S) < LINE_EVERY_S:
            return
        self._last[step] = now
        count = f" {done}/{total}" if total > 1 else ""
        texts = ", ".join(text for text in (note, left) if text)
        sys.stderr.write(printable(f"{step}{count}{': ' + texts if texts else ''}") + "\n")
        sys.stderr.flush()


class ProgressBars:
    """A rich bar for each step, on a terminal."""

    def __init__(self) -> None:
        from rich import progress
        from rich.console import Console

        columns = (
            progress.TextColumn("{task.description:<22}", markup=False),
            progress.BarColumn(),
            progress.MofNCompleteColumn(),
            progress.TimeElapsedColumn(),
            progress.TextColumn("{task.fields[note]}", markup=False),
        )
        self._bars = progress.Progress(*columns, console=Console(stderr=True))
        self._tasks: dict[str, Any] = {}
        self._pace = Pace()

    def __enter__(self) -> ProgressBars:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def __call__(self, step: str, done: int, total: int, note: str) -> None:
        """Show the progress of a step; see `Progress`."""
        if step not in self._tasks:
            self._tasks[step] = self._bars.add_task(printable(step), total=total, note=note)
        texts = ", ".join(text for text in (note, self._pace.left(step, done, total)) if text)
        self._bars.update(self._tasks[step], completed=done, total=total, note=printable(texts))


class NotebookBars:
    """A bar for each step, as HTML below the cell of a notebook."""

    def __init__(self) -> None:
        self._rows: dict[str, str] = {}
        self._pace = Pace()
        self._shown: Any = None
        self._last_s = 0.0

    def __enter__(self) -> NotebookBars:
        from IPython.display import HTML, display

        self._shown = display(HTML(""), display_id=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._show()

    def __call__(self, step: str, done: int, total: int, note: str) -> None:
        """Show the progress of a step; see `Progress`."""
        texts = ", ".join(text for text in (note, self._pace.left(step, done, total)) if text)
        self._rows[step] = (
            f"<tr><td>{escape(step)}</td><td><progress value='{done}' max='{total}'></progress></td>"
            f"<td>{done}/{total} {escape(texts)}</td></tr>"
        )
        if time.monotonic() - self._last_s > NOTEBOOK_EVERY_S:
            self._show()

    def _show(self) -> None:
        from IPython.display import HTML

        self._last_s = time.monotonic()
        self._shown.update(HTML(f"<table>{''.join(self._rows.values())}</table>"))


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    python = sys.modules.get("IPython")
    shell = None if python is None else python.get_ipython()
    return type(shell).__name__ == "ZMQInteractiveShell"


def progress_display() -> ProgressLines | ProgressBars | NotebookBars:
    """Bars in a notebook and on a terminal (stderr), lines elsewhere."""
    if in_notebook():
        return NotebookBars()
    return ProgressBars() if sys.stderr.isatty() else ProgressLines()


# ----
# A mixin for objects that a notebook shows as HTML; `chronas.reports` has the functions that make the HTML.

HTML = {  # class -> function that makes the HTML of an object
    "Architecture": "chronas.reports.notebook:architecture_html",
    "CostTable": "chronas.reports.notebook:table_html",
    "Estimate": "chronas.reports.notebook:estimate_html",
    "Predictor": "chronas.reports.notebook:predictor_html",
    "Trial": "chronas.reports.notebook:trial_html",
    "Found": "chronas.reports.notebook:found_html",
    "TrainedModel": "chronas.reports.notebook:trained_html",
    "FinishedRun": "chronas.reports.notebook:run_html",
    "Comparison": "chronas.reports.notebook:comparison_html",
}


class Displayed:
    """An object that a notebook shows as HTML."""

    def _repr_html_(self) -> str:
        names = (cls.__name__ for cls in type(self).__mro__)
        html: str = imported(HTML[next(name for name in names if name in HTML)])(self)
        return html
