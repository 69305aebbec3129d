"""Things that users choose by name: built-in ones, registered ones, and those of installed packages.

SPACES = Registry("space", {"darts": "chronas.spaces.darts:Darts"})
SPACES.register("mine", MySpace())
space = SPACES["mine"]

A built-in thing is an import string, so that nothing heavy is imported before it is needed. An installed package adds
things by entry points in the group `chronas.<kind>s`, which also reach the command line and worker processes.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from chronas.errors import UsageError, unknown_name

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


def imported(text: str) -> Any:
    """The object of an import string "package.module:attribute"."""
    module, _, attribute = text.partition(":")
    return getattr(importlib.import_module(module), attribute)


def lazily(package: str, modules: Mapping[str, str]) -> Callable[[str], Any]:
    """The `__getattr__` of a package that imports its public names when they are first used.

    Args:
        package: its `__name__`.
        modules: module in it -> the names it gives, with spaces between.
    """
    where = {name: f"{package}.{module}:{name}" for module, names in modules.items() for name in names.split()}

    def found(name: str) -> Any:
        if name not in where:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return imported(where[name])

    return found


def import_path(thing: object) -> str:
    """The import path of a class or function, or of an object's class: "package.module:Class"."""
    found = thing if hasattr(thing, "__qualname__") else type(thing)
    return f"{found.__module__}:{found.__qualname__}"


def packed(*things: Any) -> str:
    """Objects as text for one of our worker processes; classes of the main script and of notebooks work too."""
    import base64

    import cloudpickle  # here, as few commands start processes

    return base64.b64encode(cloudpickle.dumps(things)).decode()


def unpacked(text: str) -> tuple[Any, ...]:
    """The objects of `packed`. Only for text from this program's own parent process, never for a file."""
    import base64
    import pickle

    found: tuple[Any, ...] = pickle.loads(base64.b64decode(text))  # noqa: S301 - see above
    return found


class Registry(Mapping[str, Any]):
    """A mapping from names to things: `registry[name]` gives the thing, iteration gives the names.

    Attributes:
        kind: the kind of thing, for messages: "space".
        built_in: the names that come with chronas -> import strings.
    """

    def __init__(self, kind: str, built_in: Mapping[str, str]) -> None:
        self.kind = kind
        self.built_in = built_in
        self._registered: dict[str, Any] = {}

    @property
    def group(self) -> str:
        """The group of entry points through which installed packages add things: "chronas.spaces"."""
        return f"chronas.{self.kind.replace(' ', '_')}s"

    def register(self, name: str, thing: Any) -> None:
        """Add a thing for this process and its worker processes; an earlier one of the same name is replaced.

        Raises:
            UsageError: the name is built in, or is not a plain word.
        """
        if name in self.built_in:
            raise UsageError(f"{self.kind} {name} comes with chronas: register yours under another name")
        if not name or not name.replace("-", "").replace("_", "").replace(".", "").isalnum():
            raise UsageError(f"a {self.kind}'s name has letters, digits, -, _ and dots, got {name!r}: choose another")
        self._registered[name] = thing

    def unregister(self, name: str) -> None:
        """Remove a thing that was registered in this process.

        Raises:
            UsageError: there is no such thing.
        """
        if name not in self._registered:
            raise unknown_name(f"registered {self.kind}", name, self._registered)
        del self._registered[name]

    @property
    def registered(self) -> Mapping[str, Any]:
        """The things registered in this process, by name."""
        return dict(self._registered)

    def __getitem__(self, name: str) -> Any:
        """The thing of a name; its module is imported at this moment.

        Raises:
            UsageError: there is no such name; the message lists the nearest valid names.
        """
        if not isinstance(name, str):
            raise UsageError(f"a {self.kind} is given by its name or as an object, got {type(name).__name__}: {name!r}")
        if name in self._registered:
            return self._registered[name]
        if name in self.built_in:
            return imported(self.built_in[name])
        installed = _installed(self.group)
        if name in installed:
            return installed[name].load()
        raise unknown_name(self.kind, name, self)

    def get(self, name: str, default: Any = None) -> Any:
        """The thing of a name, or the default if there is none."""
        return self[name] if name in self else default  # noqa: SIM401 - this is `get`

    def __contains__(self, name: object) -> bool:
        names = (self.built_in, self._registered, _installed(self.group))
        return isinstance(name, str) and any(name in each for each in names)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys((*self.built_in, *_installed(self.group), *self._registered)))

    def __len__(self) -> int:
        return len(list(iter(self)))


@functools.cache
def _installed(group: str) -> Mapping[str, EntryPoint]:
    """The entry points of a group, by name; installed packages do not change while a process runs."""
    from importlib.metadata import entry_points  # here, as it takes longer to import than all of `import chronas`

    return {point.name: point for point in entry_points(group=group)}
