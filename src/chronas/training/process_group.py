"""The processes that train one network together. Each computes a part of every batch; the first one writes files.

with launched_group() as group:
    train(network, images, validation, normalisation, recipe, folder=folder, seed=0, group=group)

Start the script with `torchrun --nproc-per-node 2 script.py`. The result equals that of one process up to rounding. The
processes communicate by gloo.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, distributed, nn

from chronas.errors import MismatchError, UsageError
from chronas.networks import DropPath

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


# ----
# Synchronised batch norm and drop path for data-parallel training: both use the whole batch.
#
# Each process holds a part of the batch. Batch norm uses the mean and variance of all parts (as torch's
# SyncBatchNorm, which runs on GPUs only). With xhat = (x - mean) / std, N values a channel in the whole batch and g
# the gradient of the output, the input's gradient is weight / std * (g - sum(g) / N - xhat * sum(g * xhat) / N): both
# sums run over all processes (Ioffe and Szegedy, arXiv:1502.03167). Drop path draws for the whole batch, so that the
# result for an image does not depend on the process that holds it.

CHANNEL = (1, -1, 1, 1)
ALL_BUT_CHANNEL = (0, 2, 3)


class _Normalised(torch.autograd.Function):
    """x [B, C, H, W], a part of a batch -> xhat * weight + bias, and mean and variance [C] of the whole batch."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, epsilon: float, values: int, group: ProcessGroup
    ) -> tuple[Tensor, Tensor, Tensor]:
        own_var, own_mean = torch.var_mean(x, ALL_BUT_CHANNEL, correction=0)
        own_var, own_mean = own_var.double(), own_mean.double()  # so that the difference of squares keeps its digits
        share = x.numel() / x.shape[1] / values
        mean, square = group.total(torch.stack([own_mean, own_var + own_mean.square()]) * share)
        var = square - mean.square()
        inverse = (var + epsilon).rsqrt().to(x.dtype)
        mean = mean.to(x.dtype)
        ctx.save_for_backward(x, weight, mean, inverse)
        ctx.values, ctx.group = values, group
        scale = weight * inverse
        out = torch.addcmul((bias - mean * scale).view(CHANNEL), x, scale.view(CHANNEL))
        var = var.to(x.dtype)
        ctx.mark_non_differentiable(mean, var)
        return out, mean, var

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        x, weight, mean, inverse = ctx.saved_tensors
        grad = grads[0]
        xhat = (x - mean.view(CHANNEL)) * inverse.view(CHANNEL)
        own = torch.stack([grad.sum(ALL_BUT_CHANNEL), (grad * xhat).sum(ALL_BUT_CHANNEL)])
        shift, slope = ctx.group.total(own.clone()) / ctx.values
        inner = grad - shift.view(CHANNEL) - xhat * slope.view(CHANNEL)
        return inner * (weight * inverse).view(CHANNEL), own[1], own[0], None, None, None


def normalised(x: Tensor, scale: Tensor | None, epsilon: float, values: int, group: ProcessGroup) -> Tensor:
    """[B, C, H, W], a part of a batch -> xhat * scale [C]; the whole batch has `values` numbers a channel."""
    weight = torch.ones_like(x[0, :, 0, 0]) if scale is None else scale
    zeros = torch.zeros_like(weight)
    out, _, _ = _Normalised.apply(x, weight, zeros, epsilon, values, group)  # type: ignore[no-untyped-call]
    return out  # type: ignore[no-any-return]


class SyncBatchNorm(nn.BatchNorm2d):
    """A batch norm that uses the statistics of the whole batch in training; it shares all tensors with `norm`.

    Attributes:
        whole: number of images in the whole current batch.
    """

    def __init__(self, norm: nn.BatchNorm2d, group: ProcessGroup) -> None:
        super().__init__(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
        self.whole, self._group = 0, group
        self._parameters, self._buffers = norm._parameters, norm._buffers
        self.training = norm.training

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C, H, W]."""
        if not self.training:
            return super().forward(x)
        values = self.whole * x.shape[2] * x.shape[3]
        weight = self.weight if self.affine else torch.ones_like(x[0, :, 0, 0])
        bias = self.bias if self.affine else torch.zeros_like(weight)
        out, mean, var = _Normalised.apply(x, weight, bias, self.eps, values, self._group)  # type: ignore[no-untyped-call]
        if self.track_running_stats:
            self._remember(mean, var * (values / (values - 1)))
        return out  # type: ignore[no-any-return]

    def _remember(self, mean: Tensor, var: Tensor) -> None:
        """Update the running statistics as torch does; the variance is the unbiased one."""
        assert self.momentum is not None and self.running_mean is not None and self.running_var is not None
        assert self.num_batches_tracked is not None
        with torch.no_grad():
            self.num_batches_tracked.add_(1)
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(var, self.momentum)


class SyncDropPath(DropPath):
    """Drop path for a part of a batch, drawn for the whole batch.

    Attributes:
        whole: number of images in the whole current batch.
    """

    def __init__(self, group: ProcessGroup) -> None:
        super().__init__()
        self.whole, self._group = 0, group

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C, H, W], each image zeroed or divided by the probability to keep it."""
        if not self.training or self.probability == 0.0:
            return x
        keep = 1.0 - self.probability
        mask = torch.empty(self.whole, 1, 1, 1, dtype=x.dtype, device=x.device).bernoulli_(keep)
        return x / keep * mask[self._group.part(self.whole)]


@contextmanager
def synced_batch_norm(network: nn.Module, group: ProcessGroup) -> Iterator[Callable[[int], None]]:
    """A network whose batch norm and drop path use the whole batch inside the block, and are restored afterwards.

    Yields a function that sets the number of images in the next whole batch. With a single process nothing changes.
    """
    kept: list[tuple[nn.Module, str, nn.Module]] = []
    minding: list[SyncBatchNorm | SyncDropPath] = []
    if group.size > 1:
        for parent in list(network.modules()):
            for name, child in list(parent.named_children()):
                if isinstance(child, nn.BatchNorm2d | DropPath):
                    other = SyncBatchNorm(child, group) if isinstance(child, nn.BatchNorm2d) else SyncDropPath(group)
                    kept.append((parent, name, child))
                    minding.append(other)
                    setattr(parent, name, other)

    def set_whole_batch(images: int) -> None:
        for module in minding:
            module.whole = images

    try:
        yield set_whole_batch
    finally:
        for parent, name, child in kept:
            setattr(parent, name, child)
