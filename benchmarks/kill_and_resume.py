"""Kill a whole run with SIGKILL at a random moment, resume it, compare it with a run that was left alone; ten times.

    python benchmarks/kill_and_resume.py --kills 10

The device is `simulated` (noise drawn from seed, architecture, round and repeat; virtual clock), so on a CPU all that
follows must be bit-identical: the table, the predictor, the architectures, the trained weights, the ONNX file. Prints
one row for each kill and, last, one line of JSON.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from chronas.tables import CostTable

RUN = (
    *("--preset", "digits-cpu", "--device", "simulated", "--networks", "60", "--data-limit", "400"),
    *("--size.width", "4", "--size.depth", "3", "--recipe.epochs", "3", "--latency-weight", "0.5"),
    *(
        "--searcher.epochs",
        "4",
        "--searcher.warmup-epochs",
        "0",
        "--searcher.width",
        "4",
        "--searcher.depth",
        "3",
        "--no-baseline",
    ),
)
SAME = (
    "predictor/predictor.safetensors",
    "networks/latency-term/choice.json",
    "search/latency-term/scored.json",
    "model.safetensors",
    "model.onnx",
    "model.py",
)
HANG_S = 900


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    arguments = parser.parse_args()
    generator = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        alone = Path(folder) / "alone"
        began = time.monotonic()
        run(["run", *RUN, "--out", str(alone)])
        length_s = time.monotonic() - began
        moments_s = sorted(generator.uniform(0.05, 0.95) * length_s for _ in range(arguments.kills))
        met = [one_kill(alone, Path(folder) / f"killed-{number}", moment) for number, moment in enumerate(moments_s)]
    answer = {"benchmark": "kill_and_resume", "met": all(met), "kills": len(met), "alone_s": round(length_s, 1)}
    print(json.dumps(answer))
    sys.exit(0 if all(met) else 1)


def one_kill(alone: Path, killed: Path, moment_s: float) -> bool:
    """Start a run, kill it after `moment_s` seconds, resume it to its end; whether all it left is as in `alone`."""
    process = subprocess.Popen(
        command(["run", *RUN, "--out", str(killed)]), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    time.sleep(moment_s)
    process.send_signal(signal.SIGKILL)
    process.wait()
    steps = sorted(path.name for path in killed.iterdir() if not path.name.startswith(".")) if killed.exists() else []
    run(["resume", str(killed)] if "run.json" in steps else ["run", *RUN, "--out", str(killed)])
    different = [name for name in SAME if digest(alone / name) != digest(killed / name)]
    tables = [CostTable.load(path / "costs.parquet").frame for path in (alone, killed)]
    different += [] if tables[0].equals(tables[1]) else ["costs.parquet"]
    found = f"different: {', '.join(different)}" if different else "bit-identical"
    print(f"killed after {moment_s:5.1f} s, with {', '.join(steps) or 'nothing'}: {found}", flush=True)
    return not different


def run(words: list[str]) -> None:
    """One chronas command to its end."""
    subprocess.run(command(words), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=HANG_S)


def command(words: list[str]) -> list[str]:
    """The words that start chronas in this interpreter."""
    return [sys.executable, "-m", "chronas", *words]


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    main()
