"""Augmentation on batches against the same thing written for one image at a time."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from chronas.data import Augment, Normalisation

PLAIN = Normalisation((0.0,), (1.0 / 255,))  # leaves pixel values as they are
HALF = Normalisation((0.5,), (0.5,))


def batch(count: int = 64, channels: int = 1, height: int = 8, width: int = 6) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(1, 256, (count, channels, height, width), generator=generator, dtype=torch.uint8)


def run(augment: Augment, pixels: torch.Tensor, seed: int = 0, normalisation: Normalisation = PLAIN) -> torch.Tensor:
    return augment(pixels, normalisation, torch.Generator().manual_seed(seed)).round_(decimals=3)


def crops(image: torch.Tensor, padding: int) -> list[torch.Tensor]:
    padded = torch.nn.functional.pad(image.float(), [padding] * 4)
    height, width = image.shape[1:]
    ends = range(2 * padding + 1)
    return [padded[:, top : top + height, left : left + width] for top in ends for left in ends]


def test_nothing_asked_changes_nothing() -> None:
    torch.testing.assert_close(run(Augment(), batch()), batch().float())


@pytest.mark.parametrize("channels", [1, 3])
def test_each_image_is_one_of_its_own_crops_and_all_occur(channels: int) -> None:
    pixels = batch(400, channels)
    plain = Normalisation((0.0,) * channels, (1.0 / 255,) * channels)
    moved = run(Augment(crop_padding=1), pixels, normalisation=plain)
    used = [
        next(number for number, crop in enumerate(crops(image, 1)) if torch.allclose(crop, got, atol=0.01))
        for image, got in zip(pixels, moved, strict=True)
    ]
    counts = torch.bincount(torch.tensor(used), minlength=9)
    assert counts.min() > 400 / 9 / 2


def test_half_of_the_images_are_mirrored() -> None:
    pixels = batch(400)
    flipped = run(Augment(flip=True), pixels)
    mirrored = torch.tensor(
        [torch.allclose(got, image.flip(2).float(), atol=0.01) for image, got in zip(pixels, flipped, strict=True)]
    )
    same = torch.tensor(
        [torch.allclose(got, image.float(), atol=0.01) for image, got in zip(pixels, flipped, strict=True)]
    )
    assert bool((mirrored ^ same).all())
    assert 150 < int(mirrored.sum()) < 250


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 12), st.integers(0, 1000))
def test_cutout_is_a_clipped_square_around_a_random_pixel(size: int, seed: int) -> None:
    cut = run(Augment(cutout=size), batch(16), seed)
    for image in cut:
        hole = image[0] == 0.0
        rows, columns = torch.nonzero(hole.any(dim=1)).flatten(), torch.nonzero(hole.any(dim=0)).flatten()
        assert int(hole.sum()) == len(rows) * len(columns) >= 1
        for place, side in ((rows, 8), (columns, 6)):
            inner = int(place[0]) > 0 and int(place[-1]) < side - 1
            assert len(place) == size if inner else len(place) <= size
            assert len(place) >= min(size - size // 2, side)


def test_cutout_centres_reach_every_pixel() -> None:
    cut = run(Augment(cutout=1), batch(2000))
    assert bool((cut == 0.0).any(dim=0).all())


def test_cutout_leaves_the_mean_and_the_crop_leaves_black() -> None:
    white = torch.full((50, 1, 8, 8), 255, dtype=torch.uint8)
    assert set(run(Augment(cutout=3), white, normalisation=HALF).unique().tolist()) == {0.0, 1.0}
    assert set(run(Augment(crop_padding=3), white, normalisation=HALF).unique().tolist()) == {-1.0, 1.0}


def test_the_generator_decides_and_torch_stays_untouched() -> None:
    augment, pixels = Augment(crop_padding=2, flip=True, cutout=3), batch()
    before, kept = torch.random.get_rng_state(), pixels.clone()
    assert torch.equal(run(augment, pixels, 5), run(augment, pixels, 5))
    assert not torch.equal(run(augment, pixels, 5), run(augment, pixels, 6))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(pixels, kept)


def ramp(count: int = 200) -> torch.Tensor:
    """Images whose pixels rise from left to right by 4."""
    return (4 * torch.arange(60, dtype=torch.uint8)).expand(count, 3, 40, 60).contiguous()


def test_a_random_crop_is_a_part_of_its_image_scaled_up() -> None:
    plain = Normalisation((0.0,) * 3, (1.0 / 255,) * 3)
    shown = run(Augment(crop_scale=0.25), ramp(), normalisation=plain)
    assert shown.shape == (200, 3, 40, 60)
    torch.testing.assert_close(shown[:, :, 0], shown[:, :, 1], atol=0.01, rtol=0)  # no turn: rows stay equal
    slopes = (shown[:, 0, 0, 50] - shown[:, 0, 0, 10]) / 40 / 4  # the share of the width that is seen
    assert 0.25**0.5 * 0.86 < slopes.min() < 0.56 and 0.9 < slopes.max() <= 1.0
    assert shown.min() >= 0 and shown.max() <= 4 * 59
    firsts = shown[slopes < 0.6][:, 0, 0, 5]
    assert firsts.min() < 30 and firsts.max() > 80  # parts lie at any place


def test_a_turn_is_at_most_as_large_as_asked_and_keeps_the_scale() -> None:
    plain = Normalisation((0.0,) * 3, (1.0 / 255,) * 3)
    turned = run(Augment(rotation=30), ramp(), normalisation=plain)[:, 0, 15:25, 25:35]
    along = (turned[:, :, -1] - turned[:, :, 0]).mean(dim=1) / 9 / 4  # cos of the turn
    down = (turned[:, -1] - turned[:, 0]).mean(dim=1) / 9 / 4  # its sine
    torch.testing.assert_close(along**2 + down**2, torch.ones(200), atol=0.02, rtol=0)
    angles = torch.rad2deg(torch.atan2(down, along))
    assert angles.abs().max() <= 31 and angles.min() < -25 and angles.max() > 25


def test_colours_change_by_at_most_what_is_asked() -> None:
    plain = Normalisation((0.0,) * 3, (1.0 / 255,) * 3)
    grey = torch.full((300, 3, 4, 4), 100, dtype=torch.uint8)
    changed = run(Augment(color_jitter=0.3), grey, normalisation=plain)
    assert 69 < changed.min() < 75 and 125 < changed.max() < 131
    torch.testing.assert_close(changed[:, 0], changed[:, 2], atol=0.01, rtol=0)  # grey stays grey
    red = torch.zeros(300, 3, 4, 4, dtype=torch.uint8)
    red[:, 0] = 200
    changed = run(Augment(color_jitter=0.3), red, normalisation=plain)
    assert changed.min() >= 0 and changed.max() <= 255 and changed[:, 1].std() > 1
