"""A search space of your own, checked by the contract suite that chronas runs on its own spaces.

    pytest examples/test_my_space.py

Suites for devices, predictors and searchers are used in the same way: see `chronas.testing`.
"""

from __future__ import annotations

from chronas.errors import ParseError
from chronas.spaces import Architecture, Decision, Group, LayerTopology, NetworkSize, Space
from chronas.testing import SpaceContract

BLOCKS = ("k3_e1", "k3_e3", "k5_e3", "skip")  # inverted residuals: kernel and expansion


class MySpace(Space):
    """Six inverted residuals; the text form is six digits."""

    name = "my-space"
    topology = LayerTopology(
        width=16, widths=(16, 24, 24, 32, 32, 64), heads={"cifar": 128}, strides={"cifar": (1, 1, 2, 1, 2, 1, 2)}
    )
    decisions = tuple(Decision(f"layer.{number}", BLOCKS) for number in range(6))
    groups = tuple(Group((number,), 1) for number in range(6))
    sizes = {"photos": NetworkSize(input_shape=(3, 32, 32), outputs=5, width=16, depth=1)}

    def text(self, architecture: Architecture) -> str:
        """The digits of an architecture."""
        return "".join(str(choice) for choice in architecture.choices)

    def parse(self, text: str) -> Architecture:
        """The architecture of six digits."""
        digits = text.strip()
        if len(digits) != 6 or not set(digits) <= set("0123"):
            raise ParseError(f"expected six digits 0..3 like 012301, got {digits[:20]!r}")
        return self.architecture([int(digit) for digit in digits])


class TestMySpace(SpaceContract):
    """One line is all that the suite needs."""

    space = MySpace()
