"""Reads a file of `torch.export.save` (.pt2) as a module, without running anything that the file brings.

network, input_shape = read_exported(Path("model.pt2"))

PyTorch's own reader trusts the file: it looks operators up by any name in `torch`, evaluates texts of sizes, compiles
texts of guards, and falls back to pickles. So a copy in memory is read that has only operators of aten, sizes that are
sums and products, and no guards; tensors are read without pickled code. A file with more is refused.
"""

from __future__ import annotations

import copy
import functools
import io
import json
import re
import types
import warnings
import zipfile
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn

from chronas.errors import DataError, UsageError, excerpt
from chronas.reading import LARGEST, parse_json, readable, require_file

ADVICE = "export it again with torch.export, or use a copy"
OPERATOR = re.compile(r"torch\.ops\.aten\.\w+(\.\w+)?|_operator\.(getitem|add|sub|mul|neg|floordiv|mod|pow)")
SIZE = re.compile(  # as sympy writes sizes
    r"(Symbol\('\w+'(, (positive|integer|nonnegative)=True)*\)|(Integer|Add|Mul|Pow|Max|Min|Mod|FloorDiv)(?=\()"
    r"|[0-9+\-*(), ])*"
)
CONTAINERS = re.compile(
    r'([\[\]{},: ]|\d+|null|"(type|context|children_spec|builtins\.(tuple|list|dict))"|"null"|"\[\]")*'
)
NAMED = {  # key -> what its text may be
    "target": OPERATOR,
    "as_operator": OPERATOR,
    "expr_str": SIZE,
    "in_spec": CONTAINERS,
    "out_spec": CONTAINERS,
}
REFUSED = ("as_custom_obj", "class_fqn", "as_graph")
DROPPED: dict[str, Any] = {"metadata": {}, "guards_code": []}  # where a node comes from, and code that checks inputs
MODEL, JSON = "models/model.json", ".json"


class ExportedNetwork(nn.Module):
    """An exported program as a module in eval mode."""

    def __init__(self, graph: nn.Module) -> None:
        super().__init__()
        graph._forward_pre_hooks.clear()  # a check of inputs, which tracing does not pass
        graph.train = types.MethodType(_stay, graph)  # type: ignore[method-assign]  # PyTorch's own raises
        graph.eval = types.MethodType(_stay, graph)  # type: ignore[method-assign]
        self.graph = graph.requires_grad_(requires_grad=False)

    def forward(self, example: Tensor) -> Tensor:
        """Run the graph."""
        output: Tensor = self.graph(example)
        return output

    def __deepcopy__(self, memo: dict[int, Any]) -> ExportedNetwork:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # PyTorch's copying of its own containers warns of itself
            return ExportedNetwork(copy.deepcopy(self.graph, memo))


def _stay(graph: nn.Module, mode: bool = False) -> nn.Module:  # noqa: ARG001, FBT001, FBT002 - as nn.Module.train
    """The graph as it is: the mode was fixed when it was exported."""
    return graph


def read_exported(path: Path) -> tuple[nn.Module, tuple[int, ...]]:
    """The module of a file, and the shape of one example.

    Raises:
        DataError: it is missing, damaged, or has what is not taken: operators besides aten's, custom objects.
        UsageError: it has several inputs, or takes only batches of another size than 1.
    """
    require_file(path, LARGEST["weights"])
    with readable(path, "file of torch.export", ADVICE):
        content = _harmless(path)
        with warnings.catch_warnings(), mock.patch("torch.load", functools.partial(torch.load, weights_only=True)):
            warnings.simplefilter("ignore")
            program = torch.export.load(content)
    inputs = [node for node in program.graph.nodes if node.name in program.graph_signature.user_inputs]
    if len(inputs) != 1:
        raise UsageError(f"{path} has {len(inputs)} inputs: give a network of one")
    batch, *sizes = inputs[0].meta["val"].shape
    if not isinstance(batch, torch.SymInt) and batch != 1:
        raise UsageError(f"{path} takes a batch of {batch} and no other: export it with a batch of 1, or a dynamic one")
    if not all(isinstance(size, int) for size in sizes):
        raise UsageError(f"{path} leaves sizes besides the batch open: export it with fixed ones")
    return ExportedNetwork(program.module(check_guards=False)), tuple(sizes)


def _harmless(path: Path) -> io.BytesIO:
    """A copy with nothing but tensors, aten's operators and plain sizes.

    Raises:
        DataError: the file has something else; the message names it.
        ValueError: it is damaged.
    """
    harmless = io.BytesIO()
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(harmless, "w") as kept:
        size = sum(entry.file_size for entry in archive.infolist())
        if size > LARGEST["weights"]:
            raise DataError(f"{path} grows to {size} bytes, more than a network has: {ADVICE}")
        if not any(name.endswith(MODEL) for name in archive.namelist()):
            raise ValueError("it has no model")
        for entry in archive.infolist():
            data = archive.read(entry)
            if entry.filename.endswith(JSON):
                if entry.file_size > LARGEST["json"]:
                    raise DataError(f"{entry.filename} in {path} is too large: {ADVICE}")
                data = json.dumps(_checked(parse_json(data), path)).encode()
            kept.writestr(entry.filename, data)
    harmless.seek(0)
    return harmless


def _checked(content: Any, path: Path) -> Any:
    """The content without what is dropped; `DataError` names what is not taken."""
    if isinstance(content, list):
        return [_checked(each, path) for each in content]
    if not isinstance(content, dict):
        return content
    found = {}
    for key, value in content.items():
        allowed = NAMED.get(key)
        if key in REFUSED or (allowed is not None and not allowed.fullmatch(str(value))):
            raise DataError(f"{path} has the {key} {excerpt(str(value))}, which chronas does not run: {ADVICE}")
        found[key] = DROPPED[key] if key in DROPPED else _checked(value, path)
    return found
