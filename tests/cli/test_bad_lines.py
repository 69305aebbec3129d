"""Command lines that cannot be meant: each ends in one line and exit code 2, or is understood and begins its work."""

from __future__ import annotations

import importlib
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from chronas.cli import options as all_options
from chronas.cli.commands import COMMANDS
from chronas.cli.main import main

LINES = 420
VALUES = (
    *("nan", "inf", "-inf", "1e308", "1e999", "-1", "0", "99999999999999999999999", "x", "", "\0", "../x"),
    *("é" * 300, "None", "true", "[1]", "０", "-", "\x1b[2J", "=1+1", "a b", "1,5", "1e-400", "\ud800", "\udce9", "."),
)
LONG_WORK = {  # functions that begin hours of work -> their modules in chronas.cli
    "run": ("finish",),
    "measure": ("find_costs", "measure", "measure_until", "remeasured", "write_bundle"),
    "fit": ("fit_and_report", "fit_on_samples", "measure"),
    "search": ("measure", "_search"),
    "train": ("_train", "_of_run"),
    "listings": ("serve",),
}


class BegunError(Exception):
    """The command line was understood."""


def begin(*_: object, **__: object) -> None:
    raise BegunError


def every_line() -> Iterator[list[str]]:
    for name, command in COMMANDS.items():
        model = command.model()
        for field in model.model_fields.keys() - {"json_answer"}:
            flag = "" if field in model.POSITIONAL else all_options._flag(model, field)
            yield from ([*name.split(), f"{flag}={value}" if flag else value] for value in VALUES)
        for group in command.groups:
            for setting in ("rounds", "depth", "epochs", "threads", "batch", "learning-rate", "nothing"):
                yield from ([*name.split(), f"--{group}.{setting}={value}"] for value in VALUES)


def sampled() -> list[list[str]]:
    return random.Random(0).sample(sorted(every_line()), LINES)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for module, names in LONG_WORK.items():
        loaded = importlib.import_module(f"chronas.cli.{module}")
        for name in names:
            monkeypatch.setattr(loaded, name, begin)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("part", range(6))
def test_any_value_of_any_flag_is_one_line_or_a_beginning(part: int, capsys: pytest.CaptureFixture[str]) -> None:
    ends = []
    for words in sampled()[part::6]:
        code = main(words)
        error = capsys.readouterr().err
        begun = "BegunError" in error
        lines = [line for line in error.splitlines() if line.startswith("chronas:")]
        assert begun or code in (0, 2), (words, error)
        assert code != 2 or len(lines) == 1, (words, error)
        assert "\x1b" not in error and "Traceback" not in error, (words, error)
        ends.append(code)
    assert ends.count(2) > len(ends) / 2


TABLE = "nasbench201-cifar10-eager-cpu"
EXPLAINED = [
    (["run", "--limit-ms", "inf"], "--limit-ms: input should be a finite number"),
    (["run", "--latency-weight", "1e308"], "--latency-weight: input should be less than or equal to 1000000"),
    (["train", "--architecture", "x", "--seed", "1" + "0" * 30], "--seed: should have at most 15 digits"),
    (["table", "show", TABLE, "--rows", "9" * 23], "--rows: should have at most 15 digits"),
    (["table", "compare", TABLE], "at least two costs"),
    (["fit", "--table", TABLE, "--predictor", "transfer"], "give their tables by --transfer-from"),
    (["measure", "check", TABLE], "comes with chronas and was not measured here"),
    (["measure", "run", "--size.input-shape", "1", "100000", "100000"], "--size.input-shape: input should be less"),
    (["measure", "run", "--size.input-shape", "60", "5000", "5000"], "size: an image should have at most"),
    (["run", "--out", "caf\udce9"], "--out should be a path in UTF-8, got 'caf\\udce9': rename it"),
    (["measure", "lookup", "--out="], "--out should be a path, got ''"),
    (["measure", "lookup", "--out", "."], ". exists; choose another --out"),
    (["run", "--data", "text.txt"], "text.txt is no .npz archive of arrays: give one, a folder of images, or a name"),
    (["measure", "run", "--device", 'command:a "b'], "quot"),
]


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(("words", "message"), EXPLAINED, ids=[" ".join(words)[:40] for words, _ in EXPLAINED])
def test_what_is_wrong_is_said_in_one_line(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "here" / "text.txt").write_text("hello\n")
    assert main(words) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["text.txt"]
