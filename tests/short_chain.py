"""A chain of four FBNet layers: all that a space of layers has, and small enough to enumerate."""

from __future__ import annotations

from chronas.errors import ParseError
from chronas.spaces import Architecture, Decision, Group, LayerTopology, Space

BLOCKS = ("k3_e1", "k3_e1_g2", "k5_e3", "skip")


class ShortChain(Space):
    """Strides and channels change in the second and fourth layer; the text form is four digits."""

    name = "short-chain"
    topology = LayerTopology(width=8, widths=(8, 12, 12, 16), heads={"cifar": 32}, strides={"cifar": (1, 1, 2, 1, 2)})
    decisions = tuple(Decision(f"layer.{layer}", BLOCKS) for layer in range(4))
    groups = tuple(Group((layer,), 1) for layer in range(4))
    sizes = {}

    def text(self, architecture: Architecture) -> str:
        return "".join(map(str, architecture.choices))

    def parse(self, text: str) -> Architecture:
        if len(text) != 4 or not set(text) <= set("0123"):
            raise ParseError(f"expected four digits 0..3, got {text!r}")
        return self.architecture([int(digit) for digit in text])


SHORT_CHAIN = ShortChain()
