"""A user's own device: any command that times an ONNX file, on a board, a phone over adb, or a server over ssh.

    ./time.sh MODEL.onnx WARMUP REPEATS

runs the network `WARMUP` times untimed and `REPEATS` times timed. Its last line is one JSON object with the
milliseconds of each timed run and nothing else: `{"samples_ms": [1.92, 1.90, 1.91]}`. Earlier output is ignored. The
model's input is `images` [B, C, H, W] in fp32, of any content.

    ./time.sh --describe

may describe the device: `{"hardware": "...", "runtime": "...", "version": "..."}`. If it ends with an exit code other
than zero, the command's text and the checksum of its files are used instead: a changed script is another device.

The command is split into words as a shell does, and run without a shell. An unknown key in the output is an error, so
that a misspelt key does not go unnoticed. A command that hangs or is interrupted is killed with all its children.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import IO, Any, ClassVar, NamedTuple, NoReturn

import psutil
from pydantic import BaseModel, ConfigDict, Field

from chronas.devices.device import Device, Fingerprint, Runner
from chronas.devices.model import Model
from chronas.errors import DeviceError, excerpt
from chronas.files import sha256

END_S = 10.0


class Called(NamedTuple):
    """The result of a program: its exit code, stdout and stderr."""

    code: int
    out: str
    err: str


def call(words: list[str], name: str, timeout_s: float) -> Called:
    """Run a program without a shell and wait for its end.

    Args:
        words: the program and its arguments.
        name: its name in messages.
        timeout_s: seconds after which it counts as hung and is killed with all its children.

    Raises:
        DeviceError: it did not end in time, or the system cannot run it.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:  # no pipes: a grandchild could hold them
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
    """Kill a process that still runs, and all its children."""
    if process.poll() is not None:
        return
    family = [*process.children(recursive=True), process]
    for member in family:
        try:
            member.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(family, timeout=END_S)


HOW = "it is yours to bring: --device command:./time.sh (docs/own-device.md says what the command must do)"
DESCRIBED = ("hardware", "runtime", "version")
UNKNOWN = "the command's own"
LONGEST = 100  # characters of a text that describes the device
LONGEST_MS = 1e9


class CommandConfig(BaseModel):
    """Settings of a device that a user's command times."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    command: str = Field(default="", description="called as `COMMAND MODEL.onnx WARMUP REPEATS`, prints samples_ms")
    batch: int = Field(default=1, ge=1, le=4096, description="images in one timed run; the latency is the batch's")
    timeout_s: float = Field(default=600.0, gt=0, le=86400, description="seconds after which a call counts as hung")


class Command(Device):
    """A user's own device: a command that takes an ONNX file and prints the milliseconds of each run."""

    name = "command"
    Config: ClassVar[type[BaseModel]] = CommandConfig
    prunes_dead_nodes = False
    config: CommandConfig

    def __init__(self, config: CommandConfig) -> None:
        """Ask the command for its description.

        Raises:
            DeviceError: there is no command, it cannot be run, or its description has another form.
            UsageError: the config belongs to another device.
        """
        super().__init__(config)
        self._words = shlex.split(config.command)
        self._described = self._describe()

    @classmethod
    def unavailable(cls) -> str | None:
        """Instructions for giving a command, because there is no default one."""
        return HOW

    @classmethod
    def unavailable_with(cls, config: BaseModel) -> str | None:
        """The reason why the config's command cannot be run, or None."""
        assert isinstance(config, CommandConfig)
        try:
            words = shlex.split(config.command)
        except ValueError as error:
            return f"{excerpt(config.command)} is no command ({str(error).lower()}): close the quotation"
        if not words:
            return HOW
        if shutil.which(words[0]) is None:
            there = Path(words[0]).is_file()
            return f"{words[0]} " + ("may not be run: chmod +x it" if there else "is not found: name a file or program")
        return None

    @property
    def hardware(self) -> str:
        """The hardware in the command's description, or else the command."""
        return str(self._described["hardware"])

    def fingerprint(self) -> Fingerprint:
        """The command's description, or its text and checksum; the machine that calls it does not matter."""
        return {
            "name": self.name,
            **self._described,
            "cores": UNKNOWN,
            "os": UNKNOWN,
            "threads": UNKNOWN,
            "batch": self.config.batch,
            "dtype": "float32",
        }

    def _prepare(self, model: Model) -> Runner:
        """The network's ONNX file for the command; raises as `Device.prepare`."""
        content = model.onnx(self.config.batch)
        return _CommandRunner(self._words, content, (self.config.batch, *model.input_shape), self.config.timeout_s)

    def _describe(self) -> dict[str, str]:
        text = _text(self._words)
        code, out, _ = call([*self._words, "--describe"], text, self.config.timeout_s)
        if code != 0:
            return {"hardware": f"what {text[:LONGEST]} times", "runtime": text, "version": _checksum(self._words)}
        described = _last_object(out)
        if described is None or described.keys() != set(DESCRIBED) or not _all_texts(described):
            raise DeviceError(
                f"{text} --describe should print one line of JSON with the texts {', '.join(DESCRIBED)}, or end with "
                f"an exit code above zero, got {excerpt(last_line(out))}"
            )
        return {key: described[key] for key in DESCRIBED}


