"""Output on stdout: a table for people, JSON for programs."""

from __future__ import annotations

import io
import json
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from chronas.errors import ChronasError
from chronas.names import printable

NUMBER = (int, float)


def write(text: str) -> None:
    """Write one answer as text, ending in a line break; see `printable`."""
    _put(printable(text))


def _put(text: str) -> None:
    sys.stdout.write(text if text.endswith("\n") else f"{text}\n")


def note(text: str) -> None:
    """Write one line for people to stderr."""
    sys.stderr.write(f"{printable(text)}\n")


def escape_unknown_characters() -> None:
    """Let stdout and stderr write an escape for characters that their encoding lacks."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def write_json(content: Any) -> None:
    """Write one answer as indented JSON."""
    write(json.dumps(content, indent=2, allow_nan=False))


def write_table(columns: Sequence[str], rows: Sequence[Sequence[object]], title: str | None = None) -> None:
    """Write a table: numbers right-aligned, text left-aligned; as wide as its content if stdout is not a terminal.

    Args:
        columns: headings.
        rows: one value for each column; None is shown as a dash.
        title: text above the table.
    """
    if title is not None:
        write(title)  # rich would wrap it to the table's width
    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, column in enumerate(columns):
        right = any(isinstance(row[number], NUMBER) for row in rows)
        table.add_column(Text(printable(column)), justify="right" if right else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, map(_text, row)))
    terminal = sys.stdout.isatty()
    console = Console(file=io.StringIO(), width=None if terminal else 1000, force_terminal=terminal, highlight=False)
    with console.capture() as capture:
        console.print(table)
    _put("\n".join(line.rstrip() for line in capture.get().splitlines()))


def _text(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else printable(str(value))


# ----
# Error handling of the command line: every error becomes one line on stderr and an exit code.

FAULT = 70
INTERRUPTED = 130


class InterruptedWithResume(KeyboardInterrupt):
    """Ctrl-C during a step that can be resumed; `resume` is the command for it."""

    def __init__(self, resume: str) -> None:
        super().__init__(resume)
        self.resume = resume


@contextmanager
def resumable(resume: str) -> Iterator[None]:
    """If the user interrupts the block, name the command that resumes its work."""
    try:
        yield
    except KeyboardInterrupt:
        raise InterruptedWithResume(resume) from None


class Border:
    """Context manager that turns an exception inside into one line and `exit_code`.

    Args:
        debug: show the traceback as well.
    """

    def __init__(self, *, debug: bool) -> None:
        self.debug = debug
        self.exit_code = 0

    def __enter__(self) -> Border:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is None or isinstance(error, SystemExit | GeneratorExit):
            return False
        if self.debug:
            traceback.print_exception(kind, error, trace)
        if isinstance(error, BrokenPipeError):
            _silence_stdout()
            return True
        self.exit_code, line = _line(error)
        sys.stderr.write(f"chronas: {line}\n")
        return True


def _line(error: BaseException) -> tuple[int, str]:
    if isinstance(error, InterruptedWithResume):
        return INTERRUPTED, f"interrupted; nothing measured is lost; go on with: {error.resume}"
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED, "interrupted"
    message = printable(" ".join(str(error).split()))
    if isinstance(error, ChronasError):
        return error.exit_code, f"error: {message}"
    if isinstance(error, OSError) and error.filename is not None:
        what = printable(f"cannot use {error.filename}: {error.strerror}")
        return ChronasError.exit_code, f"error: {what}; mend that, or choose another folder"
    if isinstance(error, MemoryError):
        return (
            ChronasError.exit_code,
            "error: this needs more memory than there is: take fewer or smaller things at once",
        )
    return FAULT, f"a fault of chronas, please report it with the output of --debug: {type(error).__name__}: {message}"


def _silence_stdout() -> None:
    """Redirect stdout to nowhere after its reader has gone, so that the interpreter's last flush succeeds."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
