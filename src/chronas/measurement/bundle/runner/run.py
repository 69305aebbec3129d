"""Time the networks of this folder on this machine, without chronas.

    python run.py

needs numpy and onnxruntime (Python 3.9 or newer) and writes results.jsonl, one line for each round of a network. After
it was stopped or killed, the same command resumes. When it is done, bring results.jsonl back:

    chronas table import results.jsonl

Networks are measured in blocks that fit into memory, each block in rounds, each round in a new random order. A
reference network is timed in between; latencies are divided by its drift. Networks whose interval is still too wide get
further rounds. manifest.json holds all these settings. If the system grants it (Linux: to root), timing has real-time
priority. Other programs disturb measurements most, so run nothing else.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path
from typing import Any, Final

try:
    import numpy  # noqa: F401 - the files below need it
    import onnxruntime
except ImportError as missing:
    sys.exit(f"run.py: error: {missing.name} is not installed: pip install numpy onnxruntime")

from chronas.devices import cpu_model, operating_system, usable_cores
from chronas.measurement.bundle.runner.lines import RefusedError, Results, alone
from chronas.measurement.bundle.runner.schedule import Campaign
from chronas.measurement.bundle.runner.timer import Timer

BUNDLE_SCHEMA: Final = "chronas.bundle/2"
CPU = "CPUExecutionProvider"
CPU_NAME = "onnxruntime-cpu"  # chronas's own name of this device


def device(provider: str, threads: int, batch: int) -> dict[str, Any]:
    """This machine and its runtime as a fingerprint of chronas, without the names of host or user."""
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
    """The manifest of a bundle, after checking that no file was changed."""
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
        alone(file)
        results = Results(file, manifest, device(options.provider, threads, manifest["batch"]))
        Campaign(manifest, results, Timer(folder, manifest, options.provider, threads)).run()
    sys.stderr.write(f"done. Bring {options.out} back: chronas table import {options.out.name}\n")


def main(words: list[str] | None = None, folder: Path | None = None) -> int:
    """Measure the networks of a folder, by default this file's; returns 0 done, 2 refused, 130 interrupted."""
    try:
        _measure(words, folder or Path(__file__).resolve().parent)
    except RefusedError as error:
        sys.stderr.write(f"run.py: error: {error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; finished rounds are kept; the same command resumes\n")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
