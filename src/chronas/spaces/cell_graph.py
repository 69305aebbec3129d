"""The graph that is left of a NAS-Bench-201 cell without identities and the steps that its output does not need.

Cells with the same graph cost the same in a runtime that drops both. That is finer than the benchmark's isomorphism,
which joins two convolutions of one input, with weights of their own, into one; and coarser, as a chain of identities is
no other graph here. The order of a sum counts only where both of its terms end in a convolution: runtimes let one of
the two add the other, and which one follows from the order. What a zero node feeds stays: they do not fold it all away.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from chronas.spaces.space import NOTHING

IDENTITY = "skip_connect"
CONVOLUTIONS = frozenset({"nor_conv_1x1", "nor_conv_3x3"})
SUM = "+"

Step = tuple[str, tuple[int, ...]]  # what it does, and the numbers of the steps whose results it takes


def graph_text(operations: Mapping[tuple[int, int], str], states: int) -> str:
    """A text that cells share if, and only if, they are the same graph.

    Args:
        operations: by (source state, target state), a name for each edge.
        states: their number; 0 is the input and the last one the output.
    """
    steps, output = _steps(operations, states)
    sums = [number for number in _needed(steps, output) if _commutes(steps, number)]
    orders = itertools.product(*[[steps[number][1], steps[number][1][::-1]] for number in sums])
    return min(_text(steps, output, dict(zip(sums, order, strict=True))) for order in orders)


def _steps(operations: Mapping[tuple[int, int], str], states: int) -> tuple[list[Step], int]:
    """The steps of a cell in the order in which its network takes them, and the number of the last one."""
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
    """Whether a convolution gives the result of a step, perhaps with other terms that it adds."""
    kind, terms = steps[number]
    return kind in CONVOLUTIONS or (kind == SUM and any(_ends_in_convolution(steps, term) for term in terms))


def _text(steps: list[Step], output: int, orders: Mapping[int, tuple[int, ...]]) -> str:
    """The graph from the output on; a step that was told before is a number, so that shared steps are no copies."""
    told: dict[int, int] = {}

    def tell(number: int) -> str:
        if number in told:
            return f"#{told[number]}"
        told[number] = len(told)
        kind, terms = steps[number]
        return f"{kind}({','.join(map(tell, orders.get(number, terms)))})"

    return tell(output)
