"""Time the networks of this folder on this machine: what a latency is elsewhere, without chronas.

    python run.py

needs numpy and onnxruntime (Python 3.9 or newer), and writes results.jsonl: one line for each round of a network, as it
is measured. Stopped or killed, it goes on where it was. When it is done, bring results.jsonl back:

    chronas table import results.jsonl

Networks are measured in blocks that fit into memory, each block in rounds, each round in a new random order, with a
reference network at its start, in its middle and at its end; then networks whose interval is still too wide are
measured in further rounds. All that is decided by manifest.json.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import hashlib
import json
import math
import os
import re
import secrets
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

from chronas.devices import cpu_model, operating_system, usable_cores

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None  # type: ignore[assignment]
try:
    import numpy as np
    import onnxruntime
except ImportError as missing:
    sys.exit(f"run.py: error: {missing.name} is not installed: pip install numpy onnxruntime")

BUNDLE_SCHEMA: Final = "chronas.bundle/1"
RESULTS_SCHEMA = "chronas.bundle-results/1"
CPU = "CPUExecutionProvider"
CPU_NAME = "onnxruntime-cpu"  # what chronas calls this device where chronas is
RUNTIME_ERRORS = tuple(
    getattr(onnxruntime.capi.onnxruntime_pybind11_state, name)
    for name in ("Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "NoSuchFile", "NotImplemented")
)
INFORMATIVE = ("os", "cores")  # an update of the system makes no other device
TOLD_EVERY_S = 5.0
Line = dict[str, Any]  # a line of results.jsonl, read


class RefusedError(Exception):
    """What is wrong, in one line, with what to do."""


def sealed(content: Line) -> str:
    """A line of results: the content with a checksum of itself."""
    return json.dumps({**content, "check": _check(content)}, allow_nan=False) + "\n"


def unsealed(text: str) -> Line | None:
    """The content of a line that is whole; None where it is cut off or altered."""
    try:
        content = json.loads(text)
        check = content.pop("check")
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        return None
    return content if check == _check(content) else None


def _check(content: Line) -> int:
    return zlib.crc32(json.dumps(content, sort_keys=True, separators=(",", ":")).encode())


def half_width_percent(samples_by_round: list[list[float]], statistic: str, quantiles: list[float]) -> float:
    """Half the 95 % interval over rounds, in percent of the value: the rule by which there are more rounds.

    Args:
        samples_by_round: milliseconds of each timed run, for each round.
        statistic: what a round's samples are reduced to.
        quantiles: 97.5 % quantiles of Student's t with 1, 2, ... degrees of freedom.
    """
    rounds = [float(np.min(s) if statistic == "minimum" else np.median(s)) for s in samples_by_round]
    half_ms = quantiles[len(rounds) - 2] * float(np.std(rounds, ddof=1)) / math.sqrt(len(rounds))
    return 100 * half_ms / float(np.median(rounds))


class Results:
    """The lines that are there, and the file that gets the next ones."""

    def __init__(self, file: BinaryIO, manifest: dict[str, Any], device: dict[str, Any]) -> None:
        self.file = file
        self.samples_ms: dict[int, dict[int, list[float]]] = {}
        self.references: set[tuple[int, int, int]] = set()
        self.run = secrets.token_hex(8)
        file.seek(0)
        content = file.read()
        whole = content.rfind(b"\n") + 1
        lines = [unsealed(text) for text in content[:whole].decode(errors="replace").splitlines()]
        if lines:
            self._take(lines, manifest, device)
        file.truncate(whole)  # a line that a kill has cut off is measured again
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
            if "network" in line:
                self.samples_ms.setdefault(line["network"], {})[line["round"]] = line["samples_ms"]
            else:
                self.references.add((line["block"], line["round"], line["place"]))

    def write(self, content: Line) -> None:
        """Add a line, and wait until it is on the disk."""
        self.file.write(sealed({**content, "run": self.run}).encode())
        self.file.flush()
        os.fsync(self.file.fileno())


class Timer:
    """The sessions of a block's networks, and the timing of one."""

    def __init__(self, folder: Path, manifest: dict[str, Any], provider: str, threads: int) -> None:
        self.folder, self.plan, self.provider, self.threads = folder, manifest["plan"], provider, threads
        self.logits = (manifest["batch"], manifest["skeleton"]["classes"])
        shape = (manifest["batch"], *manifest["skeleton"]["input_shape"])
        self.images = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
        self.sessions: dict[str, onnxruntime.InferenceSession] = {}
        self.lock = Path(tempfile.gettempdir()) / f"chronas-{_plain(cpu_model())}.lock"

    def prepare(self, file: str) -> onnxruntime.InferenceSession:
        """The session of a network's file, with the settings of chronas."""
        if file not in self.sessions:
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = self.threads
            options.inter_op_num_threads = 1
            options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
            options.log_severity_level = 3
            options.add_session_config_entry("session.intra_op.allow_spinning", "1")
            options.add_session_config_entry("session.force_spinning_stop", "1")
            path = str(self.folder / file)
            try:
                session = onnxruntime.InferenceSession(path, options, providers=[self.provider])
            except RUNTIME_ERRORS as error:
                what = f"onnxruntime {onnxruntime.__version__} cannot load {file} for {self.provider}"
                raise RefusedError(f"{what} ({' '.join(str(error).split())}): take 1.12 or newer") from error
            if session.get_providers()[0] != self.provider:
                raise RefusedError(f"{self.provider} does not take {file}, {session.get_providers()[0]} would run it")
            self.sessions[file] = session
        return self.sessions[file]

    def time(self, file: str) -> Line:
        """One round of a network: when it began and ended, and the milliseconds of each timed run."""
        session = self.prepare(file)
        feed = {session.get_inputs()[0].name: self.images}
        with _only_one(self.lock):
            start_s = time.time()
            for _ in range(self.plan["warmup"]):
                output = session.run(None, feed)[0]
            self._expect(file, output)
            samples_ms = []
            gc.disable()
            for _ in range(self.plan["repeats"]):
                start_ns = time.perf_counter_ns()
                output = session.run(None, feed)[0]
                samples_ms.append((time.perf_counter_ns() - start_ns) / 1e6)
            gc.enable()
            end_s = time.time()
        self._expect(file, output)
        if min(samples_ms) <= 0:
            raise RefusedError("a run took 0 ms, which this machine's clock cannot tell: measure larger networks")
        return {"start_s": start_s, "end_s": end_s, "samples_ms": samples_ms}

    def _expect(self, file: str, output: Any) -> None:
        if output.shape != self.logits or not np.isfinite(output).all():
            raise RefusedError(f"{file} should give {self.logits} finite numbers, {output.shape} came: copy it again")


