"""A cell of four edges side by side, for choices that are planted: only its convolutions see more than the stem."""

from __future__ import annotations

from chronas.errors import ParseError
from chronas.spaces import Architecture, Cell, CellTopology, Decision, Group, Space

OPERATIONS = ("none", "nor_conv_3x3")
EDGES = 4
STATES = tuple(range(1, EDGES + 1))
PAIRS = tuple((0, state) for state in STATES)


class ParallelCell(Space):
    """All edges leave the input and go side by side to the output, which no batch norm follows; the text is digits."""

    name = "parallel-cell"
    topology = CellTopology(
        cells=(Cell("cell", inputs=1, nodes=EDGES, edges=PAIRS, first=0, output=STATES),),
        layout=lambda depth: ("cell",) * depth,
        stems=("cifar",),
        stem_multiplier=1,
        normalised_head=False,
        auxiliary=False,
    )
    decisions = tuple(Decision(f"edge.{edge}", OPERATIONS) for edge in range(EDGES))
    groups = tuple(Group((edge,), 1) for edge in range(EDGES))
    sizes = {}

    def text(self, architecture: Architecture) -> str:
        return "".join(map(str, architecture.choices))

    def parse(self, text: str) -> Architecture:
        if len(text) != EDGES or not set(text) <= set("01"):
            raise ParseError(f"expected four digits 0 or 1, got {text!r}")
        return self.architecture([int(digit) for digit in text])


PARALLEL_CELL = ParallelCell()
