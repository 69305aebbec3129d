"""Endless shuffled batches, with random crop, flip and cutout on whole batches.

Each epoch holds every image once, in a new order. Order and augmentation are drawn from (seed, epoch, step). So the
exact position is two numbers, and a restored loader gives bit for bit the same batches.

Augmentation follows DARTS (arXiv:1806.09055) and cutout (arXiv:1708.04552): the crop pads with black before
normalisation; after it, cutout sets a square, clipped at the border, to zero (the mean). Each image has its own draw,
without a loop over images.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn import functional

from chronas.data.images import Images, Normalisation
from chronas.errors import MismatchError, UsageError


class Augment(BaseModel):
    """Random changes to training images."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    crop_padding: int = Field(default=0, ge=0, le=64, description="black pixels on each side before a random crop")
    flip: bool = Field(default=False, description="mirror every second image, left to right")
    cutout: int = Field(default=0, ge=0, le=512, description="side of the square that is set to the mean, in pixels")

    def __call__(self, pixels: Tensor, normalisation: Normalisation, generator: torch.Generator) -> Tensor:
        """Augment and normalise uint8 `pixels` to float32 [B, C, H, W]."""
        moved = self._move(pixels, generator) if self.crop_padding or self.flip else pixels
        normalised = normalisation(moved)
        return normalised.mul_(self._kept(normalised, generator)) if self.cutout else normalised

    def _move(self, pixels: Tensor, generator: torch.Generator) -> Tensor:
        """Crop and flip in one gather; five times as fast as indexing by rows and columns, with the same result."""
        count, _, height, width = pixels.shape
        padding = self.crop_padding
        top, left = torch.randint(0, 2 * padding + 1, (2, count, 1), generator=generator)
        rows, columns = torch.arange(height) + top, torch.arange(width).expand(count, width)
        if self.flip:
            mirrored = torch.randint(0, 2, (count, 1), generator=generator, dtype=torch.bool)
            columns = torch.where(mirrored, columns.flip(1), columns)
        padded = functional.pad(pixels, [padding] * 4)
        place = rows.unsqueeze(2) * padded.shape[3] + (columns + left).unsqueeze(1)  # [B, H, W], within a channel
        return padded.flatten(2).gather(2, place.view(count, 1, -1).expand(-1, pixels.shape[1], -1)).view(pixels.shape)

    def _kept(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Mask [B, 1, H, W]: zero in a square around a random centre, one elsewhere."""
        count, _, height, width = images.shape
        inside = []
        for size in (height, width):
            first = torch.randint(0, size, (count, 1), generator=generator) - self.cutout // 2
            place = torch.arange(size)
            inside.append((place >= first) & (place < first + self.cutout))
        rows, columns = inside
        return ~(rows.unsqueeze(2) & columns.unsqueeze(1)).unsqueeze(1)


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


def every_batch(images: Images, batch: int, normalisation: Normalisation) -> Iterator[tuple[Tensor, Tensor]]:
    """All images once, in order: float32 [B, C, H, W] and int64 [B]; the last batch may be small."""
    for start in range(0, len(images), batch):
        part = slice(start, start + batch)
        yield normalisation(images.pixels[part]), images.labels[part]
