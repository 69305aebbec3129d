"""Kills of steps of chronas, the same command run again, and the comparison with a step that was left alone.

for what, outcome in kills(folder, 200, random.Random(0)):
    ...  # "finished": the second command ended well and left the same files

Every second kill is at a random one of the step's file events, and the others are at a random time between its first
file event and its end. The device is `simulated`, so on a CPU all files that do not hold times are bit-identical; which
hold times is found out from two steps that were left alone. `benchmarks/robustness.py` prints the outcomes.
"""

from __future__ import annotations

import hashlib
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from chronas.devices import make_device
from chronas.measurement import read_journal
from chronas.spaces import NetworkSize, make_space
from chronas.tables import CostTable

HANG_S = 300
AT_ONCE = 2  # kills that run beside each other
PROGRAM = """
import os, signal, sys, time
last, after_s, folder = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
seen, began_s = 0, 0.0
def trace(event, arguments):
    global seen, began_s
    ours = ("open", "os.rename", "os.remove", "os.mkdir", "sqlite3.connect", "shutil.rmtree")
    if event in ours and folder in str(arguments):
        seen += 1
        if seen == 1:
            began_s = time.monotonic()
            if after_s:
                signal.setitimer(signal.ITIMER_REAL, after_s)  # without a handler, it ends the process at once
        if seen == last:
            os._exit(9)
from chronas.cli.main import main
sys.addaudithook(trace)
code = main(sys.argv[4:])
sys.stderr.write(f"events {seen} {time.monotonic() - began_s}")
sys.exit(code)
"""
SPACE = make_space("nasbench201")
SIZE = NetworkSize(input_shape=(1, 8, 8), outputs=10, width=4, depth=1)
SMALL = ("--device", "simulated", "--networks", "12", "--plan.rounds", "2", "--plan.max-rounds", "2")
IMAGES = ("--data", "digits", "--data-limit", "200")
CELL = "|nor_conv_3x3~0|+|none~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_1x1~1|nor_conv_3x3~2|"
STEPS: dict[str, list[str]] = {  # {out} is the step's place, {sound} has sound files
    "measure run": ["measure", "run", "--space", "nasbench201", *SMALL, "--out", "{out}/costs.parquet"],
    "measure lookup": [
        *("measure", "lookup", *SMALL, "--size.width", "4", "--out", "{out}/costs.parquet"),
        *("--save-blocks", "{out}/blocks.parquet", "--save-predictor", "{out}/sums.safetensors"),
    ],
    "measure bundle": [
        *("measure", "bundle", "--space", "nasbench201", "--networks", "3", "--size.width", "4"),
        *("--out", "{out}/bundle"),
    ],
    "table import csv": ["table", "import", "csv", "{sound}/costs.csv", "--out", "{out}/tables"],
    "table query": ["table", "query", "{sound}/table.parquet", "--out", "{out}/costs.csv"],
    "fit": ["fit", "--table", "{sound}/table.parquet", "--predictor", "lookup", "--out", "{out}/p.safetensors"],
    "run": [
        *("run", "--preset", "digits-cpu", "--device", "simulated", "--networks", "16", "--predictor", "lookup"),
        *("--data-limit", "200", "--size.width", "4", "--size.depth", "1", "--recipe.epochs", "2"),
        *("--latency-weight", "0.5", "--searcher", "darts", "--searcher.epochs", "2", "--searcher.warmup-epochs", "0"),
        *("--searcher.width", "4", "--searcher.depth", "1", "--no-baseline", "--plan.rounds", "2"),
        *("--plan.max-rounds", "2", "--out", "{out}/run"),
    ],
    "search": [
        *("search", "--table", "{sound}/table.parquet", *IMAGES, "--predictor", "lookup", "--latency-weight", "0.5"),
        *("--searcher", "evolution", "--searcher.epochs", "1", "--searcher.architectures", "8", "--no-baseline"),
        *("--out", "{out}/run"),
    ],
    "train": [
        *("train", "--architecture", CELL, "--space", "nasbench201", "--data", "digits", "--size.width", "4"),
        *("--size.depth", "1", "--recipe.epochs", "3", "--out", "{out}/trained"),
    ],
    "export": ["export", "--network", "{sound}/trained", "--out", "{out}/exported"],
}
PASSING = (".lock", "-wal", "-shm")  # endings of files that only matter while a step runs


@dataclass(frozen=True)
class Alone:
    """What a step does that is not killed.

    Attributes:
        events: number of its file events.
        seconds: time from the first event to its end.
        files: content of its files by name; None for a file that holds times.
    """

    events: int
    seconds: float
    files: dict[str, Any]


def kills(folder: Path, count: int, generator: random.Random) -> Iterator[tuple[str, str]]:
    """(what, outcome) of steps that were killed and run again.

    Args:
        folder: a folder for all files.
        count: number of kills, over all steps in turn.
        generator: of the moments.
    """
    names = [list(STEPS)[number % len(STEPS)] for number in range(count)]
    sound = folder / "to-kill"
    if count:
        sound.mkdir()
        write_sound(sound)
    alone = {name: left_alone(name, sound, folder / "alone" / name.replace(" ", "-")) for name in dict.fromkeys(names)}
    moments = [generator.random() for _ in names]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield from pool.map(
            lambda number: one_kill(names[number], number, moments[number], alone[names[number]], sound, folder),
            range(count),
        )


