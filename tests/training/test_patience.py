"""A training ends when its validation accuracy rises no more, also when it was killed in between."""

from __future__ import annotations

from pathlib import Path

import pytest

from chronas.data import Normalisation
from chronas.errors import UsageError
from chronas.training import train
from short_training import PER_EPOCH, RECIPE, Killed, network, parts, same, trained, weights

PATIENT = RECIPE.model_copy(update={"epochs": 40, "patience": 2, "learning_rate": 0.02})


@pytest.mark.parametrize("ema", [0.0, 0.5], ids=["weights", "mean of weights"])
def test_it_ends_when_the_best_is_too_old_and_says_so(ema: float, tmp_path: Path) -> None:
    recipe = PATIENT.model_copy(update={"ema": ema})
    told: list[str] = []
    _, training = trained(tmp_path / "stopped", recipe, told=told)
    ended, accuracies = len(training.history), [row["validation_accuracy"] for row in training.history]
    assert training.stopped_epoch == ended < 40 and training.steps == 40 * PER_EPOCH
    assert max(accuracies[-2:]) <= max(accuracies[:-2]), "no better one in the last two epochs"
    for length in range(3, ended):
        assert max(accuracies[length - 2 : length]) > max(accuracies[: length - 2]), "it would have ended before"
    assert told == [
        f"train: ended after epoch {ended} of 40, as the validation accuracy has not risen since epoch {ended - 2}"
    ]
    _, whole = trained(tmp_path / "whole", recipe.model_copy(update={"patience": 0}))
    assert [row["validation_accuracy"] for row in whole.history[:ended]] == accuracies and whole.stopped_epoch is None


def test_a_killed_one_ends_at_the_same_epoch_with_the_same_weights(tmp_path: Path) -> None:
    _, training = trained(tmp_path / "whole", PATIENT)
    for at in (2, PER_EPOCH * len(training.history) - 1):
        with pytest.raises(Killed):
            trained(tmp_path / "killed", PATIENT, kill_at=at)
    _, resumed = trained(tmp_path / "killed", PATIENT)
    assert resumed.stopped_epoch == training.stopped_epoch
    for name in ("best", "last"):
        assert same(weights(tmp_path / "whole", name), weights(tmp_path / "killed", name))
    _, again = trained(tmp_path / "killed", PATIENT, kill_at=1)
    assert again == resumed


def test_it_needs_images_to_look_at(tmp_path: Path) -> None:
    images = parts()[0]
    with pytest.raises(UsageError, match="a patience of 2 epochs needs validation images, got none"):
        train(network(), images, None, Normalisation.of(images), PATIENT, folder=tmp_path, seed=0)
