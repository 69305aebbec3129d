"""The DARTS space: a normal and a reduction cell of 4 nodes, each node with 2 of its possible inputs.

Liu et al., DARTS, https://arxiv.org/abs/1806.09055; operations, layout and text form as in
https://github.com/quark0/darts (cnn/genotypes.py, cnn/model.py). As in that code, `none` takes part in a supernet's
softmax and is never derived.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from chronas.arguments import require_kind
from chronas.errors import ParseError, excerpt, unknown_name
from chronas.spaces.space import Architecture, Choice, Decision, Group, NetworkSize, Space
from chronas.spaces.topologies import Cell, CellTopology
from chronas.spaces.topologies.reachability import operation_counts

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

OPERATIONS = (
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
INPUTS = 2
NODES = 4
KEPT = 2  # inputs of a node
OUTPUT = tuple(range(INPUTS, INPUTS + NODES))
EDGES = tuple((source, target) for target in OUTPUT for source in range(target))
LONGEST_TEXT = 2048  # a genotype has about 500 characters; the bound keeps the parser's work and its numbers small
EXAMPLE = (
    "Genotype(normal=[('sep_conv_3x3', 0), ...], normal_concat=range(2, 6), reduce=[...], reduce_concat=range(2, 6))"
)

# https://github.com/yuhuixu1993/PC-DARTS/blob/master/genotypes.py
GENOTYPES = {
    "DARTS_V1": (
        "Genotype(normal=[('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('skip_connect', 0), ('sep_conv_3x3', 1), "
        "('skip_connect', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('skip_connect', 2)], "
        "normal_concat=[2, 3, 4, 5], "
        "reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 0), "
        "('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), ('avg_pool_3x3', 0)], "
        "reduce_concat=[2, 3, 4, 5])"
    ),
    "DARTS_V2": (
        "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), "
        "('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], "
        "normal_concat=[2, 3, 4, 5], "
        "reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), "
        "('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], "
        "reduce_concat=[2, 3, 4, 5])"
    ),
    "PC_DARTS_cifar": (
        "Genotype(normal=[('sep_conv_3x3', 1), ('skip_connect', 0), ('sep_conv_3x3', 0), ('dil_conv_3x3', 1), "
        "('sep_conv_5x5', 0), ('sep_conv_3x3', 1), ('avg_pool_3x3', 0), ('dil_conv_3x3', 1)], "
        "normal_concat=range(2, 6), "
        "reduce=[('sep_conv_5x5', 1), ('max_pool_3x3', 0), ('sep_conv_5x5', 1), ('sep_conv_5x5', 2), "
        "('sep_conv_3x3', 0), ('sep_conv_3x3', 3), ('sep_conv_3x3', 1), ('sep_conv_3x3', 2)], "
        "reduce_concat=range(2, 6))"
    ),
}


def layout(depth: int) -> tuple[str, ...]:
    """Names of the cells of a network of `depth` cells: reductions after one and two thirds."""
    return tuple("reduce" if i in (depth // 3, 2 * depth // 3) else "normal" for i in range(depth))


class Darts(Space):
    """28 decisions "normal.<target>.<source>" and "reduce.<target>.<source>"; states 0 and 1 are the cell's inputs."""

    name = "darts"
    topology = CellTopology(
        cells=(
            Cell("normal", INPUTS, NODES, EDGES, first=0, output=OUTPUT),
            Cell("reduce", INPUTS, NODES, EDGES, first=len(EDGES), output=OUTPUT, stride=2),
        ),
        layout=layout,
        stems=("cifar", "imagenet"),
        stem_multiplier=3,
        normalised_head=False,
        auxiliary=True,
    )
    decisions = tuple(
        Decision(f"{cell.name}.{target}.{source}", OPERATIONS, unselectable=("none",))
        for cell in topology.cells
        for source, target in cell.edges
    )
    groups = tuple(
        Group(tuple(cell.decision(e) for e, edge in enumerate(cell.edges) if edge[1] == target), KEPT)
        for cell in topology.cells
        for target in OUTPUT
    )
    sizes = {
        "cifar10": NetworkSize(input_shape=(3, 32, 32), outputs=10, width=36, depth=20),
        "cifar100": NetworkSize(input_shape=(3, 32, 32), outputs=100, width=36, depth=20),
        "imagenet": NetworkSize(input_shape=(3, 224, 224), outputs=1000, width=48, depth=14, stem="imagenet"),
    }

    def parse(self, text: str) -> Architecture:
        """The architecture of a Genotype text, either as `text` writes it or as published; never evaluated as code.

        Raises:
            ParseError: no Genotype, a wrong number of pairs, an unknown operation, or an input that does not exist.
        """
        require_kind(text, "an architecture's text", str)
        fields = _fields(text)
        choices: list[Choice] = [None] * len(self.decisions)
        for cell in self.topology.cells:
            _check_concat(cell.name, fields[f"{cell.name}_concat"])
            pairs = _pairs(cell.name, fields[cell.name])
            for number, (operation, source) in enumerate(pairs):
                target = INPUTS + number // KEPT
                if not 0 <= source < target:
                    raise ParseError(
                        f"{cell.name} node {target} has inputs 0..{target - 1}, got {excerpt(str(source))}"
                    )
                decision = cell.decision(EDGES.index((source, target)))
                if choices[decision] is not None:
                    raise ParseError(
                        f"{cell.name} node {target} has input {source} twice; expected {KEPT} different ones"
                    )
                choices[decision] = OPERATIONS.index(operation)
        return Architecture(self, tuple(choices))

    def text(self, architecture: Architecture) -> str:
        """The Genotype on one line; the inputs of each node ascend."""
        parts = []
        for cell in self.topology.cells:
            pairs = [(architecture.operation(cell.decision(e)), s) for e, (s, _) in enumerate(cell.edges)]
            chosen = [pair for pair in pairs if pair[0] is not None]
            parts.append(f"{cell.name}={chosen}, {cell.name}_concat=range({OUTPUT[0]}, {OUTPUT[-1] + 1})")
        return f"Genotype({', '.join(parts)})"

    def feature_map(self) -> NDArray[np.float64]:
        """Counts of each operation by cell [21, 196]; edges that halve the image are counted separately."""
        return operation_counts(
            self, [(c.name, c.stride > 1 and source < c.inputs) for c in self.topology.cells for source, _ in c.edges]
        )


