"""Checks of a search while it runs and resumes: checkpoints of the same search, and finite losses."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from chronas.errors import DivergedError, MismatchError

ROUNDING = 1e-5  # relative; float32 sums may differ by less between machines


def check_same(saved: dict[str, Any], wanted: dict[str, Any], path: Path) -> None:
    """Refuse a checkpoint of another task or with other settings.

    Raises:
        MismatchError: a setting differs; the message names it.
    """
    for key in sorted(saved.keys() | wanted.keys()):
        old, new = saved.get(key), wanted.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            check_same({f"{key}.{k}": v for k, v in old.items()}, {f"{key}.{k}": v for k, v in new.items()}, path)
        elif old != new and not (isinstance(old, float) and isinstance(new, float) and _close(old, new)):
            raise MismatchError(
                f"{path} is of a search with {key} = {old}, but {new} is asked for: "
                "use the same settings or a new folder"
            )


def _close(old: float, new: float) -> bool:
    return math.isclose(old, new, rel_tol=ROUNDING)


def check_finite(value: float, what: str, epoch: int, learning_rate: float) -> None:
    """Stop a search that has diverged.

    Raises:
        DivergedError: the value is nan or infinite.
    """
    if not abs(value) < float("inf"):
        raise DivergedError(f"the {what} became {value} in epoch {epoch}: lower the learning rate ({learning_rate:g})")