class _CommandRunner(Runner):
    """A network's ONNX file, which exists until `close`; its name is its checksum, so that users can cache it."""

    def __init__(self, words: list[str], model: bytes, input_shape: tuple[int, ...], timeout_s: float) -> None:
        self.words = words
        self.input_shape = input_shape
        self.timeout_s = timeout_s
        self.folder = tempfile.TemporaryDirectory(prefix="chronas-")
        self.path = Path(self.folder.name) / f"{hashlib.sha256(model).hexdigest()[:16]}.onnx"
        self.path.write_bytes(model)

    def _round(self, index: int, warmup: int, repeats: int) -> list[float]:  # noqa: ARG002 - for simulated noise alone
        words = [*self.words, str(self.path), str(warmup), str(repeats)]
        code, out, err = call(words, _text(self.words), self.timeout_s)
        said = f"; it said last: {excerpt(last_line(err))}" if err.strip() else ""
        if code != 0:
            self._refuse(f"ended with exit code {code}{said}")
        answer = _last_object(out)
        if answer is None:
            self._refuse(f"should print one JSON object as its last line, got {excerpt(last_line(out))}{said}")
        if answer.keys() != {"samples_ms"} or not isinstance(answer["samples_ms"], list):
            self._refuse(f'should print {{"samples_ms": [...]}} alone, got {excerpt(json.dumps(answer))}{said}')
        samples = answer["samples_ms"]
        wrong = [sample for sample in samples if not _is_duration(sample)]
        if wrong:
            self._refuse(f"should give milliseconds above zero, got {excerpt(json.dumps(wrong[0]))}{said}")
        if len(samples) != repeats:
            self._refuse(f"should give {repeats} samples, got {len(samples)}{said}")
        return [float(sample) for sample in samples]

    def _refuse(self, why: str) -> NoReturn:
        raise DeviceError(f"{_text(self.words)} {why}: mend it, then run the same again")

    def close(self) -> None:
        self.folder.cleanup()


def _last_object(out: str) -> dict[str, Any] | None:
    """The JSON object on the last line, or None."""
    try:
        found = json.loads(last_line(out))
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _is_duration(sample: object) -> bool:
    return isinstance(sample, int | float) and not isinstance(sample, bool) and 0 < sample <= LONGEST_MS


def _all_texts(described: dict[str, Any]) -> bool:
    return all(isinstance(value, str) and 0 < len(value.strip()) <= LONGEST for value in described.values())


def _text(words: list[str]) -> str:
    """The command without the folders of its files, which may contain a user name."""
    return shlex.join(Path(word).name if os.sep in word else word for word in words)


def _checksum(words: list[str]) -> str:
    """One checksum over the files that the command names, including its program."""
    files = [Path(shutil.which(words[0]) or words[0]), *(Path(word) for word in words[1:] if Path(word).is_file())]
    return hashlib.sha256("".join(map(sha256, files)).encode()).hexdigest()[:16]
