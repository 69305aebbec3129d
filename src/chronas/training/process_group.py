"""The processes that train one network together: each computes its part of every batch, the first one writes files.

with launched_group() as group:
    train(network, images, validation, normalisation, recipe, folder=folder, seed=0, group=group)

Started by `torchrun --nproc-per-node 2 script.py`, this gives one process's result to rounding. They talk by gloo.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module

import torch
from torch import Tensor, distributed

from chronas.errors import MismatchError, UsageError

LAUNCHED = "TORCHELASTIC_RUN_ID"  # what torchrun sets in each process that it starts
PATIENCE = timedelta(days=30)  # the others wait while the first one measures; one that ends is noticed at once


@dataclass(frozen=True)
class ProcessGroup:
    """Processes that do the same steps in the same order.

    Attributes:
        rank: which one this is, from 0.
        size: how many there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the one that writes and prints."""
        return self.rank == 0

    def part(self, count: int) -> slice:
        """This process's rows of `count`; parts differ in size by at most one."""
        return slice(count * self.rank // self.size, count * (self.rank + 1) // self.size)

    def total(self, tensor: Tensor) -> Tensor:
        """The sum over all processes, in place and given back."""
        if self.size > 1:
            distributed.all_reduce(tensor)
        return tensor

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Put the sum over all processes in each tensor, all in one message."""
        if self.size == 1:
            return
        flat = self.total(torch.cat([tensor.flatten() for tensor in tensors]))
        for tensor, summed in zip(tensors, torch.split(flat, [tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(summed.view(tensor.shape))

    def mean(self, tensors: Sequence[Tensor | None]) -> list[Tensor | None]:
        """The mean over all processes of each tensor, all in one message; what is None is so in all of them."""
        if self.size == 1:
            return list(tensors)
        found = [None if tensor is None else tensor.detach().clone() for tensor in tensors]
        there = [tensor for tensor in found if tensor is not None]
        self.add_up(there)
        for tensor in there:
            tensor /= self.size
        return found

    def broadcast(self, text: str = "") -> str:
        """The first process's text, in all of them; what the others give does not matter."""
        content = list(text.encode()) if self.first else []
        length = self.total(torch.tensor([len(content)]))
        held = torch.zeros(int(length), dtype=torch.uint8)
        held[: len(content)] = torch.tensor(content, dtype=torch.uint8)
        return bytes(self.total(held).tolist()).decode()

    def wait(self) -> None:
        """Go on when all processes are here."""
        if self.size > 1:
            distributed.barrier()

    def require_same(self, number: int, what: str) -> None:
        """Hold that all processes have the same number.

        Raises:
            MismatchError: they have not; the message names `what`.
        """
        numbers = torch.zeros(self.size, dtype=torch.int64)
        numbers[self.rank] = number
        found = self.total(numbers).tolist()
        if len(set(found)) > 1:
            raise MismatchError(f"the processes should have the same {what}, got {found}: give all of them one folder")


SINGLE_PROCESS = ProcessGroup()


@contextmanager
def launched_group() -> Iterator[ProcessGroup]:
    """The processes that torchrun started with this one, connected for the block; `SINGLE_PROCESS` where it did not.

    The block begins in none of them before all are connected.

    Raises:
        UsageError: this torch was built without gloo.
    """
    if LAUNCHED not in os.environ:
        yield SINGLE_PROCESS
        return
    if not (distributed.is_available() and distributed.is_gloo_available()):
        raise UsageError(
            "torchrun needs a torch with gloo, this one has none: run one process, or install another torch"
        )
    # Imported in the block, as optimisers do, this module would keep the group for good, and gloo's threads with it,
    # which may crash at the process's exit.
    import_module("torch.distributed.nn")
    distributed.init_process_group("gloo", timeout=PATIENCE)
    try:
        distributed.barrier()  # one that refuses and ends while another still connects breaks that one's connecting
        yield ProcessGroup(distributed.get_rank(), distributed.get_world_size())
    finally:
        distributed.destroy_process_group()
