"""Endless shuffled batches of augmented images.

Each epoch holds every image once, in a new order. Order and augmentation are drawn from (seed, epoch, step). So the
exact position is two numbers, and a restored loader gives bit for bit the same batches.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from chronas.data.augment import Augment
from chronas.data.images import Images, Normalisation
from chronas.errors import MismatchError, UsageError

ORDER, AUGMENT = range(2)  # purposes of generators; each has its own stream


def _generator(*key: int) -> torch.Generator:
    """A generator that depends only on the numbers of `key`."""
    seed = int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> np.uint64(1))
    return torch.Generator().manual_seed(seed)


class Batches(Iterator[tuple[Tensor, Tensor]]):
    """Endless shuffled batches for training; `next(batches)` gives float32 [B, C, H, W] and int64 [B].

    The batches of an epoch have at most `batch` images and differ in size by at most one. There is no small last batch,
    which would harm batch norm.

    Args:
        images: the images to draw from.
        batch: largest number of images in a batch.
        normalisation: normalisation of the training images.
        seed: seed of order and augmentation.
        augment: random changes; None for none.

    Raises:
        UsageError: `batch` is less than one or `seed` is negative.
    """

    def __init__(
        self, images: Images, batch: int, normalisation: Normalisation, *, seed: int, augment: Augment | None = None
    ) -> None:
        if batch < 1 or seed < 0:
            raise UsageError(f"a batch needs at least one image and a seed of at least 0, got {batch} and {seed}")
        self.images = images
        self.batch = batch
        self.normalisation = normalisation
        self.seed = seed
        self.augment = augment or Augment()
        self.steps_per_epoch = -(-len(images) // batch)
        self._move_to(epoch=0, step=0)

    def __next__(self) -> tuple[Tensor, Tensor]:
        if self._step == self.steps_per_epoch:
            self._move_to(epoch=self._epoch + 1, step=0)
        indices = self._order[self._step]
        pixels = self.images.pixels.index_select(0, indices)  # six times as fast as indexing
        generator = _generator(self.seed, AUGMENT, self._epoch, self._step)
        self._step += 1
        return self.augment(pixels, self.normalisation, generator), self.images.labels[indices]

    def state(self) -> dict[str, int]:
        """The position and the loader's identity, for JSON."""
        return {**self._identity(), "epoch": self._epoch, "step": self._step}

    def restore(self, state: dict[str, int]) -> None:
        """Go to the exact position of `state`.

        Raises:
            MismatchError: the state belongs to other images, another batch size or another seed.
        """
        other = {key: state.get(key) for key in self._identity()}
        if other != self._identity():
            raise MismatchError(f"the loader has {self._identity()} but the saved position is of {other}")
        self._move_to(epoch=state["epoch"], step=state["step"])

    def _identity(self) -> dict[str, int]:
        return {"images": len(self.images), "batch": self.batch, "seed": self.seed}

    def _move_to(self, *, epoch: int, step: int) -> None:
        self._epoch, self._step = epoch, step
        order = torch.randperm(len(self.images), generator=_generator(self.seed, ORDER, epoch))
        self._order = order.tensor_split(self.steps_per_epoch)


def spread_batches(images: Images, batch: int, normalisation: Normalisation) -> Iterator[tuple[Tensor, Tensor]]:
    """All images once, in batches of nearly equal size and of images from all parts of their order.

    For networks whose batch norms use the statistics of the batch: images in a folder are in the order of their
    classes, and a batch of one or two classes has other statistics.
    """
    count = -(-len(images) // batch)
    for start in range(count):
        part = slice(start, None, count)
        yield normalisation(images.pixels[part]), images.labels[part]


def every_batch(images: Images, batch: int, normalisation: Normalisation) -> Iterator[tuple[Tensor, Tensor]]:
    """All images once, in order: float32 [B, C, H, W] and int64 [B]; the last batch may be small."""
    for start in range(0, len(images), batch):
        part = slice(start, start + batch)
        yield normalisation(images.pixels[part]), images.labels[part]
