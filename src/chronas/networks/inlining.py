"""Collects the source of classes and of everything they use from the files that define them.

A name is looked up as Python does: in the file of the class, then in the file that it is imported from. Definitions are
copied one by one from files of chronas and of the class's own package. Names of the standard library, torch and other
packages stay imports.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from types import ModuleType

from chronas.errors import UsageError


@dataclass(frozen=True)
class Definition:
    """A class, function or constant of a file: its source, and the names in it."""

    source: str
    mentions: frozenset[str]


@dataclass(frozen=True)
class Imported:
    """A name that a file imports.

    Attributes:
        module: full name of the module that it comes from.
        name: its name there; empty for the module itself.
    """

    module: str
    name: str = ""

    def statement(self, known_as: str) -> str:
        """The statement that imports it as `known_as`."""
        what = self.name or self.module
        alias = "" if known_as == what else f" as {known_as}"
        return f"from {self.module} import {self.name}{alias}" if self.name else f"import {self.module}{alias}"


@dataclass
class Inlined:
    """Source that works without the files that it comes from.

    Attributes:
        definitions: source of each definition, in an order in which they can be evaluated.
        imports: import statements.
        packages: packages that the imports need besides torch and the standard library.
    """

    definitions: list[str] = field(default_factory=list)
    imports: set[str] = field(default_factory=set)
    packages: set[str] = field(default_factory=set)


def mentions(nodes: Iterable[ast.AST]) -> frozenset[str]:
    """The names that some source reads or writes."""
    return frozenset(name.id for node in nodes for name in ast.walk(node) if isinstance(name, ast.Name))


def inlined(
    classes: Iterable[type],
    module: ModuleType,
    names: Iterable[str],
    replaced: Mapping[str, tuple[str, frozenset[str]]],
) -> Inlined:
    """The source of classes, of names of a module, and of everything that they use.

    Args:
        classes: classes from any files.
        module: the module of `names`.
        names: names in `module` to include too; names that it does not have are left out.
        replaced: name -> replacement of its definition: the source, and the names in it.

    Raises:
        UsageError: a class has no file, or two definitions have one name.
    """
    search = _Search({name: Definition(*each) for name, each in replaced.items()})
    for cls in classes:
        search.own.add(cls.__module__.partition(".")[0])
    for cls in classes:
        search.find(cls.__module__, cls.__qualname__)
    for name in sorted(names):
        search.find(module.__name__, name)
    return search.result()


class _Search:
    def __init__(self, replaced: Mapping[str, Definition]) -> None:
        self.own = {"chronas"}
        self.replaced = replaced
        self.imports: dict[str, Imported] = {}
        self.found: dict[str, str] = {}  # name -> the module that defines it
        self.done: set[str] = set()

    def find(self, module: str, name: str) -> None:
        """Find a name as a module sees it, and everything that its definition uses."""
        source, definitions, imports = _read(module)
        if name in definitions:
            before = self.found.setdefault(name, module)
            if before != module:
                raise UsageError(f"{module} and {before} both define {name}: rename one for a model.py")
            if name in self.done:
                return
            self.done.add(name)
            definition = self.replaced.get(name, definitions[name])
            for mentioned in sorted(definition.mentions - {name}):
                self.find(module, mentioned)
            return
        if name not in imports:
            return  # a local name, or a built-in one
        origin = imports[name]
        package = origin.module.partition(".")[0]
        if package not in self.own or not origin.name:
            self.imports[name] = origin
            return
        if name != origin.name:
            raise UsageError(f"{source} imports {origin.name} as {name}: import it by its own name for a model.py")
        self.find(origin.module, origin.name)

    def result(self) -> Inlined:
        """All definitions found: imported files come first, and each file keeps its order."""
        result = Inlined()
        for module in self._ordered():
            for name, definition in _read(module)[1].items():
                if self.found.get(name) == module:
                    result.definitions.append(self.replaced.get(name, definition).source)
        for name, origin in self.imports.items():
            package = origin.module.partition(".")[0]
            if package in self.own:
                raise UsageError(f"a model.py cannot take all of {origin.module}: import single names from it")
            result.imports.add(origin.statement(name))
            if package != "torch" and package not in sys.stdlib_module_names:
                result.packages.add(package)
        return result

    def _ordered(self) -> Iterator[str]:
        modules, done = list(dict.fromkeys(self.found.values())), dict[str, None]()

        def visit(module: str) -> None:
            if module in done:
                return
            done[module] = None
            for origin in _read(module)[2].values():
                target = self.found.get(origin.name)
                if target is not None and target != module and target not in done:
                    visit(target)
            ordered.append(module)

        ordered: list[str] = []
        for module in modules:
            visit(module)
        return iter(ordered)


@cache
def _read(module: str) -> tuple[str, dict[str, Definition], dict[str, Imported]]:
    """The file of a module, its definitions and its imports by name."""
    loaded = importlib.import_module(module)
    try:
        text = inspect.getsource(loaded)
    except (OSError, TypeError) as error:
        raise UsageError(f"the source of {module} cannot be read: put its classes in a file of their own") from error
    lines = text.splitlines()
    definitions: dict[str, Definition] = {}
    imports: dict[str, Imported] = {}
    for node in _statements(ast.parse(text).body):
        if isinstance(node, ast.Import):
            imports.update({alias.asname or alias.name: Imported(alias.name) for alias in node.names})
        elif isinstance(node, ast.ImportFrom) and node.module != "__future__":
            origin = importlib.util.resolve_name("." * node.level + (node.module or ""), loaded.__package__)
            imports.update({alias.asname or alias.name: Imported(origin, alias.name) for alias in node.names})
        elif isinstance(node, ast.ClassDef | ast.FunctionDef):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            definitions[node.name] = Definition("\n".join(lines[first - 1 : node.end_lineno]), mentions([node]))
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if isinstance(target, ast.Name):
                source = "\n".join(lines[node.lineno - 1 : node.end_lineno])
                definitions[target.id] = Definition(source, mentions([node]))
    return str(getattr(loaded, "__file__", module)), definitions, imports


def _statements(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements of a file, including those under `if TYPE_CHECKING:`."""
    for node in body:
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            yield from node.body
        else:
            yield node
