"""A call of another program: what it printed, and that nothing of it is left when it hangs or is interrupted."""

from __future__ import annotations

import subprocess
import tempfile
from typing import IO, NamedTuple

import psutil

from chronas.errors import DeviceError, excerpt

END_S = 10.0


class Called(NamedTuple):
    """How a program ended: its exit code, and what it wrote to stdout and stderr."""

    code: int
    out: str
    err: str


def call(words: list[str], name: str, timeout_s: float) -> Called:
    """Run a program without a shell and wait for its end.

    Args:
        words: the program and its arguments.
        name: what to call it in messages.
        timeout_s: seconds after which it has hung, and is killed with all that it started.

    Raises:
        DeviceError: it did not end in time, or the system cannot run it.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:  # no pipe that a grandchild could hold open
        try:
            process = psutil.Popen(words, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        except OSError as error:
            raise DeviceError(f"cannot run {name}: {error.strerror}; a script begins with a line #!/bin/sh") from error
        try:
            code = process.wait(timeout_s)
        except psutil.TimeoutExpired:
            said = excerpt(last_line(_read(err)))
            advice = "mend it, or raise --device.timeout-s"
            raise DeviceError(f"{name} did not end within {timeout_s:g} s, it said last: {said}; {advice}") from None
        finally:
            _end(process)
        return Called(code, _read(out), _read(err))


def last_line(text: str) -> str:
    """The last line that is not blank, or an empty text."""
    lines = text.strip().splitlines()
    return lines[-1].strip() if lines else ""


def _read(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def _end(process: psutil.Popen) -> None:
    """Kill a process that still runs, with all that it started."""
    if process.poll() is not None:
        return
    family = [*process.children(recursive=True), process]
    for member in family:
        try:
            member.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(family, timeout=END_S)
