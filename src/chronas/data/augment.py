"""Random crop, flip and cutout on whole batches, each image with its own draw and no loop over images.

As in DARTS (arXiv:1806.09055) and cutout (arXiv:1708.04552): the crop pads with black before normalisation, cutout
sets a square, clipped at the border, to zero (the mean) after it.
"""

from __future__ import annotations

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn import functional

from chronas.data.images import Normalisation


class Augment(BaseModel):
    """What is done to training images at random."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    crop_padding: int = Field(default=0, ge=0, le=64, description="black pixels on each side before a random crop")
    flip: bool = Field(default=False, description="mirror every second image, left to right")
    cutout: int = Field(default=0, ge=0, le=512, description="side of the square that is set to the mean, in pixels")

    def __call__(self, pixels: Tensor, normalisation: Normalisation, generator: torch.Generator) -> Tensor:
        """Float32 [B, C, H, W], augmented and normalised, of uint8 `pixels` [B, C, H, W]."""
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
