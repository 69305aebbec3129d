"""The lines of results.jsonl: each has its own checksum and is on the disk before the next measurement."""

from __future__ import annotations

import json
import os
import secrets
import sys
import time
import zlib
from typing import Any, BinaryIO

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None  # type: ignore[assignment]

RESULTS_SCHEMA = "chronas.bundle-results/2"
INFORMATIVE = ("os", "cores")  # an update of the system does not make another device
Line = dict[str, Any]


class RefusedError(Exception):
    """An error for the user: what is wrong and what to do, in one line."""


def sealed(content: Line) -> str:
    """A line of results: the content with its checksum."""
    return json.dumps({**content, "check": _check(content)}, allow_nan=False) + "\n"


def unsealed(text: str) -> Line | None:
    """The content of a complete line; None if any character differs from what was written."""
    try:
        content = json.loads(text)
        del content["check"]
        return content if sealed(content) == text.rstrip("\r\n") + "\n" else None
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        return None


def _check(content: Line) -> int:
    return zlib.crc32(json.dumps(content, sort_keys=True, separators=(",", ":")).encode())


class Results:
    """The existing lines, and the file for further ones."""

    def __init__(self, file: BinaryIO, manifest: dict[str, Any], device: dict[str, Any]) -> None:
        self.file = file
        self.rounds: dict[int, dict[int, Line]] = {}
        self.references: dict[tuple[int, int, int], Line] = {}
        self.run = secrets.token_hex(8)
        file.seek(0)
        content = file.read()
        whole = content.rfind(b"\n") + 1
        lines = [unsealed(text) for text in content[:whole].decode(errors="replace").splitlines()]
        if lines:
            self._take(lines, manifest, device)
        file.truncate(whole)  # a line that was cut off by a kill is measured again
        if not lines:
            created = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
            self.write({"schema": RESULTS_SCHEMA, "created": created, "device": device, "manifest": manifest})

    def _take(self, lines: list[Line | None], manifest: dict[str, Any], device: dict[str, Any]) -> None:
        path = self.file.name
        broken = [number for number, line in enumerate(lines, 1) if line is None]
        if broken:
            raise RefusedError(f"line {broken[0]} of {path} is damaged: use a copy, or choose another --out")
        header = lines[0] or {}
        if header.get("schema") != RESULTS_SCHEMA or header.get("manifest") != manifest:
            raise RefusedError(f"{path} holds the results of another bundle: choose another --out")
        old = header["device"]
        keys = [key for key in device if key not in INFORMATIVE and old.get(key) != device[key]]
        if keys:
            changed = [f"{key} {old.get(key)} there, {device[key]} here" for key in keys]
            raise RefusedError(f"{path} is of another device ({'; '.join(changed)}): choose another --out")
        self.run = header["run"]
        for line in lines[1:]:
            assert line is not None
            if line["run"] != self.run:
                raise RefusedError(f"{path} holds lines of several runs: use a copy, or choose another --out")
            self._keep(line)

    def _keep(self, line: Line) -> None:
        if "network" in line:
            self.rounds.setdefault(line["network"], {})[line["round"]] = line
        else:
            self.references[line["block"], line["round"], line["place"]] = line

    def add(self, line: Line) -> None:
        """Write one round of a network or of the reference."""
        self.write(line)
        self._keep(line)

    def write(self, content: Line) -> None:
        """Write a line, and wait until it is on the disk."""
        self.file.write(sealed({**content, "run": self.run}).encode())
        self.file.flush()
        os.fsync(self.file.fileno())


def alone(file: BinaryIO) -> None:
    """Lock the results for this process, if the system has file locks."""
    if fcntl is None:
        sys.stderr.write("this system has no file locks: let only one program measure at a time\n")
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise RefusedError(f"another process is writing {file.name}: let it finish, or choose another --out") from None
