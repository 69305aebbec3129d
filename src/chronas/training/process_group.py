"""The processes that train one network together. Each computes a part of every batch; the first one writes files.

with launched_group() as group:
    train(network, images, validation, normalisation, recipe, folder=folder, seed=0, group=group)

Start the script with `torchrun --nproc-per-node 2 script.py`. The result equals that of one process up to rounding. The
processes communicate by gloo.
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

LAUNCHED = "TORCHELASTIC_RUN_ID"  # torchrun sets this in each process that it starts
PATIENCE = timedelta(days=30)  # the others wait while the first one measures; one that ends is noticed at once


@dataclass(frozen=True)
class ProcessGroup:
    """Processes that do the same steps in the same order.

    Attributes:
        rank: number of this process, from 0.
        size: number of processes.
    """

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and prints."""
        return self.rank == 0

    def part(self, count: int) -> slice:
        """The rows of `count` that this process takes; parts differ in size by at most one."""
        return slice(count * self.rank // self.size, count * (self.rank + 1) // self.size)

    def total(self, tensor: Tensor) -> Tensor:
        """The sum over all processes, in place; returns the tensor."""
        if self.size > 1:
            distributed.all_reduce(tensor)
        return tensor

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over all processes, with one message for all tensors."""
        if self.size == 1:
            return
        flat = self.total(torch.cat([tensor.flatten() for tensor in tensors]))
        for tensor, summed in zip(tensors, torch.split(flat, [tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(summed.view(tensor.shape))

    def mean(self, tensors: Sequence[Tensor | None]) -> list[Tensor | None]:
        """The mean over all processes of each tensor, with one message; a None must be None in all processes."""
        if self.size == 1:
            return list(tensors)
        found = [None if tensor is None else tensor.detach().clone() for tensor in tensors]
        there = [tensor for tensor in found if tensor is not None]
        self.add_up(there)
        for tensor in there:
            tensor /= self.size
        return found

    def broadcast(self, text: str = "") -> str:
        """The first process's text, in all processes; the other arguments are ignored."""
        content = list(text.encode()) if self.first else []
        length = self.total(torch.tensor([len(content)]))
        held = torch.zeros(int(length), dtype=torch.uint8)
        held[: len(content)] = torch.tensor(content, dtype=torch.uint8)
        return bytes(self.total(held).tolist()).decode()

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.size > 1:
            distributed.barrier()

    def require_same(self, number: int, what: str) -> None:
        """Check that all processes have the same number.

        Raises:
            MismatchError: the numbers differ; the message names `what`.
        """
        numbers = torch.zeros(self.size, dtype=torch.int64)
        numbers[self.rank] = number
        found = self.total(numbers).tolist()
        if len(set(found)) > 1:
            raise MismatchError(f"the processes should have the same {what}, got {found}: give all of them one folder")


SINGLE_PROCESS = ProcessGroup()


@contextmanager
def launched_group() -> Iterator[ProcessGroup]:
    """Connect the processes that torchrun started with this one, for the block; `SINGLE_PROCESS` without torchrun.

    No process enters the block before all are connected.

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
    # Optimisers import this module. If that happened inside the block, it would keep the group and gloo's threads,
    # which may crash at the process's exit.
    import_module("torch.distributed.nn")
    distributed.init_process_group("gloo", timeout=PATIENCE)
    try:
        distributed.barrier()  # a process that ends while another still connects would break that connection
        yield ProcessGroup(distributed.get_rank(), distributed.get_world_size())
    finally:
        distributed.destroy_process_group()