class Campaign:
    """What is measured next, as the plan and the results so far say."""

    def __init__(self, manifest: dict[str, Any], results: Results, timer: Timer) -> None:
        self.manifest, self.plan, self.results, self.timer = manifest, manifest["plan"], results, timer
        self.files = [network["file"] for network in manifest["networks"]]
        done = [len(results.samples_ms.get(network, {})) for network in range(len(self.files))]
        self.done, self.done_before = sum(done), sum(done)
        self.total = sum(max(self.plan["rounds"], count) for count in done)
        self.began_s, self.told_s = time.monotonic(), -math.inf

    def run(self) -> None:
        """Measure what is missing, block after block."""
        size = self.plan["block"]
        for block, first in enumerate(range(0, len(self.files), size)):
            networks = list(range(first, min(first + size, len(self.files))))
            for index in range(self.plan["max_rounds"]):
                wanted = {network for network in networks if self._wanted(network, index)}
                if not wanted:
                    break
                self._round(block, index, networks, wanted)
            self.timer.sessions.clear()

    def _rounds(self, network: int, before: int) -> list[list[float]]:
        rounds = self.results.samples_ms.get(network, {})
        return [rounds[index] for index in sorted(rounds) if index < before]

    def _wanted(self, network: int, index: int) -> bool:
        rounds = self._rounds(network, index)
        if len(rounds) < index or index < self.plan["rounds"]:
            return len(rounds) == index
        width = half_width_percent(rounds, self.plan["statistic"], self.manifest["quantiles"])
        return width > float(self.plan["interval_percent"])

    def _round(self, block: int, index: int, networks: list[int], wanted: set[int]) -> None:
        order = np.random.default_rng([self.plan["seed"], block, index]).permutation(len(networks))
        ordered = [networks[place] for place in order if networks[place] in wanted]
        missing = [network for network in ordered if index not in self.results.samples_ms.get(network, {})]
        self.total += len(missing) if index >= self.plan["rounds"] else 0
        for network in missing:
            self.timer.prepare(self.files[network])
            self._tell("loading networks")
        half = (len(ordered) + 1) // 2
        for place, part in enumerate((ordered[:half], ordered[half:], [])):
            if (block, index, place) not in self.results.references:
                timed = self.timer.time(self.manifest["reference"]["file"])
                self.results.write({"block": block, "round": index, "place": place, **timed})
            for network in part:
                if index not in self.results.samples_ms.get(network, {}):
                    timed = self.timer.time(self.files[network])
                    self.results.write({"network": network, "round": index, **timed})
                    self.results.samples_ms.setdefault(network, {})[index] = timed["samples_ms"]
                    self.done += 1
                    self._tell("measuring")

    def _tell(self, what: str) -> None:
        now = time.monotonic()
        if now - self.told_s < TOLD_EVERY_S and self.done < self.total:
            return
        self.told_s, new = now, self.done - self.done_before
        left = f", {(now - self.began_s) / new * (self.total - self.done) / 60:.1f} min left" if new else ""
        sys.stderr.write(f"{what}: {self.done}/{self.total} rounds{left}\n")


