"""Kill a whole run with SIGKILL at random moments, resume it each time, and compare with a run that was left alone.

    python benchmarks/kill_and_resume.py --kills 10

The device is `simulated` (noise drawn from seed, architecture, round and repeat; virtual clock), so on a CPU all that
follows must be bit-identical: the table, the predictor, the architectures, the trained weights, the ONNX file. Prints
one row for each file and, last, one line of JSON.
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
    *("--frame.width", "4", "--frame.depth", "3", "--recipe.epochs", "3", "--latency-weight", "0.5"),
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
    with tempfile.TemporaryDirectory() as folder:
        alone, killed = Path(folder) / "alone", Path(folder) / "killed"
        began = time.monotonic()
        run(["run", *RUN, "--out", str(alone)])
        length_s = time.monotonic() - began
        moments = kill_often(killed, arguments.kills, length_s, random.Random(arguments.seed))
        rows = [{"file": name, "same": digest(alone / name) == digest(killed / name)} for name in SAME]
        tables = [CostTable.load(path / "costs.parquet").frame for path in (alone, killed)]
        rows.append({"file": "costs.parquet (all columns)", "same": tables[0].equals(tables[1])})
    for row in rows:
        print(f"{'same     ' if row['same'] else 'DIFFERENT'}  {row['file']}")
    same = all(row["same"] for row in rows)
    answer = {"benchmark": "kill_and_resume", "met": same, "killed_after_s": moments, "alone_s": round(length_s, 1)}
    print(json.dumps(answer))
    sys.exit(0 if same else 1)


def kill_often(folder: Path, kills: int, length_s: float, generator: random.Random) -> list[float]:
    """Start, kill after a random time, resume, and so on; the last time it is left to finish. The times, in seconds."""
    moments: list[float] = []
    while len(moments) < kills:
        started = (folder / "run.json").exists()
        words = ["run", "--resume", str(folder)] if started else ["run", *RUN, "--out", str(folder)]
        process = subprocess.Popen(command(words), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        moment = generator.uniform(1.0, max(2.0, length_s * 2 / kills))
        try:
            process.wait(timeout=moment)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
        moments.append(round(moment, 2))
    run(["run", "--resume", str(folder)] if (folder / "run.json").exists() else ["run", *RUN, "--out", str(folder)])
    return moments


def run(words: list[str]) -> None:
    """One chronas command to its end."""
    subprocess.run(command(words), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=HANG_S)


def command(words: list[str]) -> list[str]:
    """The words that start chronas in this interpreter."""
    return [sys.executable, "-m", "chronas.cli.main", *words]


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    main()
