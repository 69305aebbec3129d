"""TrivialAugment's changes of a batch against Pillow's of one image at a time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps

from chronas.data import Augment, Normalisation
from chronas.data.trivial_augment import CHANGES, changed

PLAIN = Normalisation((0.0,) * 3, (1.0 / 255,) * 3)


def photos(count: int = 3) -> torch.Tensor:
    """Smooth images, on which a pixel of difference in place matters little."""
    generator = torch.Generator().manual_seed(0)
    small = torch.rand(count, 3, 6, 6, generator=generator) * 200 + 20
    return torch.nn.functional.interpolate(small, size=(40, 40), mode="bicubic").clamp(0, 255).round()


def by_pillow(images: torch.Tensor, change: Callable[[Image.Image], Image.Image]) -> torch.Tensor:
    found = [np.asarray(change(Image.fromarray(each.permute(1, 2, 0).byte().numpy()))) for each in images]
    return torch.from_numpy(np.stack(found)).permute(0, 3, 1, 2).float()


COLOURS: dict[str, Callable[[Image.Image], Image.Image]] = {  # at half the strength, in the positive direction
    "brightness": lambda image: ImageEnhance.Brightness(image).enhance(1.45),
    "contrast": lambda image: ImageEnhance.Contrast(image).enhance(1.45),
    "saturation": lambda image: ImageEnhance.Color(image).enhance(1.45),
    "sharpness": lambda image: ImageEnhance.Sharpness(image).enhance(1.45),
    "posterize": lambda image: ImageOps.posterize(image, 6),
    "solarize": lambda image: ImageOps.solarize(image, 128),
    "autocontrast": lambda image: ImageOps.autocontrast(image),
    "identity": lambda image: image,
}


@pytest.mark.parametrize("kind", COLOURS)
def test_colours_change_as_in_pillow(kind: str) -> None:
    images = photos()
    found = changed(images, [kind] * 3, torch.full((3,), 0.5), torch.ones(3))
    inside = (..., slice(1, -1), slice(1, -1))  # Pillow does not smooth the border
    torch.testing.assert_close(found[inside], by_pillow(images, COLOURS[kind])[inside], atol=2.5, rtol=0)


@pytest.mark.parametrize(
    ("kind", "strength", "affine"),
    [
        ("translate_x", 0.4, (1, 0, 5, 0, 1, 0)),  # 5 of 40 pixels
        ("translate_y", 0.4, (1, 0, 0, 0, 1, 5)),
        ("shear_x", 0.5, (1, 0.15, -0.15 * 20, 0, 1, 0)),
        ("shear_y", 0.5, (1, 0, 0, 0.15, 1, -0.15 * 20)),
    ],
)
def test_moves_are_pillows_affine_maps(kind: str, strength: float, affine: tuple[float, ...]) -> None:
    images = photos()
    found = changed(images, [kind] * 3, torch.full((3,), strength), torch.ones(3))
    wanted = by_pillow(
        images, lambda each: each.transform(each.size, Image.Transform.AFFINE, affine, Image.Resampling.BILINEAR)
    )
    inside = (..., slice(8, -8), slice(8, -8))  # outside Pillow fills with black
    torch.testing.assert_close(found[inside], wanted[inside], atol=2, rtol=0)


def test_a_turn_of_a_wide_image_keeps_its_shapes() -> None:
    images = torch.nn.functional.interpolate(photos(), size=(40, 60), mode="bilinear")
    found = changed(images, ["rotate"] * 3, torch.full((3,), 0.5), torch.ones(3))
    wanted = by_pillow(images, lambda each: each.rotate(15, Image.Resampling.BILINEAR))
    inside = (..., slice(12, -12), slice(18, -18))
    torch.testing.assert_close(found[inside], wanted[inside], atol=3, rtol=0)


def test_each_image_has_one_change_and_all_changes_occur() -> None:
    images = photos(1).expand(400, -1, -1, -1).byte()
    found = Augment(trivial_augment=True)(images, PLAIN, torch.Generator().manual_seed(0))
    same = (found.round() == images).flatten(1).all(dim=1)
    assert 0.05 < same.float().mean() < 0.25  # identity, and changes of hardly any strength
    assert found.min() >= 0 and found.max() <= 255.001
    assert len({tuple(each.flatten()[:50].tolist()) for each in found}) > 250
    again = Augment(trivial_augment=True)(images, PLAIN, torch.Generator().manual_seed(0))
    assert torch.equal(found, again)


def test_grey_images_have_no_saturation() -> None:
    grey = photos()[:, :1]
    assert torch.equal(changed(grey, ["saturation"] * 3, torch.ones(3), torch.ones(3)), grey)
    for kind in CHANGES:
        assert changed(grey, [kind] * 3, torch.ones(3), -torch.ones(3)).shape == grey.shape
