"""TrivialAugment (Müller and Hutter, arXiv 2103.10158): one random change of each image, of a random strength.

Our choices: whole batches without a loop over images; thirteen of the fourteen changes, without equalised
histograms; the first ranges of the paper ("RA"), not its wide ones; what moves out of the image is mirrored.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

COLOURS = ("brightness", "contrast", "saturation", "sharpness", "posterize", "solarize", "autocontrast")
MOVES = ("rotate", "shear_x", "shear_y", "translate_x", "translate_y")
CHANGES = ("identity", *COLOURS, *MOVES)
MOST = {  # the strongest change: degrees, slopes, shares of the side, shares of the difference, bits that are cut off
    **{"rotate": 30.0, "shear_x": 0.3, "shear_y": 0.3, "translate_x": 10 / 32, "translate_y": 10 / 32},
    **dict.fromkeys(("brightness", "contrast", "saturation", "sharpness"), 0.9),
    "posterize": 4.0,
}
GREYS = 255.0
LUMA = (0.299, 0.587, 0.114)  # shares of red, green and blue in grey, ITU-R BT.601
SMOOTHING = ((1.0, 1.0, 1.0), (1.0, 5.0, 1.0), (1.0, 1.0, 1.0))  # Pillow's ImageFilter.SMOOTH, which sharpness takes


def trivial_augment(images: Tensor, generator: torch.Generator) -> Tensor:
    """Change each image once, at random.

    Args:
        images: float32 [B, C, H, W] in 0..255; with one channel, the saturation stays.
        generator: draws the change, its strength and its direction.
    """
    count = len(images)
    kinds = torch.randint(0, len(CHANGES), (count,), generator=generator)
    strengths, directions = torch.rand(2, count, generator=generator)
    signs = torch.where(directions < 0.5, -1.0, 1.0)
    return changed(images, [CHANGES[kind] for kind in kinds.tolist()], strengths, signs)


def changed(images: Tensor, kinds: list[str], strengths: Tensor, signs: Tensor) -> Tensor:
    """The images after these changes.

    Args:
        images: float32 [B, C, H, W] in 0..255.
        kinds: a name in `CHANGES` for each image.
        strengths: 0..1 for each image [B].
        signs: -1 or 1 for each image [B]; of those changes that have two directions.
    """

    def asked(kind: str) -> Tensor:
        """True for the images that get this change [B]."""
        return torch.tensor([each == kind for each in kinds])

    def amount(kind: str) -> Tensor:
        """The amount of a change of each image [B]; 0 for another change."""
        return torch.where(asked(kind), strengths * signs * MOST[kind], 0.0)

    found = _moved(images, amount) if any(kind in kinds for kind in MOVES) else images
    found = _recoloured(found, amount)
    step = 2.0 ** torch.round(strengths * MOST["posterize"]).view(-1, 1, 1, 1)
    inverted = torch.where(found >= (GREYS * (1 - strengths)).view(-1, 1, 1, 1), GREYS - found, found)
    others = {"posterize": torch.floor(found / step) * step, "solarize": inverted, "autocontrast": _stretched(found)}
    for kind, image in others.items():
        found = torch.where(asked(kind).view(-1, 1, 1, 1), image, found)
    return found


def _moved(images: Tensor, amount: Callable[[str], Tensor]) -> Tensor:
    """Turn, shear or shift."""
    aspect = images.shape[2] / images.shape[3]
    angle = torch.deg2rad(amount("rotate"))
    cos, sin = angle.cos(), angle.sin()
    rows = [
        torch.stack([cos, amount("shear_x") * aspect - sin * aspect, 2 * amount("translate_x")], dim=1),
        torch.stack([amount("shear_y") / aspect + sin / aspect, cos, 2 * amount("translate_y")], dim=1),
    ]
    grid = functional.affine_grid(torch.stack(rows, dim=1), list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="reflection", align_corners=False)


def _recoloured(images: Tensor, amount: Callable[[str], Tensor]) -> Tensor:
    """Move away from, or towards, black, the mean grey, each pixel's grey, and the smoothed image."""
    channels = images.shape[1]
    grey = images
    if channels == len(LUMA):
        grey = (images * torch.tensor(LUMA).view(1, -1, 1, 1)).sum(dim=1, keepdim=True)
    kernel = torch.tensor(SMOOTHING).expand(channels, 1, -1, -1) / torch.tensor(SMOOTHING).sum()
    smooth = functional.conv2d(functional.pad(images, [1] * 4, mode="replicate"), kernel, groups=channels)
    anchors = {
        "brightness": torch.zeros(1),
        "contrast": grey.mean(dim=(1, 2, 3), keepdim=True),
        "saturation": grey,
        "sharpness": smooth,
    }
    found = images
    for kind, anchor in anchors.items():
        found = found + amount(kind).view(-1, 1, 1, 1) * (images - anchor)
    return found.clamp(0, GREYS)


def _stretched(images: Tensor) -> Tensor:
    """Each channel from black to white; a channel of one value stays."""
    low, high = images.amin(dim=(2, 3), keepdim=True), images.amax(dim=(2, 3), keepdim=True)
    spread = high - low
    return torch.where(spread > 0, (images - low) * GREYS / spread.clamp(min=1.0), images)
