"""A supernet in several processes: each holds a part of every batch, and batch statistics are those of the whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor

from chronas.errors import UsageError
from chronas.supernets import BatchStandardise, Supernet
from chronas.training import ProcessGroup, normalised, synced_batch_norm

EPSILON = 1e-5  # torch.nn.functional.batch_norm's


class _SharedStandardise(BatchStandardise):
    """A batch norm with the statistics of all parts of a batch of `whole` images; `own` of them are here."""

    def __init__(self, group: ProcessGroup, whole: int) -> None:
        super().__init__()
        self._group, self._whole, self._own = group, whole, len(range(whole)[group.part(whole)])

    def scaled(self, x: Tensor, scale: Tensor | None) -> Tensor:
        values = x.numel() // x.shape[1] // self._own * self._whole
        return normalised(x, scale, EPSILON, values, self._group)


@contextmanager
def synced_batches(supernet: Supernet, group: ProcessGroup, images: int) -> Iterator[None]:
    """Make a supernet use the statistics of whole batches of `images` images inside the block.

    Raises:
        UsageError: there are fewer images than processes.
    """
    if group.size == 1:
        yield
        return
    if images < group.size:
        raise UsageError(
            f"{group.size} processes cannot share a batch of {images} images: start fewer, or raise the batch"
        )
    holders = [
        (module, name, child)
        for module in list(supernet.modules())
        for name, child in list(module.named_children())
        if isinstance(child, BatchStandardise)
    ]
    for holder, name, _ in holders:
        setattr(holder, name, _SharedStandardise(group, images))
    try:
        with synced_batch_norm(supernet, group) as set_whole_batch:
            set_whole_batch(images)
            yield
    finally:
        for holder, name, child in holders:
            setattr(holder, name, child)