def _fields(text: str) -> dict[str, ast.expr]:
    if len(text) > LONGEST_TEXT:
        raise ParseError(f"a Genotype has at most {LONGEST_TEXT} characters, got {len(text)}")
    try:
        node = ast.parse(text.strip(), mode="eval").body
        ast.unparse(node)  # refuses text that is nested too deep to be shown in a message
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ParseError(f"expected {EXAMPLE}, got {excerpt(text)}, which does not parse") from error
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Genotype"):
        raise ParseError(f"expected {EXAMPLE}, got {excerpt(text)}")
    fields = {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg is not None}
    expected = {f"{cell.name}{suffix}" for cell in Darts.topology.cells for suffix in ("", "_concat")}
    if node.args or len(node.keywords) != len(expected) or set(fields) != expected:
        raise ParseError(f"a Genotype has the fields {', '.join(sorted(expected))}, each once, got {excerpt(text)}")
    return fields


def _check_concat(cell: str, node: ast.expr) -> None:
    wanted = list(OUTPUT)
    if ast.unparse(node) != f"range({OUTPUT[0]}, {OUTPUT[-1] + 1})" and _numbers(node) != wanted:
        raise ParseError(f"{cell}_concat must be range(2, 6) or {wanted}, got {excerpt(ast.unparse(node))}")


def _numbers(node: ast.expr) -> list[object]:
    elements = node.elts if isinstance(node, ast.List | ast.Tuple) else []
    return [element.value if isinstance(element, ast.Constant) else None for element in elements]


def _pairs(cell: str, node: ast.expr) -> list[tuple[str, int]]:
    elements = node.elts if isinstance(node, ast.List | ast.Tuple) else []
    if len(elements) != KEPT * NODES:
        raise ParseError(f"{cell} must be a list of {KEPT * NODES} pairs, got {excerpt(ast.unparse(node))}")
    pairs = []
    for element in elements:
        values = _numbers(element)
        if len(values) != 2 or not isinstance(values[0], str) or type(values[1]) is not int:
            raise ParseError(f"{cell} must have pairs like ('sep_conv_3x3', 0), got {excerpt(ast.unparse(element))}")
        if values[0] not in OPERATIONS:
            raise ParseError(str(unknown_name("operation", values[0], OPERATIONS)))
        pairs.append((values[0], values[1]))
    return pairs
