"""Batches go on where they were: never back to the first one, and exactly so after a restore."""

from __future__ import annotations

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from chronas.data import Augment, Batches, Images, Normalisation, every_batch
from chronas.errors import MismatchError, UsageError

PLAIN = Normalisation((0.0,), (1.0 / 255,))
AUGMENT = Augment(crop_padding=1, flip=True, cutout=2)


def images(count: int) -> Images:
    numbers = torch.arange(count)
    return Images(numbers.byte().view(-1, 1, 1, 1).expand(-1, 1, 4, 4).contiguous(), numbers)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 250), st.integers(1, 64))
def test_an_epoch_holds_every_image_once_in_batches_of_nearly_one_size(count: int, batch: int) -> None:
    batches = Batches(images(count), batch, PLAIN, seed=0)
    epochs = [[next(batches) for _ in range(batches.steps_per_epoch)] for _ in range(2)]
    for epoch in epochs:
        sizes = [len(labels) for _, labels in epoch]
        assert max(sizes) <= batch
        assert max(sizes) - min(sizes) <= 1
        assert sorted(torch.cat([labels for _, labels in epoch]).tolist()) == list(range(count))
        assert all(torch.equal(pixels[:, 0, 0, 0].round().long(), labels) for pixels, labels in epoch)


def test_consecutive_batches_and_epochs_differ() -> None:
    batches = Batches(images(200), 50, PLAIN, seed=0)
    drawn = [tuple(next(batches)[1].tolist()) for _ in range(12)]
    assert len(set(drawn)) == 12
    assert all(set(drawn[0]).isdisjoint(other) for other in drawn[1:4])


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 25))
def test_a_restored_loader_gives_the_same_bits(steps: int) -> None:
    first = Batches(images(100), 16, PLAIN, seed=3, augment=AUGMENT)
    for _ in range(steps):
        next(first)
    state = json.loads(json.dumps(first.state()))
    second = Batches(images(100), 16, PLAIN, seed=3, augment=AUGMENT)
    second.restore(state)
    torch.rand(1)
    for _ in range(10):
        (pixels, labels), (others, other_labels) = next(first), next(second)
        assert torch.equal(pixels, others)
        assert torch.equal(labels, other_labels)


def test_the_same_image_is_augmented_anew_each_epoch() -> None:
    batches = Batches(images(32), 32, PLAIN, seed=0, augment=AUGMENT)
    epochs = []
    for _ in range(2):
        pixels, labels = next(batches)
        epochs.append(pixels[labels.argsort()])
    assert not torch.equal(*epochs)


def test_seeds_give_other_orders() -> None:
    assert not torch.equal(*(next(Batches(images(100), 100, PLAIN, seed=seed))[1] for seed in (0, 1)))


@pytest.mark.parametrize(("count", "batch", "seed"), [(99, 16, 0), (100, 17, 0), (100, 16, 1)])
def test_a_position_of_another_loader_is_refused(count: int, batch: int, seed: int) -> None:
    state = Batches(images(count), batch, PLAIN, seed=seed).state()
    with pytest.raises(MismatchError, match="saved position"):
        Batches(images(100), 16, PLAIN, seed=0).restore(state)


@pytest.mark.parametrize(("batch", "seed"), [(0, 0), (16, -1)])
def test_an_impossible_batch_or_seed_is_refused(batch: int, seed: int) -> None:
    with pytest.raises(UsageError, match="at least"):
        Batches(images(10), batch, PLAIN, seed=seed)


def test_evaluation_sees_all_images_once_in_order() -> None:
    parts = list(every_batch(images(100), 32, PLAIN))
    assert [len(labels) for _, labels in parts] == [32, 32, 32, 4]
    assert torch.cat([labels for _, labels in parts]).tolist() == list(range(100))
    assert torch.equal(torch.cat([pixels for pixels, _ in parts])[:, 0, 0, 0].round().long(), torch.arange(100))
