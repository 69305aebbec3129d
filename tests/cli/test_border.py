from __future__ import annotations

import errno
import os
import subprocess
import sys

import pytest

from chronas.cli.output import Border, resumable
from chronas.errors import ChronasError, DataError, LimitMissedError, MismatchError, UsageError

Capture = pytest.CaptureFixture[str]


def cross(error: BaseException, *, debug: bool = False) -> int:
    with Border(debug=debug) as border:
        raise error
    return border.exit_code


@pytest.mark.parametrize(
    ("error", "exit_code", "line"),
    [
        (UsageError("a flag"), 2, "chronas: error: a flag"),
        (DataError("two\n  lines"), 2, "chronas: error: two lines"),
        (MismatchError("x"), 2, "chronas: error: x"),
        (LimitMissedError("no network within 1 ms"), 1, "chronas: error: no network within 1 ms"),
        (KeyboardInterrupt(), 130, "chronas: interrupted"),
        (
            OSError(errno.ENOSPC, "No space left on device", "a/b"),
            2,
            "chronas: error: cannot use a/b: No space left on device; mend that, or choose another folder",
        ),
        (
            ValueError("odd"),
            70,
            "chronas: a fault of chronas, please report it with the output of --debug: ValueError: odd",
        ),
        (
            OSError("of ours"),
            70,
            "chronas: a fault of chronas, please report it with the output of --debug: OSError: of ours",
        ),
    ],
)
def test_an_error_is_one_line_and_an_exit_code(
    error: BaseException, exit_code: int, line: str, capsys: Capture
) -> None:
    assert cross(error) == exit_code
    captured = capsys.readouterr()
    assert captured.err == f"{line}\n"
    assert captured.out == ""


def test_debug_shows_the_traceback_before_the_line(capsys: Capture) -> None:
    assert cross(UsageError("a flag"), debug=True) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("Traceback")
    assert lines[-1] == "chronas: error: a flag"


def test_an_interrupt_says_what_goes_on_with_the_work(capsys: Capture) -> None:
    with Border(debug=False) as border, resumable("chronas resume 'my runs/a'"):
        raise KeyboardInterrupt
    assert border.exit_code == 130
    expected = "chronas: interrupted; nothing measured is lost; go on with: chronas resume 'my runs/a'\n"
    assert capsys.readouterr().err == expected


def test_other_errors_pass_the_resumable_step() -> None:
    with pytest.raises(ChronasError, match="x"), resumable("again"):
        raise UsageError("x")


def test_the_end_of_the_process_passes_the_border() -> None:
    with pytest.raises(SystemExit), Border(debug=False):
        raise SystemExit(3)


def test_a_reader_that_has_gone_is_no_error() -> None:
    command = [sys.executable, "-m", "chronas", "spaces"]
    read, write = os.pipe()
    os.close(read)
    answer = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert answer.stderr == ""
    assert answer.returncode == 0
