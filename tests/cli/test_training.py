"""`chronas train` and the trainings of a run: their length, and what a short one says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from chronas.cli.main import main
from chronas.networks import load_state
from chronas.runs import Run, read_trained
from chronas.training import Recipe, make_recipe
from tiny_run import FLAGS

Capture = pytest.CaptureFixture[str]
CELL = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"
TRAIN = ("train", "--space", "nasbench201", "--architecture", CELL, "--size.width", "4", "--size.depth", "1")


def test_steps_decide_the_length_and_a_short_training_says_so(tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "trained"
    assert main([*TRAIN, "--train-steps", "30", "--out", str(out), "--json"]) == 0
    shown = capsys.readouterr()
    (row,) = json.loads(shown.out)
    assert row["steps"] == 30 and row["still_learning"] is True
    assert "the training of trained ended while its loss was still falling: train longer" in shown.err
    assert read_trained(out).steps == 30
    assert main([*TRAIN, "--train-steps", "31", "--out", str(out)]) == 2
    assert "belongs to another training (steps 30 instead of 31)" in capsys.readouterr().err


def test_minutes_are_told_as_steps_and_kept(tmp_path: Path, capsys: Capture) -> None:
    words = [*TRAIN, "--train-minutes", "0.0001", "--out", str(tmp_path / "trained"), "--json"]
    assert main(words) == 0
    shown = capsys.readouterr()
    assert sum(line.startswith("plan training: 1 steps (0.0 epochs) of ") for line in shown.err.splitlines()) == 1
    assert json.loads(shown.out)[0]["steps"] == 1
    assert main(words) == 0
    assert "plan training" not in capsys.readouterr().err


def test_a_training_that_its_validation_ends_says_so(tmp_path: Path, capsys: Capture) -> None:
    words = ["--recipe.patience", "1", "--recipe.epochs", "60", "--recipe.learning-rate", "0.5", "--json"]
    assert main([*TRAIN, *words, "--out", str(tmp_path / "trained")]) == 0
    shown = capsys.readouterr()
    (row,) = json.loads(shown.out)
    assert 2 <= row["stopped_epoch"] < 60 and row["still_learning"] is False
    assert f"the training of trained ended after epoch {row['stopped_epoch']} by its validation" in shown.err
    assert f"as the validation accuracy has not risen since epoch {row['stopped_epoch'] - 1}" in shown.err


TEACHER = """
from torch import nn

def make():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, CLASSES))
"""


def test_a_teacher_is_part_of_a_training(tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "teacher.py"
    file.write_text(TEACHER.replace("CLASSES", "10"))
    words = [*TRAIN, "--train-steps", "3", "--out", str(tmp_path / "trained"), "--json"]
    taught = [*words, "--teacher", f"{file}:make", "--recipe.distill-weight", "0.9", "--recipe.temperature", "2"]
    assert main(taught) == 0
    first = json.loads(capsys.readouterr().out)
    assert main(taught) == 0
    assert json.loads(capsys.readouterr().out) == first
    file.write_text(TEACHER.replace("CLASSES", "10") + "\n")
    assert main(taught) == 2
    assert "belongs to another training (teacher " in capsys.readouterr().err
    file.write_text(TEACHER.replace("CLASSES", "9"))
    other = [str(tmp_path / "other") if word == str(tmp_path / "trained") else word for word in taught]
    assert main(other) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("chronas:")]
    assert "gives 9 numbers for an image, but the data has 10 classes" in line
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("command", [TRAIN, ("run", "--device", "simulated")], ids=["train", "run"])
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--train-steps", "3", "--train-minutes", "1"], "--train-steps or --train-minutes, not both: leave one out"),
        (["--train-steps", "3", "--recipe.epochs", "1"], "so --recipe.epochs does nothing: leave one out"),
        (["--train-minutes", "3", "--recipe.epochs", "1"], "so --recipe.epochs does nothing: leave one out"),
        (["--recipe.temperature", "3"], "--recipe.temperature is for learning from a teacher: give --teacher FILE"),
        (["--recipe.distill-weight", "1"], "is for learning from a teacher: give --teacher FILE"),
        (["--train-steps", "0"], "--train-steps: input should be greater than or equal to 1, got 0"),
        (["--train-minutes", "-1"], "--train-minutes: input should be greater than 0, got -1"),
    ],
    ids=range(7),
)
def test_a_length_is_given_once_and_is_above_zero(
    command: tuple[str, ...], words: list[str], message: str, tmp_path: Path, capsys: Capture
) -> None:
    assert main([*command, *words, "--out", str(tmp_path / "out")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line and not (tmp_path / "out").exists()


def test_another_device_has_the_trainings_of_its_run(finished: Run, capsys: Capture) -> None:
    assert main(["retarget", str(finished.folder), "--device", "onnxruntime-cpu", "--train-steps", "9"]) == 2
    assert "--train-steps cannot be given to `chronas retarget`" in capsys.readouterr().err


def few_images(path: Path) -> str:
    generator = np.random.default_rng(0)
    np.savez(path, images=generator.integers(0, 256, (90, 8, 8, 3), dtype=np.uint8), labels=np.arange(90) % 3)
    return str(path)


def recipe_of(training: Path) -> Recipe:
    return Recipe.model_validate(load_state(training / "last.safetensors")[1]["identity"]["recipe"])


def test_few_images_of_ones_own_are_trained_as_photos(tmp_path: Path, capsys: Capture) -> None:
    words = [*TRAIN, "--data", few_images(tmp_path / "mine.npz"), "--train-steps", "2"]
    assert main([*words, "--recipe.batch", "30", "--out", str(tmp_path / "auto")]) == 0
    told = "recipe for 72 training images: photos; --recipe NAME takes another"
    assert capsys.readouterr().err.splitlines().count(told) == 1
    assert recipe_of(tmp_path / "auto" / "training") == make_recipe("photos").model_copy(update={"batch": 30})
    assert main([*words, "--recipe", "digits-small", "--out", str(tmp_path / "named")]) == 0
    assert "recipe for" not in capsys.readouterr().err
    assert recipe_of(tmp_path / "named" / "training") == make_recipe("digits-small")


def test_a_run_on_few_images_trains_as_photos_and_goes_on(tmp_path: Path, capsys: Capture) -> None:
    flags = [
        flag for pair in zip(FLAGS[::2], FLAGS[1::2], strict=True) if pair[0] != "--recipe.epochs" for flag in pair
    ]
    words = ["run", *flags, "--preset", "digits-cpu", "--space", "nasbench201", "--no-baseline"]
    words += ["--train-steps", "2", "--recipe.ema", "0.5"]
    words += ["--data", few_images(tmp_path / "mine.npz"), "--out", str(tmp_path / "run"), "--json"]
    told = "recipe for 72 training images: photos; --recipe NAME takes another"
    for _ in range(2):
        assert main(words) == 0
        assert capsys.readouterr().err.splitlines().count(told) == 1
    assert Run.open(tmp_path / "run").config.recipe == make_recipe("photos").model_copy(update={"ema": 0.5})
    assert main([*words, "--recipe", "cifar10-cpu"]) == 2
    assert "holds a run with other settings (recipe." in capsys.readouterr().err
