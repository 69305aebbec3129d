"""A network as one readable Python file that needs only torch: `model.py`, next to `model.safetensors`.

The classes are those of operations.py and cells.py as they stand there, without the operations that this architecture
does not have; the architecture is a plan of plain data below them. Annotations are evaluated, so that the file can be
loaded in any way: with them as strings, dataclasses look for the module in `sys.modules`.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
import textwrap
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from chronas.files import write_text
from chronas.networks import cells, layers, operations, standalone
from chronas.networks.build import plan
from chronas.networks.cells import NetworkPlan
from chronas.networks.interface import Interface
from chronas.networks.layers import ChainPlan
from chronas.networks.operations import OPERATIONS

if TYPE_CHECKING:
    from chronas.spaces import Architecture, Skeleton

LINE_LENGTH = 120
HEADER = '''\
"""{space} network, written by chronas (Apache-2.0); this file needs only torch.

{architecture}

{skeleton}

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
    """Float32 [B, C, H, W] that the network takes, of uint8 pixels of the same shape; three channels are RGB."""
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


@dataclasses.dataclass(frozen=True)
class Definition:
    """A class, function or constant of a module: its source, and the names that it mentions."""

    source: str
    mentions: frozenset[str]


def write_source(
    path: Path, architecture: Architecture, skeleton: Skeleton, interface: Interface | None = None
) -> None:
    """Write `model_source` to a file by one atomic rename.

    Raises:
        UsageError: the architecture cannot be built in this skeleton.
        DataError: the file cannot be written.
    """
    write_text(path, model_source(architecture, skeleton, interface))


def model_source(architecture: Architecture, skeleton: Skeleton, interface: Interface | None = None) -> str:
    """The source of a module whose `network(weights)` is the network of an architecture, without auxiliary head.

    Args:
        architecture: of the network.
        skeleton: of the network.
        interface: of a trained one, which the module then has as `prepared(pixels)` and `CLASSES`.

    Raises:
        UsageError: the architecture cannot be built in this skeleton.
    """
    blueprint = plan(architecture, skeleton)
    text = NETWORK.format(kind="ChainNetwork" if isinstance(blueprint, ChainPlan) else "Network")
    ends = [text] if interface is None else [PREPARED, text]
    network = Definition(text, _mentions(map(ast.parse, ends)))
    definitions: dict[str, Definition] = {}
    imports: dict[str, str] = {}
    for module in (operations, cells, layers, standalone):
        _read(module, definitions, imports)
    if isinstance(blueprint, NetworkPlan):
        definitions["OPERATIONS"] = _operations(blueprint)
    used = _closure(network, definitions)
    mentioned = network.mentions.union(*(definitions[name].mentions for name in used))
    parts = [
        _header(architecture, skeleton, USAGE if interface is None else PREPARED_USAGE)
        + _imports(imports[name] for name in mentioned if name in imports),
        *(definition.source for name, definition in definitions.items() if name in used),
        "\n".join([f"PLAN = {_literal(blueprint)}", *_constants(interface)]),
        *ends,
    ]
    return "\n\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def _constants(interface: Interface | None) -> list[str]:
    """What `prepared` and its reader need to know, as assignments."""
    if interface is None:
        return []
    values = {"MEAN": interface.mean, "STD": interface.std, "CLASSES": interface.class_names}
    return [f"{name} = {_literal(value)}" for name, value in values.items()]


def _header(architecture: Architecture, skeleton: Skeleton, usage: str) -> str:
    channels, height, width = skeleton.input_shape
    text = HEADER.format(
        space=architecture.space.name,
        architecture="\n".join(textwrap.wrap(str(architecture), LINE_LENGTH, break_on_hyphens=False)),
        skeleton=f"Skeleton: {skeleton}.",
        usage=usage.format(channels=channels, height=height, width=width, classes=skeleton.classes),
    )
    return text + "\n"


def _read(module: ModuleType, definitions: dict[str, Definition], imports: dict[str, str]) -> None:
    """Add a module's definitions by name, and the import that gives each name, chronas's own left out."""
    text = inspect.getsource(module)
    lines = text.splitlines()
    for node in ast.parse(text).body:
        if isinstance(node, ast.Import):
            imports.update({alias.asname or alias.name: f"import {alias.name}" for alias in node.names})
        elif isinstance(node, ast.ImportFrom) and not str(node.module).startswith(("chronas", "__future__")):
            imports.update({alias.name: f"from {node.module} import {alias.name}" for alias in node.names})
        elif isinstance(node, ast.ClassDef | ast.FunctionDef):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            source = "\n".join(lines[first - 1 : node.end_lineno])
            definitions[node.name] = Definition(source, _mentions([node]))
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            source = "\n".join(lines[node.lineno - 1 : node.end_lineno])
            definitions[node.targets[0].id] = Definition(source, _mentions([node]))


def _mentions(nodes: Iterable[ast.AST]) -> frozenset[str]:
    return frozenset(name.id for node in nodes for name in ast.walk(node) if isinstance(name, ast.Name))


def _operations(blueprint: NetworkPlan) -> Definition:
    """`OPERATIONS` with what the plan has; a cell makes `none` for the nodes that have no edges."""
    names = {name for cell in blueprint.cells.values() for _, _, name in cell.edges} | {"none"}
    kept = {name: operation.__name__ for name, operation in OPERATIONS.items() if name in names}
    rows = [f'    "{name}": {operation},' for name, operation in kept.items()]
    return Definition("\n".join(["OPERATIONS = {", *rows, "}"]), frozenset(kept.values()))


def _closure(root: Definition, definitions: dict[str, Definition]) -> set[str]:
    """The names of all definitions that the root mentions, or that those mention, ..."""
    found: set[str] = set()
    waiting = set(root.mentions)
    while waiting:
        name = waiting.pop()
        if name in definitions and name not in found:
            found.add(name)
            waiting |= definitions[name].mentions
    return found


def _imports(statements: Iterable[str]) -> str:
    """Import lines in the usual order: standard library, then torch; modules before names."""
    ordered = sorted(set(statements), key=lambda line: (" torch" in line, line.startswith("from"), line))
    standard = [line for line in ordered if " torch" not in line]
    return "\n".join([*standard, "", *ordered[len(standard) :]])


def _literal(value: Any, indent: int = 0) -> str:
    """Plain data as source: on one line where that fits, else an item a line; fields at their default left out."""
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
        return repr(value)
    opening, items, closing = _items(value)
    text = ", ".join(label + _short(item) for label, item in items)
    comma = "," if isinstance(value, tuple) and len(value) == 1 else ""
    return f"{opening}{text}{comma}{closing}"


def _has_items(value: Any) -> bool:
    return dataclasses.is_dataclass(value) or isinstance(value, dict | tuple)


def _items(value: Any) -> tuple[str, list[tuple[str, Any]], str]:
    """How a dataclass, dict or tuple opens, its labelled items, and how it closes."""
    if isinstance(value, dict):
        return "{", [(f"{json.dumps(key)}: ", item) for key, item in value.items()], "}"
    if isinstance(value, tuple):
        return "(", [("", item) for item in value], ")"
    given = [(field, getattr(value, field.name)) for field in dataclasses.fields(value)]
    labelled = [(f"{field.name}=", item) for field, item in given if item != field.default]
    return f"{type(value).__name__}(", labelled, ")"
