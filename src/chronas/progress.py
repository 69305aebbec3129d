"""How long steps tell where they are: a function of (step, done, total, note). Whoever shows it decides how."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int, str], None]


def silent(step: str, done: int, total: int, note: str) -> None:  # noqa: ARG001 - the signature of every `Progress`
    """Show nothing; the default of every function that takes a `progress`."""