def write_sound(folder: Path) -> None:
    """The files that steps read: a table, a CSV file, and a trained network."""
    networks = SPACE.sample(30, seed=0)
    costs = np.linspace(1, 4, 30).tolist()
    CostTable.from_rows(
        SPACE, SIZE, make_device("simulated"), list(zip(networks, costs, strict=True)), source="made for kills"
    ).save(folder / "table.parquet")
    pl.DataFrame({"architecture": [str(each) for each in networks], "a_ms": costs}).write_csv(folder / "costs.csv")
    answer = start("train", folder, folder)
    if answer.returncode:
        raise SystemExit(f"train itself fails: {answer.stderr}")


def left_alone(name: str, sound: Path, place: Path) -> Alone:
    """What a step does that is not killed, from two of them."""
    found = []
    for number in range(2):
        out = place / str(number)
        out.mkdir(parents=True)
        answer = start(name, sound, out)
        if answer.returncode:
            raise SystemExit(f"{name} itself fails: {answer.stderr}")
        found.append(content(out))
    events, seconds = answer.stderr.rpartition("events ")[2].split()
    files = {key: value if found[1][key] == value else None for key, value in found[0].items()}
    return Alone(int(events), float(seconds), files)


def one_kill(name: str, number: int, moment: float, alone: Alone, sound: Path, folder: Path) -> tuple[str, str]:
    """Kill a step, run it again to its end, and compare.

    Args:
        name: name of the step.
        number: number of the kill.
        moment: when, from 0 (first file event) to 1 (the end).
        alone: the step that was not killed.
        sound: folder of the files that it reads.
        folder: folder for the step's own.
    """
    out = folder / f"killed-{number}"
    out.mkdir()
    if number // len(STEPS) % 2:
        after_s = max(0.001, moment * alone.seconds)
        what, first = f"{name} after {after_s:.3f} of {alone.seconds:.3f} s", start(name, sound, out, after_s=after_s)
    else:
        last = 1 + int(moment * alone.events)
        what, first = f"{name} at event {last} of {alone.events}", start(name, sound, out, last=last)
    before = rows_of(out)
    again = start(name, sound, out)
    outcome = verdict(first, again, out, alone.files, before)
    shutil.rmtree(out)
    return what, outcome


def start(name: str, sound: Path, out: Path, *, last: int = 0, after_s: float = 0) -> subprocess.CompletedProcess[str]:
    """One command, killed at its `last` file event or `after_s` seconds after the first (0: not)."""
    words = [word.format(out=out, sound=sound) for word in STEPS[name]]
    command = [sys.executable, "-c", PROGRAM, str(last), str(after_s), str(out), *words]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=HANG_S)


def content(out: Path) -> dict[str, Any]:
    """The files of a step by name: rows of tables and journals without times, checksums of others."""
    found: dict[str, Any] = {}
    for path in sorted(path for path in out.rglob("*") if path.is_file() and not path.name.endswith(PASSING)):
        name = path.relative_to(out).as_posix()
        if path.suffix == ".parquet":
            found[name] = pl.read_parquet(path).rows()
        elif path.suffix == ".sqlite":
            found[name] = rounds(path)
        else:
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def rounds(journal: Path) -> list[tuple[str, Any]]:
    """(network, its samples by round) of a journal."""
    return sorted((text, dict(sorted(samples.items()))) for text, samples in read_journal(journal).samples_ms.items())


def rows_of(out: Path) -> dict[str, Any]:
    """The rounds in the journals of a step, by journal and network."""
    return {
        f"{path.relative_to(out)} {network}": samples
        for path in out.rglob("*.sqlite")
        if not path.name.startswith(".")
        for network, samples in rounds(path)
    }


def verdict(
    first: subprocess.CompletedProcess[str],
    again: subprocess.CompletedProcess[str],
    out: Path,
    wanted: dict[str, Any],
    before: dict[str, Any],
) -> str:
    """The outcome of a step that was killed and run again."""
    done = first.returncode == 0 or (again.returncode == 2 and "nothing is overwritten" in again.stderr)
    if again.returncode and not done:
        return f"not resumable: {again.stderr.strip()[-200:]}"
    found, after = content(out), rows_of(out)
    if any(not dict(samples).items() <= dict(after.get(key, {})).items() for key, samples in before.items()):
        return "rows lost"
    other = set(found) ^ set(wanted) or {
        key for key, value in wanted.items() if value is not None and found[key] != value
    }
    return f"differs: {sorted(other)}" if other else "finished"


def four_processes(folder: Path) -> Iterator[tuple[str, str]]:
    """Four processes begin one journal at once: one writes it, the others say so."""
    words = [word.format(out=folder, sound=folder) for word in STEPS["measure run"]]
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "chronas", *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    ends = [(process.communicate()[1], process.returncode) for process in running]
    good = all(code == 0 or (code == 2 and ("another process" in error or "exists" in error)) for error, code in ends)
    whole = len(CostTable.load(folder / "costs.parquet")) == 12
    yield "four processes", "finished" if good and whole else f"went wrong: {ends}"
