"""Output on stdout: a table for people, JSON for programs."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

NUMBER = (int, float)


def write(text: str) -> None:
    """Write one answer as text, ending in a line break."""
    sys.stdout.write(text if text.endswith("\n") else f"{text}\n")


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
