"""Things that users choose by name: a literal dict of import strings becomes the object that a name stands for."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from chronas.errors import unknown_name


def named(kind: str, name: str, table: Mapping[str, str]) -> Any:
    """The object behind a name; its module is imported now, not before.

    Args:
        kind: what the name should name, for messages.
        name: as the user wrote it.
        table: name -> "module:attribute".

    Raises:
        UsageError: there is no such name; the nearest valid names are told.
    """
    if name not in table:
        raise unknown_name(kind, name, table)
    module, _, attribute = table[name].partition(":")
    return getattr(importlib.import_module(module), attribute)