def device(provider: str, threads: int, batch: int) -> dict[str, Any]:
    """What this machine and its runtime are, as chronas calls it; not whose."""
    plain = provider == CPU
    return {
        "name": CPU_NAME if plain else f"onnxruntime-{provider.replace('ExecutionProvider', '').lower()}",
        "hardware": cpu_model(),
        "cores": usable_cores(),
        "os": operating_system(),
        "runtime": "onnxruntime" if plain else f"onnxruntime with {provider}, {CPU} for what it lacks",
        "version": onnxruntime.__version__,
        "threads": threads,
        "batch": batch,
        "dtype": "float32",
    }


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a bundle whose files are all as they were written."""
    try:
        manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        if manifest["schema"] != BUNDLE_SCHEMA:
            raise RefusedError(f"manifest.json should be {BUNDLE_SCHEMA}, got {manifest['schema']}: use its own run.py")
        for entry in [manifest["weights"], manifest["reference"], *manifest["networks"]]:
            if hashlib.sha256((folder / entry["file"]).read_bytes()).hexdigest() != entry["sha256"]:
                raise RefusedError(f"{entry['file']} is damaged (another checksum): copy the bundle again")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RefusedError(f"the bundle is not complete ({error}): copy the whole folder again") from error
    return manifest


def _plain(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-").lower()


@contextlib.contextmanager
def _only_one(path: Path) -> Iterator[None]:
    """Wait until nobody else, chronas included, is timing on this hardware."""
    if fcntl is None:
        yield
        return
    try:
        file = path.open("a")
    except OSError as error:
        raise RefusedError(f"cannot lock {path}: {error.strerror}; delete it") from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _alone(file: BinaryIO) -> None:
    """Be the only one who writes the results, where the system has file locks."""
    if fcntl is None:
        sys.stderr.write("this system has no file locks: let only one program measure at a time\n")
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise RefusedError(f"another process is writing {file.name}: let it finish, or choose another --out") from None


def _measure(words: list[str] | None, folder: Path) -> None:
    parser = argparse.ArgumentParser(prog="run.py", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--threads", type=int, help="threads that a network may use (default: the manifest's)")
    parser.add_argument("--provider", default=CPU, help=f"execution provider of ONNX Runtime (default: {CPU})")
    parser.add_argument(
        "--out", type=Path, default=folder / "results.jsonl", help="default: results.jsonl, beside run.py"
    )
    options = parser.parse_args(words)
    manifest = read_manifest(folder)
    threads = manifest["threads"] if options.threads is None else options.threads
    if not 1 <= threads <= usable_cores():
        raise RefusedError(f"--threads should be 1 to {usable_cores()} on this machine, got {threads}")
    known = onnxruntime.get_available_providers()
    if options.provider not in known:
        raise RefusedError(f"this onnxruntime has no {options.provider}, it has {', '.join(known)}")
    with options.out.open("a+b") as file:
        _alone(file)
        results = Results(file, manifest, device(options.provider, threads, manifest["batch"]))
        Campaign(manifest, results, Timer(folder, manifest, options.provider, threads)).run()
    sys.stderr.write(f"done. Bring {options.out} back: chronas table import {options.out.name}\n")


def main(words: list[str] | None = None, folder: Path | None = None) -> int:
    """Measure the networks of a folder, by default of this file's; 0 done, 2 refused, 130 interrupted."""
    try:
        _measure(words, folder or Path(__file__).resolve().parent)
    except RefusedError as error:
        sys.stderr.write(f"run.py: error: {error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; nothing measured is lost; the same command goes on\n")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
