"""The NAS-Bench-201 space: one cell of 4 states and 6 edges, 5 operations each, 15,625 architectures.

Dong and Yang, NAS-Bench-201, https://arxiv.org/abs/2001.00326; texts, indices and isomorphism as in
https://github.com/D-X-Y/AutoDL-Projects (`Structure.gen_all`, `Structure.to_unique_str`, `generate_meta_info`).

`pruned` uses another equivalence than the benchmark's isomorphism: the graph that remains of a cell without identities
and without the steps that its output does not need. Cells with the same graph cost the same in a runtime that drops
both. This is finer than the isomorphism, which merges two convolutions of one input although each has its own weights.
It is also coarser, because a chain of identities does not make another graph. The order of a sum counts only if both
terms end in a convolution: runtimes let one convolution add the other's result, and the order decides which. Steps fed
by a zero node stay, because runtimes do not fold all of them away.
"""

from __future__ import annotations

import functools
import itertools
import random
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from chronas.arguments import require_kind
from chronas.errors import ParseError, UsageError, excerpt, unknown_name
from chronas.spaces.operations import NOTHING
from chronas.spaces.space import Architecture, Choice, Decision, Group, NetworkSize, Space
from chronas.spaces.topologies import Cell, CellTopology
from chronas.spaces.topologies.reachability import operation_counts

if TYPE_CHECKING:
    from numpy.typing import NDArray


IDENTITY = "skip_connect"
CONVOLUTIONS = frozenset({"nor_conv_1x1", "nor_conv_3x3"})
SUM = "+"

Step = tuple[str, tuple[int, ...]]  # its operation, and the numbers of the steps whose results it takes


def graph_text(operations: Mapping[tuple[int, int], str], states: int) -> str:
    """A text that two cells share if and only if they have the same graph.

    Args:
        operations: (source state, target state) of each edge -> name of its operation.
        states: their number; 0 is the input and the last one the output.
    """
    steps, output = _steps(operations, states)
    sums = [number for number in _needed(steps, output) if _commutes(steps, number)]
    orders = itertools.product(*[[steps[number][1], steps[number][1][::-1]] for number in sums])
    return min(_text(steps, output, dict(zip(sums, order, strict=True))) for order in orders)


def _steps(operations: Mapping[tuple[int, int], str], states: int) -> tuple[list[Step], int]:
    """The steps of a cell in the order of execution, and the number of the last one."""
    steps: list[Step] = [("input", ()), ("zeros", ())]
    results = [0]
    for target in range(1, states):
        total: int | None = None
        for source in range(target):
            name = operations[source, target]
            if name == NOTHING:
                continue
            term = results[source]
            if name != IDENTITY:
                steps.append((name, (term,)))
                term = len(steps) - 1
            if total is not None:
                steps.append((SUM, (total, term)))
                term = len(steps) - 1
            total = term
        results.append(1 if total is None else total)
    return steps, results[-1]


def _needed(steps: list[Step], output: int) -> list[int]:
    """The numbers of the steps that the output depends on."""
    needed = {output}
    for number in range(len(steps) - 1, -1, -1):
        if number in needed:
            needed.update(steps[number][1])
    return sorted(needed)


def _commutes(steps: list[Step], number: int) -> bool:
    kind, terms = steps[number]
    return kind == SUM and not all(_ends_in_convolution(steps, term) for term in terms)


def _ends_in_convolution(steps: list[Step], number: int) -> bool:
    """Whether a convolution produces the result of a step, possibly by adding other terms."""
    kind, terms = steps[number]
    return kind in CONVOLUTIONS or (kind == SUM and any(_ends_in_convolution(steps, term) for term in terms))


def _text(steps: list[Step], output: int, orders: Mapping[int, tuple[int, ...]]) -> str:
    """The graph as text from the output backwards; a repeated step becomes a number, so that sharing is visible."""
    numbered: dict[int, int] = {}

    def text_of(number: int) -> str:
        if number in numbered:
            return f"#{numbered[number]}"
        numbered[number] = len(numbered)
        kind, terms = steps[number]
        return f"{kind}({','.join(map(text_of, orders.get(number, terms)))})"

    return text_of(output)


OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
ZERO, SKIP = 0, 1  # options that make no node of their own in the canonical form
STATES = 4
EDGES = tuple((source, target) for target in range(1, STATES) for source in range(target))
SHUFFLE_SEED = 88  # the official order: all cells, shuffled once by random.seed(88) in generate_meta_info
LONGEST_TEXT = 1024
EXAMPLE = "|nor_conv_3x3~0|+|nor_conv_3x3~0|none~1|+|skip_connect~0|none~1|skip_connect~2|"
TOKEN = re.compile(r"([^~|+]+)~([0-9])")


def layout(depth: int) -> tuple[str, ...]:
    """Names of the blocks: three stages of `depth` cells, a residual block of stride 2 between them."""
    stage = ("cell",) * depth
    return (*stage, "residual", *stage, "residual", *stage)


