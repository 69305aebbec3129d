"""Things that users choose by name: built-in ones, those that they registered, and those of installed packages.

SPACES = Registry("space", {"darts": "chronas.spaces.darts:Darts"})
SPACES.register("mine", MySpace())
space = SPACES["mine"]

A built-in thing is an import string, so that nothing heavy is imported before it is asked for. An installed package
adds things by entry points in the group `chronas.<kind>s`, which also reach the command line and worker processes.
"""

from __future__ import annotations

import base64
import functools
import importlib
import pickle
from collections.abc import Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from chronas.errors import UsageError, unknown_name


def imported(text: str) -> Any:
    """The object of an import string "package.module:attribute"."""
    module, _, attribute = text.partition(":")
    return getattr(importlib.import_module(module), attribute)


def import_path(thing: object) -> str:
    """Where the class of a thing (or a class or function itself) is defined: "package.module:Class"."""
    found = thing if hasattr(thing, "__qualname__") else type(thing)
    return f"{found.__module__}:{found.__qualname__}"


def packed(*things: Any) -> str:
    """Objects as text for a worker process of ours, classes of the main script and of notebooks included."""
    import cloudpickle  # as few commands start processes

    return base64.b64encode(cloudpickle.dumps(things)).decode()


def unpacked(text: str) -> tuple[Any, ...]:
    """The objects of `packed`; only for what this program's own parent process sent, never for a file."""
    found: tuple[Any, ...] = pickle.loads(base64.b64decode(text))  # noqa: S301 - see above
    return found


class Registry(Mapping[str, Any]):
    """Names and what they stand for: `registry[name]` gives the thing, iteration the names.

    Attributes:
        kind: what the names name, for messages: "space".
        built_in: the names that come with chronas -> import strings.
    """

    def __init__(self, kind: str, built_in: Mapping[str, str]) -> None:
        self.kind = kind
        self.built_in = built_in
        self._registered: dict[str, Any] = {}

    @property
    def group(self) -> str:
        """The group of entry points by which installed packages add things: "chronas.spaces"."""
        return f"chronas.{self.kind.replace(' ', '_')}s"

    def register(self, name: str, thing: Any) -> None:
        """Add a thing for this process and the worker processes that it starts; a second one takes the first's place.

        Raises:
            UsageError: the name is one of those that come with chronas, or no plain word.
        """
        if name in self.built_in:
            raise UsageError(f"{self.kind} {name} comes with chronas: register yours under another name")
        if not name or not name.replace("-", "").replace("_", "").replace(".", "").isalnum():
            raise UsageError(f"a {self.kind}'s name has letters, digits, -, _ and dots, got {name!r}: choose another")
        self._registered[name] = thing

    @property
    def registered(self) -> Mapping[str, Any]:
        """What was registered in this process, by name."""
        return dict(self._registered)

    def __getitem__(self, name: str) -> Any:
        """The thing of a name; its module is imported now, not before.

        Raises:
            UsageError: there is no such name; the nearest valid names are told.
        """
        if name in self._registered:
            return self._registered[name]
        if name in self.built_in:
            return imported(self.built_in[name])
        installed = _installed(self.group)
        if name in installed:
            return installed[name].load()
        raise unknown_name(self.kind, name, self)

    def get(self, name: str, default: Any = None) -> Any:
        """The thing of a name, or the default where there is none."""
        return self[name] if name in self else default  # noqa: SIM401 - this is `get`

    def __contains__(self, name: object) -> bool:
        return name in self.built_in or name in self._registered or name in _installed(self.group)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys((*self.built_in, *_installed(self.group), *self._registered)))

    def __len__(self) -> int:
        return len(list(iter(self)))


@functools.cache
def _installed(group: str) -> Mapping[str, EntryPoint]:
    """The entry points of a group, by name; installed packages do not change while a process runs."""
    return {point.name: point for point in entry_points(group=group)}
