"""Images, their statistics, and splits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from chronas.data import Dataset, Images, Normalisation, split
from chronas.errors import DataError, UsageError


def images(labels: list[int], shape: tuple[int, int, int] = (1, 4, 4)) -> Images:
    """Images that are all different: the number of an image is written into its first pixels."""
    pixels = torch.zeros(len(labels), *shape, dtype=torch.uint8)
    numbers = torch.arange(len(labels))
    pixels[:, 0, 0, 0], pixels[:, 0, 0, 1] = (numbers % 256).byte(), (numbers // 256).byte()
    return Images(pixels, torch.tensor(labels, dtype=torch.int64))


def numbers(part: Images) -> list[int]:
    return (part.pixels[:, 0, 0, 0].int() + 256 * part.pixels[:, 0, 0, 1].int()).tolist()


@settings(deadline=None)
@given(st.lists(st.integers(0, 3), min_size=20, max_size=300), st.floats(0.05, 0.95), st.integers(0, 99))
def test_a_split_is_disjoint_whole_and_keeps_the_share_of_each_class(
    labels: list[int], share: float, seed: int
) -> None:
    whole = images(labels)
    try:
        rest, taken = split(whole, share, seed=seed)
    except DataError as error:
        assert "too few" in str(error)
        return
    assert sorted(numbers(rest) + numbers(taken)) == list(range(len(labels)))
    assert len(taken) == round(share * len(labels))
    for label in set(labels):
        wanted = len(taken) / len(labels) * labels.count(label)
        assert abs(int((taken.labels == label).sum()) - wanted) <= len(set(labels))
    assert numbers(split(whole, share, seed=seed)[1]) == numbers(taken)


def test_another_seed_splits_otherwise() -> None:
    whole = images([0, 1] * 100)
    assert numbers(split(whole, 0.5, seed=0)[1]) != numbers(split(whole, 0.5, seed=1)[1])


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, float("nan")])
def test_a_share_outside_0_to_1_is_refused(share: float) -> None:
    with pytest.raises(UsageError, match="between 0 and 1"):
        split(images([0, 1] * 10), share, seed=0)


def test_a_class_with_one_image_cannot_be_split() -> None:
    with pytest.raises(DataError, match="class 1 has 1 images"):
        split(images([0] * 9 + [1]), 0.3, seed=0)


def test_statistics_are_exact_and_normalise() -> None:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (50, 3, 5, 7), generator=generator, dtype=torch.uint8)
    pixels[:, 2] = 9
    normalisation = Normalisation.of(Images(pixels, torch.zeros(50, dtype=torch.int64)))
    exact = pixels.double().div(255)
    assert normalisation.mean == pytest.approx(exact.mean(dim=(0, 2, 3)).tolist(), abs=1e-12)
    assert normalisation.std[:2] == pytest.approx(exact.std(dim=(0, 2, 3), correction=0).tolist()[:2], abs=1e-12)
    normal = normalisation(pixels)
    assert normal.dtype == torch.float32
    torch.testing.assert_close(normal.mean(dim=(0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(normal[:, :2].std(dim=(0, 2, 3), correction=0), torch.ones(2), atol=1e-5, rtol=0)


def test_a_checksum_notices_a_pixel_a_label_and_the_order() -> None:
    first = images([0, 1, 2, 1])
    sums = {first.checksum(), first.subset(torch.tensor([1, 0, 2, 3])).checksum(), images([0, 1, 2, 2]).checksum()}
    pixels = first.pixels.clone()
    pixels[3, 0, 3, 3] = 1
    assert len(sums | {Images(pixels, first.labels).checksum()}) == 4
    assert Images(first.pixels.clone(), first.labels).checksum() == first.checksum()


@pytest.mark.parametrize(
    ("pixels", "labels", "message"),
    [
        (torch.zeros(2, 1, 4, 4), torch.zeros(2, dtype=torch.int64), "uint8"),
        (torch.zeros(2, 4, 4, dtype=torch.uint8), torch.zeros(2, dtype=torch.int64), "uint8"),
        (torch.zeros(2, 1, 4, 4, dtype=torch.uint8), torch.zeros(3, dtype=torch.int64), r"int64 \[2\]"),
        (torch.zeros(2, 1, 4, 4, dtype=torch.uint8), torch.zeros(2), "int64"),
        (torch.zeros(0, 1, 4, 4, dtype=torch.uint8), torch.zeros(0, dtype=torch.int64), "empty"),
    ],
)
def test_images_of_another_kind_are_refused(pixels: torch.Tensor, labels: torch.Tensor, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Images(pixels, labels)


@pytest.mark.parametrize(
    ("train", "test", "names", "message"),
    [
        (images([0, 0]), images([0]), ("cat",), "at least two classes, got 1"),
        (images([0, 1]), images([0], (3, 4, 4)), ("a", "b"), "test images"),
        (images([0, 2]), images([0]), ("a", "b"), "training image has label 2"),
        (images([0, 1]), images([-1]), ("a", "b"), "test image has label -1"),
        (images([0, 2]), images([0]), ("a", "b", "c"), "no training image of class b"),
    ],
)
def test_a_dataset_that_does_not_hold_together_is_refused(
    train: Images, test: Images, names: tuple[str, ...], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        Dataset("mine", train, test, names)


def test_pixels_of_a_normalised_batch_are_not_changed_in_place() -> None:
    part = images([0, 1])
    before = part.pixels.clone()
    Normalisation((0.5,), (0.25,))(part.pixels)
    assert torch.equal(part.pixels, before)
    assert np.isclose(float(Normalisation((0.5,), (0.25,))(torch.full((1, 1, 1, 1), 255).byte())), 2.0)