class NasBench201(Space):
    """6 decisions "cell.<target>.<source>"; `none` is an option of an edge here, not a missing decision."""

    name = "nasbench201"
    topology = CellTopology(
        cells=(Cell("cell", inputs=1, nodes=STATES - 1, edges=EDGES, first=0, output=(STATES - 1,)),),
        layout=layout,
        stems=("cifar",),
        stem_multiplier=1,
        normalised_head=True,
        auxiliary=False,
    )
    decisions = tuple(Decision(f"cell.{target}.{source}", OPERATIONS) for source, target in EDGES)
    groups = tuple(Group((d,), 1) for d in range(len(EDGES)))
    sizes = {
        "cifar10": NetworkSize(input_shape=(3, 32, 32), outputs=10, width=16, depth=5),
        "cifar100": NetworkSize(input_shape=(3, 32, 32), outputs=100, width=16, depth=5),
        "imagenet16-120": NetworkSize(input_shape=(3, 16, 16), outputs=120, width=16, depth=5),
    }

    def parse(self, text: str) -> Architecture:
        """The architecture of an official arch string.

        Raises:
            ParseError: the text does not list three nodes with every edge once, or has an unknown operation.
        """
        require_kind(text, "an architecture's text", str)
        nodes = text.strip().split("+") if len(text) <= LONGEST_TEXT else []
        if len(nodes) != STATES - 1:
            raise ParseError(f"expected three nodes like {EXAMPLE}, got {excerpt(text)}")
        choices: list[Choice] = []
        for target, node in enumerate(nodes, start=1):
            tokens = _tokens(node)
            if [int(source) for _, source in tokens] != list(range(target)):
                raise ParseError(f"node {target} must have the inputs 0..{target - 1} in order, got {excerpt(node)}")
            choices.extend(OPERATIONS.index(name) for name, _ in tokens)
        return Architecture(self, tuple(choices))

    def text(self, architecture: Architecture) -> str:
        """The official arch string."""
        names = {edge: architecture.operation(d) for d, edge in enumerate(EDGES)}
        nodes = ("".join(f"|{names[s, t]}~{s}" for s in range(t)) + "|" for t in range(1, STATES))
        return "+".join(nodes)

    def feature_map(self) -> NDArray[np.float64]:
        """Counts of the 5 operations, then the encoding itself [35, 30]."""
        counts = operation_counts(self, ["cell"] * len(self.decisions))
        return np.concatenate([counts, np.eye(self.encoding_length)])

    def canonical(self, architecture: Architecture) -> Architecture:
        """The isomorphic cell with the smallest official index; there are 6,466 of them."""
        return self.from_index(self._representatives[self.index(architecture)])

    def pruned(self, architecture: Architecture) -> Architecture:
        """The cell with the same graph and the smallest official index; there are 8,747 of them."""
        return self.from_index(self._graphs[self.index(architecture)])

    def index(self, architecture: Architecture) -> int:
        """The official index 0..15624."""
        return self._indices[architecture.choices]

    def from_index(self, index: int) -> Architecture:
        """The architecture of an official index.

        Raises:
            UsageError: the index is not within 0..15624.
        """
        if not isinstance(index, int | np.integer) or isinstance(index, bool) or not 0 <= index < len(self._official):
            raise UsageError(f"NAS-Bench-201 has the indices 0..{len(self._official) - 1}, got {index!r}")
        return Architecture(self, self._official[index])

    @functools.cached_property
    def _official(self) -> list[tuple[int, ...]]:
        every = list(itertools.product(range(len(OPERATIONS)), repeat=len(EDGES)))
        random.Random(SHUFFLE_SEED).shuffle(every)
        return every

    @functools.cached_property
    def _indices(self) -> dict[tuple[Choice, ...], int]:
        return {choices: index for index, choices in enumerate(self._official)}

    @functools.cached_property
    def _representatives(self) -> list[int]:
        first: dict[str, int] = {}
        return [first.setdefault(_expression(choices), index) for index, choices in enumerate(self._official)]

    @functools.cached_property
    def _graphs(self) -> list[int]:
        first: dict[str, int] = {}
        return [first.setdefault(_graph(choices), index) for index, choices in enumerate(self._official)]


def _tokens(node: str) -> list[tuple[str, str]]:
    if not (len(node) > 2 and node[0] == node[-1] == "|"):
        raise ParseError(f"a node must stand between bars, like |none~0|, got {excerpt(node)}")
    tokens = []
    for token in node[1:-1].split("|"):
        match = TOKEN.fullmatch(token)
        if match is None:
            raise ParseError(f"an edge must be an operation and a node, like nor_conv_3x3~0, got {excerpt(token)}")
        if match[1] not in OPERATIONS:
            raise ParseError(str(unknown_name("operation", match[1], OPERATIONS)))
        tokens.append((match[1], match[2]))
    return tokens


def _graph(choices: tuple[int, ...]) -> str:
    return graph_text({edge: OPERATIONS[choice] for edge, choice in zip(EDGES, choices, strict=True)}, STATES)


def _expression(choices: tuple[int, ...]) -> str:
    """The function that the output computes, as a text that isomorphic cells share: no skips, one zero, sorted sums."""
    states = ["0"]
    by_edge = dict(zip(EDGES, choices, strict=True))
    for target in range(1, STATES):
        terms = []
        for source in range(target):
            choice = by_edge[source, target]
            if choice == ZERO or states[source] == "#":
                terms.append("#")
            else:
                terms.append(states[source] if choice == SKIP else f"({states[source]})@{OPERATIONS[choice]}")
        states.append("+".join(sorted(terms)))
    return states[-1]
