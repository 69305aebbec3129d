"""A state of a cell with what several edges that leave it need, each made once.

Letters: `B` images, `C` channels that go through operations, `E` edges.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import torch
from torch import Tensor, nn

from chronas.supernets.dilation import apart


class State:
    """What a node holds while a cell is computed."""

    def __init__(self, x: Tensor, norm: nn.Module) -> None:
        """Take the node's tensor [B, C, H, W], and the norm of all that is computed of it, a `Standardise`."""
        self.x = x
        self.norm = norm
        self._made: dict[tuple[str, int], Tensor] = {}

    @cached_property
    def rectified(self) -> Tensor:
        """[B, C, H, W] the ReLU that most operations begin with."""
        return self.x.relu()

    def repeated(self, edges: int) -> Tensor:
        """[B, E * C, H, W] the rectified state, once for each edge."""
        return self._kept("repeated", edges, lambda: _times(self.rectified, edges))

    def halved(self, edges: int) -> Tensor:
        """[B, E * C, H / 2, W / 2], rounded up: every second row and column of it."""
        return self._kept("halved", edges, lambda: _times(self.rectified[:, :, ::2, ::2], edges))

    def sublattices(self, edges: int) -> Tensor:
        """[4 * B, E * C, H / 2, W / 2], rounded up: those of it."""
        return self._kept("sublattices", edges, lambda: _times(self._apart, edges))

    def once(self, number: int, operation: nn.Module) -> Tensor:
        """What an operation without weights gives, the same on all edges that leave this state; `number` tells it."""
        return self._kept("operation", number, lambda: operation(self.x))

    @cached_property
    def _apart(self) -> Tensor:
        return apart(self.rectified)

    def _kept(self, what: str, number: int, make: Callable[[], Tensor]) -> Tensor:
        if (what, number) not in self._made:
            self._made[what, number] = make()
        return self._made[what, number]


def _times(x: Tensor, edges: int) -> Tensor:
    return x if edges == 1 else torch.cat([x] * edges, dim=1)
