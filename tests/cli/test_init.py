"""`--init`: what the command line says of a file of weights, and which ones it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from chronas.cli.main import main
from chronas.networks import build, save_state
from chronas.spaces import NetworkSize, make_space

Capture = pytest.CaptureFixture[str]
SPACE, CELLS = make_space("efficientnet-lite"), make_space("nasbench201")
CELL = CELLS.sample(1, 3)[0]
SIZE = NetworkSize(input_shape=(1, 8, 8), outputs=10, width=4, depth=1)
TRAIN = ("train", "--space", "nasbench201", "--architecture", str(CELL), "--size.width", "4", "--size.depth", "1")
LITE = ("--space", "efficientnet-lite", "--size.width", "8", "--size.depth", "1", "--size.stem", "small")


def weights(path: Path, outputs: int = 10, seed: int = 5) -> Path:
    save_state(path, build(CELL, SIZE.model_copy(update={"outputs": outputs}), seed=seed).state_dict(), {})
    return path


def lite(path: Path, width: int = 8) -> Path:
    size = NetworkSize(input_shape=(1, 8, 8), outputs=4, width=width, depth=1, stem="small")
    _, largest = SPACE.topology.ends(SPACE)  # type: ignore[attr-defined]
    torch.save(build(largest, size, seed=1).state_dict(), path)
    return path


def error(capsys: Capture) -> str:
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("chronas:")]
    return line


def test_a_training_says_what_it_took_and_keeps_to_the_file(tmp_path: Path, capsys: Capture) -> None:
    file = weights(tmp_path / "w.safetensors", outputs=3)
    words = [*TRAIN, "--train-steps", "2", "--init", str(file), "--out", str(tmp_path / "trained"), "--json"]
    assert main(words) == 0
    shown = capsys.readouterr()
    assert "tensors from w.safetensors; classifier new (10 classes, the file has 3)" in shown.err
    assert main(words) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(shown.out)
    weights(file, outputs=3, seed=6)
    assert main(words) == 2
    assert "belongs to another training (init " in error(capsys)


def test_a_part_of_a_nested_space_is_trained_from_the_largest_network(tmp_path: Path, capsys: Capture) -> None:
    text, file = str(SPACE.topology.ends(SPACE)[0]), lite(tmp_path / "lite.pth")  # type: ignore[attr-defined]
    words = ["train", *LITE, "--architecture", text, "--train-steps", "1", "--out", str(tmp_path / "trained")]
    assert main([*words, "--init", str(file)]) == 0
    assert (
        "init: 294 of 296 tensors from lite.pth; classifier new (10 classes, the file has 4)" in capsys.readouterr().err
    )


def test_what_does_not_fit_is_refused_before_anything_is_written(tmp_path: Path, capsys: Capture) -> None:
    out, run = str(tmp_path / "out"), ("run", "--device", "simulated", "--searcher", "random")
    assert main([*TRAIN, "--init", str(lite(tmp_path / "lite.pth")), "--out", out]) == 2
    assert "lite.pth has names such as 'stem.0.weight'" in error(capsys)
    assert main([*TRAIN, "--init", str(tmp_path / "none.pth"), "--out", out]) == 2
    assert "cannot read" in error(capsys)
    assert main([*run, "--init", str(weights(tmp_path / "w.safetensors")), "--out", out]) == 2
    assert "space darts has no nested weights" in error(capsys)
    assert main([*run, *LITE, "--init", str(lite(tmp_path / "wide.pth", width=16)), "--out", out]) == 2
    assert "wide.pth: stem.0.weight should be [8, 1, 3, 3], got [16, 1, 3, 3]" in error(capsys)
    assert main([*run, *LITE, "--init", str(tmp_path / "wide.pth"), "--fit-size", "--out", out]) == 2
    assert "--fit-size cannot choose" in error(capsys)
    assert not Path(out).exists()
