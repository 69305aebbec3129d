"""Writes a network as one readable Python file, `model.py`, that needs torch but not chronas; weights lie next to it.

The classes are copied from the files that define them: operations.py and cells.py for ours, other files for a user's
own. Unused operations are left out. Below the classes, the architecture is a plan of plain data. The weights are in
`model.safetensors`. Annotations are real types, not strings, so that the file can be loaded in any way: with strings,
dataclasses would look for the module in `sys.modules`.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import importlib.util
import inspect
import json
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from chronas.errors import UsageError
from chronas.files import write_text
from chronas.networks import standalone
from chronas.networks.construction import Preprocessing, build, plan

if TYPE_CHECKING:
    from chronas.spaces import Architecture, NetworkSize

LINE_LENGTH = 120
HEADER = '''\
"""{space} network, written by chronas (Apache-2.0); this file needs only {needs}.

{architecture}

{size}

{usage}
"""
'''
USAGE = """\
    from model import network
    model = network("model.safetensors")
    logits = model(images)  # [B, {channels}, {height}, {width}], normalised as in training -> [B, {classes}]"""
PREPARED_USAGE = """\
    from model import CLASSES, network, prepared
    model = network("model.safetensors")
    logits = model(prepared(pixels))  # uint8 [B, {channels}, {height}, {width}] -> [B, {classes}]
    print([CLASSES[number] for number in logits.argmax(dim=1).tolist()])"""
PREPARED = '''\
def prepared(pixels: torch.Tensor) -> torch.Tensor:
    """The network's input, float32 [B, C, H, W], from uint8 pixels of the same shape; three channels are RGB."""
    return normalised(pixels, MEAN, STD)
'''
NETWORK = '''\
def network(weights: str | Path | None = None) -> {kind}:
    """The network in eval mode, with the weights of a safetensors file or with random ones.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file is cut off or has another form.
        RuntimeError: the file has the weights of another network.
    """
    built = {kind}(PLAN)
    if weights is not None:
        tensors = read_safetensors(weights)
        built.load_state_dict({{name: x for name, x in tensors.items() if not name.startswith("auxiliary_head.")}})
    return built.eval()
'''


def write_source(
    path: Path, architecture: Architecture, size: NetworkSize, preprocessing: Preprocessing | None = None
) -> None:
    """Write `model_source` to a file by one atomic rename.

    Raises:
        UsageError: the architecture cannot be built in this size.
        DataError: the file cannot be written.
    """
    write_text(path, model_source(architecture, size, preprocessing))


def model_source(architecture: Architecture, size: NetworkSize, preprocessing: Preprocessing | None = None) -> str:
    """The source of a module whose `network(weights)` is the network of an architecture, without auxiliary head.

    Args:
        architecture: architecture of the network.
        size: size of the network.
        preprocessing: of a trained network; the module then has it as `prepared(pixels)` and `CLASSES`.

    Raises:
        UsageError: the architecture cannot be built in this size.
    """
    blueprint, topology = plan(architecture, size), architecture.space.topology
    network = build(architecture, size)
    text = NETWORK.format(kind=type(network).__name__)
    ends = [text] if preprocessing is None else [PREPARED, text]
    classes = [type(network), *(type(module) for module in network.modules()), *_types_of(blueprint)]
    found = inlined(
        [cls for cls in dict.fromkeys(classes) if not cls.__module__.startswith("torch.")],
        standalone,
        mentions(map(ast.parse, ends)),
        {name: _table(name, table) for name, table in topology.tables(blueprint).items()},
    )
    parts = [
        _header(architecture, size, USAGE if preprocessing is None else PREPARED_USAGE, found.packages)
        + _imports(found.imports),
        *found.definitions,
        "\n".join([f"PLAN = {_literal(blueprint)}", *_constants(preprocessing)]),
        *ends,
    ]
    return "\n\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def _types_of(value: Any) -> list[type]:
    """The dataclasses in plain data."""
    if not _has_items(value):
        return []
    inner = [kind for _, item in _items(value)[1] for kind in _types_of(item)]
    return [type(value), *inner] if dataclasses.is_dataclass(value) else inner


