"""Small spaces of any shape, to hold what is derived from a space against plain enumeration."""

from __future__ import annotations

import itertools

from hypothesis import strategies as st

from chronas.errors import ParseError
from chronas.spaces import Architecture, Choice, Decision, Group, LayerTopology, Space


class ToySpace(Space):
    """Groups of decisions with the same options; the text form is the choices, joined by commas."""

    name = "toy"
    topology = LayerTopology(width=16, widths=(), heads={}, strides={})
    sizes = {}

    def __init__(self, shape: tuple[tuple[int, int], ...], options: int, *, with_none: bool) -> None:
        """Make a group for each (decisions, kept) of `shape`; the decisions of the groups are interleaved."""
        numbers = iter(sorted(range(sum(size for size, _ in shape)), key=lambda d: (d % 3, d)))
        self.groups = tuple(Group(tuple(sorted(itertools.islice(numbers, size))), keep) for size, keep in shape)
        names = tuple(f"op{o}" for o in range(options))
        unselectable = ("none",) if with_none else ()
        count = sum(size for size, _ in shape)
        self.decisions = tuple(Decision(f"d{d}", names, unselectable) for d in range(count))

    def text(self, architecture: Architecture) -> str:
        return ",".join("-" if choice is None else str(choice) for choice in architecture.choices)

    def parse(self, text: str) -> Architecture:
        try:
            return self.architecture([None if part == "-" else int(part) for part in text.strip().split(",")])
        except ValueError as error:
            raise ParseError(f"expected numbers, got {text!r}") from error

    def everything(self) -> list[Architecture]:
        """All valid architectures, by trying every choice of every decision."""
        ranges: list[list[Choice]] = [[None, *range(len(d.options))] for d in self.decisions]
        return [
            Architecture(self, choices)
            for choices in itertools.product(*ranges)
            if all(sum(choices[d] is not None for d in group.decisions) == group.keep for group in self.groups)
        ]


def toy_spaces() -> st.SearchStrategy[ToySpace]:
    """Spaces of one to three groups with up to three decisions each; at most some hundred architectures."""
    group = st.integers(1, 3).flatmap(lambda size: st.tuples(st.just(size), st.integers(1, size)))
    shapes = st.lists(group, min_size=1, max_size=3).filter(lambda shape: sum(size for size, _ in shape) <= 5)
    return st.builds(
        lambda shape, options, with_none: ToySpace(tuple(shape), options, with_none=with_none),
        shapes,
        st.integers(2, 3),
        st.booleans(),
    )
