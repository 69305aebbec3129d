"""Writes a network as one readable Python file, `model.py`, that needs torch but not chronas; weights lie next to it.

The classes are copied from the files that define them: operations.py and cells.py for ours, other files for a user's
own. Unused operations are left out. Below the classes, the architecture is a plan of plain data. The weights are in
`model.safetensors`. Annotations are real types, not strings, so that the file can be loaded in any way: with strings,
dataclasses would look for the module in `sys.modules`.
"""

from __future__ import annotations

import ast
import dataclasses
import json
import sys
import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chronas.errors import UsageError
from chronas.files import write_text
from chronas.networks import inlining, standalone
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
    found = inlining.inlined(
        [cls for cls in dict.fromkeys(classes) if not cls.__module__.startswith("torch.")],
        standalone,
        inlining.mentions(map(ast.parse, ends)),
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
