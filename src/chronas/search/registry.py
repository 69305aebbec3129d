"""Searchers by name, class or object."""

from __future__ import annotations

from typing import cast

from pydantic import BaseModel

from chronas.errors import UsageError
from chronas.search import SEARCHERS
from chronas.search.searcher import Searcher


def searcher_class(name: str) -> type[Searcher]:
    """The class of a name in `SEARCHERS`.

    Raises:
        UsageError: there is no such searcher.
    """
    found = SEARCHERS[name]
    return type(found) if isinstance(found, Searcher) else cast("type[Searcher]", found)


def make_searcher(searcher: str | Searcher, config: BaseModel | None = None) -> Searcher:
    """The searcher of a name in `SEARCHERS`, with the given or default settings; a `Searcher` is returned unchanged.

    Raises:
        UsageError: there is no such searcher, the config is of another one, or its settings do not fit together.
    """
    if isinstance(searcher, Searcher):
        if config is not None and config != searcher.config:
            raise UsageError(f"searcher {searcher.name} is given as an object, which has its config: give its name")
        return searcher
    found = searcher_class(searcher)
    if config is not None and not isinstance(config, found.Config):
        raise UsageError(f"searcher {searcher} takes a {found.Config.__name__}, got a {type(config).__name__}")
    return found(config)
