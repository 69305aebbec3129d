"""Random changes to whole batches of training images, each image with its own draw, without a loop over images.

Crop, flip and cutout follow DARTS (arXiv:1806.09055) and cutout (arXiv:1708.04552): the crop pads with black before
normalisation; after it, cutout sets a square, clipped at the border, to zero (the mean). The random part of an image
that is scaled up again is Inception's (arXiv:1409.4842), with its range of aspect ratios.
"""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn import functional

from chronas.data.images import Normalisation
from chronas.data.trivial_augment import LUMA, trivial_augment

MOST_STRETCH = math.log(4 / 3)  # of the ratio of width to height of a random part

CropScale = Annotated[
    float, Field(gt=0, le=1, description="smallest share of the area of a random crop, which is scaled up again")
]
Rotation = Annotated[float, Field(ge=0, le=180, description="largest random turn of images, in degrees")]
TrivialAugment = Annotated[
    bool, Field(description="one random change of each image, of 13: colours, sharpness, turns, shears and shifts")
]
ColorJitter = Annotated[
    float, Field(ge=0, lt=1, description="largest random change of brightness, contrast and saturation, as a share")
]


class Augment(BaseModel):
    """Random changes to training images."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    crop_padding: int = Field(default=0, ge=0, le=64, description="black pixels on each side before a random crop")
    flip: bool = Field(default=False, description="mirror every second image, left to right")
    cutout: int = Field(default=0, ge=0, le=512, description="side of the square that is set to the mean, in pixels")
    crop_scale: CropScale = 1.0
    rotation: Rotation = 0.0
    color_jitter: ColorJitter = 0.0
    trivial_augment: TrivialAugment = False

    def __call__(self, pixels: Tensor, normalisation: Normalisation, generator: torch.Generator) -> Tensor:
        """Augment and normalise uint8 `pixels` to float32 [B, C, H, W]."""
        moved = self._move(pixels, generator) if self.crop_padding or self.flip else pixels
        if self.crop_scale < 1 or self.rotation:
            moved = self._warp(moved.float(), generator)
        if self.color_jitter:
            moved = self._recoloured(moved.float(), generator)
        if self.trivial_augment:
            moved = trivial_augment(moved.float(), generator)
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

    def _warp(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Show a random part, turned, in the old size, mirrored beyond the border. Float32 [B, C, H, W]."""
        count, _, height, width = images.shape
        area, ratio, turn, *place = torch.rand(5, count, generator=generator)
        side = (self.crop_scale + (1 - self.crop_scale) * area).sqrt()
        most = (-2 * side.log()).clamp(max=MOST_STRETCH)  # neither side may be longer than the image's
        stretch = torch.exp((2 * ratio - 1) * most).sqrt()
        shares = [(side * stretch).clamp(max=1), (side / stretch).clamp(max=1)]  # of width and height
        angle = torch.deg2rad((2 * turn - 1) * self.rotation)
        cos, sin, aspect = angle.cos(), angle.sin(), height / width
        shifts = [(2 * at - 1) * (1 - share) for at, share in zip(place, shares, strict=True)]
        rows = [
            torch.stack([shares[0] * cos, -shares[1] * sin * aspect, shifts[0]], dim=1),
            torch.stack([shares[0] * sin / aspect, shares[1] * cos, shifts[1]], dim=1),
        ]
        grid = functional.affine_grid(torch.stack(rows, dim=1), list(images.shape), align_corners=False)
        return functional.grid_sample(images, grid, padding_mode="reflection", align_corners=False)

    def _recoloured(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Change brightness, contrast and saturation of each image, in that order. Float32 [B, C, H, W] in 0..255."""
        factors = 1 + self.color_jitter * (2 * torch.rand(3, len(images), 1, 1, 1, generator=generator) - 1)
        changed = images * factors[0]
        means = changed.mean(dim=(1, 2, 3), keepdim=True)
        changed = means + (changed - means) * factors[1]
        if images.shape[1] == 3:
            grey = (changed * torch.tensor(LUMA).view(1, 3, 1, 1)).sum(dim=1, keepdim=True)
            changed = grey + (changed - grey) * factors[2]
        return changed.clamp_(0, 255)