def _constants(preprocessing: Preprocessing | None) -> list[str]:
    """The constants for `prepared` and its user, as assignments."""
    if preprocessing is None:
        return []
    values = {"MEAN": preprocessing.mean, "STD": preprocessing.std, "CLASSES": preprocessing.class_names}
    return [f"{name} = {_literal(value)}" for name, value in values.items()]


def _header(architecture: Architecture, size: NetworkSize, usage: str, packages: Iterable[str]) -> str:
    channels, height, width = size.input_shape
    text = HEADER.format(
        space=architecture.space.name,
        needs=" and ".join(["torch", *sorted(packages)]),
        architecture="\n".join(textwrap.wrap(str(architecture), LINE_LENGTH, break_on_hyphens=False)),
        size=f"Size: {size}.",
        usage=usage.format(channels=channels, height=height, width=width, classes=size.outputs),
    )
    return text + "\n"


def _table(name: str, table: Mapping[str, type]) -> tuple[str, frozenset[str]]:
    """The assignment of a table of classes, and the names of these classes."""
    for key, kind in table.items():
        if not isinstance(kind, type):
            raise UsageError(f"{key} of {name} should be a class to stand in a model.py, got {kind!r}")
    rows = [f'    "{key}": {kind.__name__},' for key, kind in table.items()]
    return "\n".join([f"{name} = {{", *rows, "}"]), frozenset(kind.__name__ for kind in table.values())


def _imports(statements: Iterable[str]) -> str:
    """Import lines in the usual order: standard library first, whole modules before names, one line for each module."""
    names: dict[str, set[str]] = {}
    for statement in statements:
        start, _, name = statement.partition(" import ")
        names.setdefault(start if name else statement, set()).update([name] if name else [])
    lines = [f"{start} import {', '.join(sorted(each))}" if each else start for start, each in names.items()]
    standard = [line for line in lines if line.split()[1].partition(".")[0] in sys.stdlib_module_names]
    rest = [line for line in lines if line not in standard]
    ordered = [sorted(part, key=lambda line: (line.startswith("from"), line)) for part in (standard, rest)]
    return "\n\n".join("\n".join(part) for part in ordered if part)


def _literal(value: Any, indent: int = 0) -> str:
    """Plain data as source: on one line if it fits, else one item a line; fields with their default are left out."""
    short = _short(value)
    if not _has_items(value) or len(short) + indent + len("output_channels=,") <= LINE_LENGTH:
        return short
    space = " " * (indent + 4)
    opening, items, closing = _items(value)
    rows = [f"{space}{label}{_literal(item, indent + 4)}," for label, item in items]
    return "\n".join([opening, *rows, " " * indent + closing])


def _short(value: Any) -> str:
    if isinstance(value, str):
        return repr(value) if '"' in value else json.dumps(value, ensure_ascii=False)
    if not _has_items(value):
        if value is not None and not isinstance(value, bool | int | float):
            raise UsageError(f"a plan should be plain data to stand in a model.py, got {value!r}")
        return repr(value)
    opening, items, closing = _items(value)
    text = ", ".join(label + _short(item) for label, item in items)
    comma = "," if isinstance(value, tuple) and len(value) == 1 else ""
    return f"{opening}{text}{comma}{closing}"


def _has_items(value: Any) -> bool:
    return dataclasses.is_dataclass(value) or isinstance(value, dict | tuple | list)


def _items(value: Any) -> tuple[str, list[tuple[str, Any]], str]:
    """The opening text of a dataclass, dict, tuple or list, its labelled items, and the closing text."""
    if isinstance(value, dict):
        return "{", [(f"{json.dumps(key)}: ", item) for key, item in value.items()], "}"
    if isinstance(value, tuple | list):
        opening, closing = "()" if isinstance(value, tuple) else "[]"
        return opening, [("", item) for item in value], closing
    given = [(field, getattr(value, field.name)) for field in dataclasses.fields(value)]
    labelled = [(f"{field.name}=", item) for field, item in given if item != field.default]
    return f"{type(value).__name__}(", labelled, ")"


# ----
# Collects the source of classes and of everything they use from the files that define them.
#
# A name is looked up as Python does: in the file of the class, then in the file that it is imported from. Definitions
# are copied one by one from files of chronas and of the class's own package. Names of the standard library, torch and
# other packages stay imports.


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
