"""Timing of one network with ONNX Runtime as in chronas, and the load from other programs."""

from __future__ import annotations

import contextlib
import gc
import os
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from chronas.devices import NORMAL, cpu_model, realtime_priority
from chronas.measurement.bundle.runner.lines import Line, RefusedError

try:
    import fcntl
    import resource
except ImportError:  # Windows has no such locks and does not report preemptions
    fcntl = resource = None  # type: ignore[assignment]

RUNTIME_ERRORS = tuple(
    getattr(onnxruntime.capi.onnxruntime_pybind11_state, name)
    for name in ("Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "NoSuchFile", "NotImplemented")
)
COPIES = 3  # sessions of the reference, during the whole campaign
TRIES = 3  # at most this many timed runs for each requested one, if other programs take the core away
FRESH_S = 0.25  # a shorter time has too few ticks of the system's clock to say much


class Timer:
    """The sessions of a block's networks, and the timing of one network."""

    def __init__(self, folder: Path, manifest: dict[str, Any], provider: str, threads: int) -> None:
        self.folder, self.plan, self.provider, self.threads = folder, manifest["plan"], provider, threads
        self.logits = (manifest["batch"], manifest["size"]["outputs"])
        shape = (manifest["batch"], *manifest["size"]["input_shape"])
        self.images = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
        self.sessions: dict[str, onnxruntime.InferenceSession] = {}
        self.references: list[onnxruntime.InferenceSession] = []
        self.lock = Path(tempfile.gettempdir()) / f"chronas-{_plain(cpu_model())}.lock"

    def prepare(self, file: str) -> onnxruntime.InferenceSession:
        """The session of a network's file; it is kept until `sessions` is cleared."""
        if file not in self.sessions:
            self.sessions[file] = self._session(file)
        return self.sessions[file]

    def reference(self, file: str, place: int) -> onnxruntime.InferenceSession:
        """One of several sessions of the reference, in turn, as in chronas: each has another place in memory."""
        if len(self.references) < COPIES:
            self.references.append(self._session(file))
        return self.references[place % len(self.references)]

    def _session(self, file: str) -> onnxruntime.InferenceSession:
        """A new session of a file, with chronas's settings."""
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
        return session

    def time(self, session: onnxruntime.InferenceSession, warmup: int, repeats: int) -> tuple[Line, str]:
        """One round of a network: start and end, milliseconds of each timed run, and the priority.

        As in chronas, a run is repeated if the system gave the core to another program meanwhile.
        """
        feed = {session.get_inputs()[0].name: self.images}
        samples_ms: list[float] = []
        disturbed_ms: list[float] = []
        raised = realtime_priority() if self.plan["priority"] == "high" else contextlib.nullcontext(NORMAL)
        with _only_one(self.lock), raised as priority:
            start_s = time.time()
            for _ in range(warmup):
                output = session.run(None, feed)[0]
            gc.disable()
            while len(samples_ms) < repeats and len(samples_ms) + len(disturbed_ms) < TRIES * repeats:
                before = _preemptions()
                start_ns = time.perf_counter_ns()
                output = session.run(None, feed)[0]
                taken_ms = (time.perf_counter_ns() - start_ns) / 1e6
                (samples_ms if _preemptions() == before else disturbed_ms).append(taken_ms)
            gc.enable()
            end_s = time.time()
        if output.shape != self.logits or not np.isfinite(output).all():
            raise RefusedError(
                f"a network should give {self.logits} finite numbers, gave {output.shape}: copy it again"
            )
        samples_ms += sorted(disturbed_ms)[: repeats - len(samples_ms)]
        if min(samples_ms) <= 0:
            raise RefusedError("a run took 0 ms, which this machine's clock cannot resolve: measure larger networks")
        return {"start_s": start_s, "end_s": end_s, "samples_ms": samples_ms}, priority


class Load:
    """Measures the cores used by others between two calls, on Linux."""

    def __init__(self) -> None:
        self.last: tuple[float, float] | None = None
        self.known: float | None = None

    def cores(self) -> float | None:
        """The mean number of cores used by others since the last call; None if unknown."""
        path = Path("/proc/stat")
        if not path.is_file():
            return None
        user, nice, system, _, _, irq, softirq, steal = map(int, path.read_text().split()[1:9])
        others_s = (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK") - time.process_time()
        now_s = time.monotonic()
        if self.last is None or now_s - self.last[0] >= FRESH_S:
            if self.last is not None:
                self.known = max(0.0, (others_s - self.last[1]) / (now_s - self.last[0]))
            self.last = (now_s, others_s)
        return self.known


def _preemptions() -> int:
    """The number of times that this thread lost its core to others; always 0 if unknown."""
    thread = getattr(resource, "RUSAGE_THREAD", None)
    return 0 if thread is None else resource.getrusage(thread).ru_nivcsw


def _plain(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-").lower()


@contextlib.contextmanager
def _only_one(path: Path) -> Iterator[None]:
    """Wait until no other process, chronas included, is timing on this hardware."""
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
