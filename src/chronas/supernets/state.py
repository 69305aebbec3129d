"""A state of a cell with what several edges that leave it need, each made once.

Letters: `B` images, `C` channels that go through operations.
"""

from __future__ import annotations

from functools import cached_property

from torch import Tensor, nn

from chronas.supernets.dilation import apart


class State:
    """What a node holds while a cell is computed."""

    def __init__(self, x: Tensor) -> None:
        """Take the node's tensor [B, C, H, W]."""
        self.x = x
        self._made: dict[int, Tensor] = {}

    @cached_property
    def rectified(self) -> Tensor:
        """[B, C, H, W] the ReLU that most operations begin with."""
        return self.x.relu()

    @cached_property
    def sublattices(self) -> Tensor:
        """[4 * B, C, H / 2, W / 2], rounded up: those of the rectified state."""
        return apart(self.rectified)

    def once(self, number: int, operation: nn.Module) -> Tensor:
        """What an operation without weights gives, the same on all edges that leave this state; `number` tells it."""
        if number not in self._made:
            self._made[number] = operation(self.x)
        return self._made[number]
