"""Which epoch's weights are kept: the latest within one standard error of the best, and it is they that are on disk."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from chronas.data import Images, Normalisation
from chronas.networks import build, load_state
from chronas.spaces import NetworkSize, make_space
from chronas.training import AccuracyAndLoss, Recipe, Training, train, trainer

SIZE = NetworkSize(input_shape=(1, 8, 8), outputs=2, width=4, depth=1)
VALIDATED = 50
accuracies = st.lists(st.integers(0, VALIDATED), min_size=1, max_size=6)


def some_images(count: int) -> Images:
    pixels = torch.randint(0, 256, (count, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return Images(pixels, torch.arange(count) % 2)


def trained(right: list[int], folder: Path, patch: pytest.MonkeyPatch) -> Training:
    """A training whose validation accuracies are told in advance."""
    told: Iterator[int] = iter(right)
    patch.setattr(trainer, "accuracy_and_loss", lambda *_, **__: AccuracyAndLoss(100.0 * next(told) / VALIDATED, 1.0))
    architecture = make_space("nasbench201").parse(
        "|skip_connect~0|+|none~0|none~1|+|nor_conv_1x1~0|none~1|skip_connect~2|"
    )
    recipe = Recipe(
        epochs=len(right), batch=4, auxiliary_weight=0.0, drop_path=0.0, crop_padding=0, flip=False, cutout=0
    )
    images = some_images(4)
    return train(
        build(architecture, SIZE),
        images,
        some_images(VALIDATED),
        Normalisation.of(images),
        recipe,
        folder=folder,
        seed=0,
    )


@settings(max_examples=20, deadline=None)
@given(right=accuracies)
def test_the_kept_epoch_is_the_latest_within_one_standard_error_and_is_what_the_file_holds(
    right: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("best")
    with pytest.MonkeyPatch.context() as patch:
        training = trained(right, folder, patch)
    share = (max(right) + 1) / (VALIDATED + 2)
    error = VALIDATED * math.sqrt(share * (1 - share) / VALIDATED)
    expected = max(number for number, count in enumerate(right, start=1) if count >= max(right) - error - 1e-9)
    assert training.best_epoch == expected
    assert training.best_validation_accuracy == pytest.approx(100.0 * right[expected - 1] / VALIDATED)
    _, content = load_state(folder / "best.safetensors")
    assert content["epoch"] == expected
    assert [row["validation_accuracy"] for row in training.history] == [100.0 * count / VALIDATED for count in right]


def test_a_lucky_early_epoch_does_not_win_but_a_clearly_better_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert trained([20, 41, 40], tmp_path / "luck", monkeypatch).best_epoch == 3
    assert trained([20, 45, 30], tmp_path / "collapse", monkeypatch).best_epoch == 2
