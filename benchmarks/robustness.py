"""Damaged and hostile files for every reader, kills of every step, and four processes on one journal.

    python benchmarks/robustness.py --mutations 500 --kills 200 --hostile 100

Each file is read in a process of its own, which may take 10 s and 1 GiB a file. A step is killed at one of its file
events or at a random time (`kills.py`), run again to its end, and compared with one that was left alone. Bars: nothing
ends in another error than chronas's own (exit 70), hangs, takes too much memory, or cannot be resumed; no row is lost
or changed. Prints what went wrong and, last, one line of JSON.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import pickle
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from kills import four_processes, kills
from PIL import Image

from chronas.data import load_dataset
from chronas.devices import make_device
from chronas.errors import ChronasError
from chronas.measurement import Plan, read_journal, run_campaign
from chronas.networks import load_state, save_state
from chronas.predictors import load_predictor, make_predictor
from chronas.spaces import NetworkSize, make_space
from chronas.tables import CostTable, read_accuracies, read_foreign
from chronas.tables.unpickler import read_pickle

HANG_S = 10
MEMORY_MIB = 1024
SPACE = make_space("nasbench201")
SIZE = NetworkSize(input_shape=(3, 8, 8), outputs=4, width=4, depth=1)
NETWORKS = SPACE.sample(30, seed=0)
CODES = SPACE.encode(NETWORKS)

# ---- readers: a sound file, and what reading it gives; equal answers are compared where the file is sealed

Reader = Callable[[Path], Any]


def _images(path: Path) -> Any:
    return load_dataset(str(path)).train.checksum()


READERS: dict[str, tuple[str, Reader, bool]] = {  # kind -> file, reader, whether a change must be noticed
    "journal": ("journal.sqlite", lambda path: _rounds(path), True),
    "table": ("table.parquet", lambda path: CostTable.load(path).frame.rows(), True),
    "predictor": ("predictor.safetensors", lambda path: load_predictor(path).predict(CODES).mean.tolist(), True),
    "checkpoint": ("state.safetensors", lambda path: _state(path), True),
    "csv": ("costs.csv", lambda path: read_foreign(path, SPACE).frame.rows(), False),
    "accuracies": ("accuracies.parquet", lambda path: read_accuracies(path, SPACE).rows(), False),
    "pickle": ("costs.pickle", lambda path: repr(read_pickle(path)), False),
    "archive": ("images.npz", _images, False),
    "folder": ("images", _images, False),
    "parquet images": ("hub", _images, False),
}


def _rounds(path: Path) -> Any:
    state = read_journal(path)
    return [sorted((text, sorted(rounds.items())) for text, rounds in state.samples_ms.items()), state.networks]


def _state(path: Path) -> Any:
    tensors, content = load_state(path)
    return [{name: tensor.tolist() for name, tensor in sorted(tensors.items())}, content]


def write_sound(folder: Path) -> None:
    """One sound file of each kind."""
    device = make_device("simulated")
    plan = Plan(rounds=3, max_rounds=3, repeats=3, block=10)
    run_campaign(device, SIZE, NETWORKS, plan, folder / "journal.sqlite")
    table = CostTable.from_journal(folder / "journal.sqlite")
    table.save(folder / "table.parquet")
    predictor = make_predictor("lookup", SPACE, SIZE)
    predictor.fit(CODES, table.costs(), seed=0)
    predictor.save(folder / "predictor.safetensors")
    tensors, _ = load_state(folder / "predictor.safetensors")
    save_state(folder / "state.safetensors", tensors, {"epoch": 3, "history": [{"loss": 0.5}]})
    texts = [str(network) for network in NETWORKS]
    pl.DataFrame({"architecture": texts, "a_ms": table.costs()}).write_csv(folder / "costs.csv")
    pl.DataFrame({"architecture": texts, "acc": np.linspace(50, 90, 30)}).write_parquet(folder / "accuracies.parquet")
    (folder / "costs.pickle").write_bytes(pickle.dumps({"a": table.costs().tolist(), "b": np.arange(9.0), "c": texts}))
    images = np.random.default_rng(0).integers(0, 255, (24, 8, 8, 3), dtype=np.uint8)
    np.savez_compressed(folder / "images.npz", images=images, labels=np.arange(24) % 2)
    encoded = []
    for number, image in enumerate(images):
        path = folder / "images" / "ab"[number % 2] / f"{number:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
        encoded.append({"bytes": path.read_bytes(), "path": path.name})
    (folder / "hub").mkdir()
    labels = [number % 2 for number in range(24)]
    pl.DataFrame({"image": encoded, "label": labels}).write_parquet(folder / "hub" / "train.parquet")


def mutated(content: bytes, generator: random.Random) -> bytes:
    """The bytes with flipped bits, a part cut out, repeated or overwritten, or the end missing."""
    data = bytearray(content)
    for _ in range(generator.randint(1, 4)):
        place, length = generator.randrange(len(data) or 1), generator.randint(1, 64)
        way = generator.randrange(6)
        if way == 0 and data:
            data[place] ^= 1 << generator.randrange(8)
        elif way == 1:
            del data[place : place + length]
        elif way == 2:
            data[place:place] = data[place : place + length]
        elif way == 3:
            data[place : place + length] = generator.randbytes(length)
        elif way == 4:
            data[place : place + length] = generator.choice([b"\xff", b"\0", b"9", b"["]) * length
        else:
            del data[place + generator.randrange(len(data) - place or 1) :]
    return bytes(data)


def read_all() -> None:
    """The reading process: a line (kind, file, sound file) comes in, a line with the outcome goes out."""
    for line in sys.stdin:
        kind, path, sound = json.loads(line)
        _, read, sealed = READERS[kind]
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        try:
            found = read(Path(path))
            same = not sealed or not sound or _kept(kind, found, read(Path(sound)))
            outcome = "read" if same else "changed"
        except ChronasError as error:
            outcome = "refused" if "\n" not in str(error) else "several lines"
        except Exception as error:  # noqa: BLE001 - any other error is what is looked for
            outcome = f"fault {type(error).__name__}: {error}"
        taken = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        print(json.dumps([outcome, taken]), flush=True)


def _kept(kind: str, found: Any, wanted: Any) -> bool:
    if kind != "journal":
        return bool(found == wanted)
    known = dict(wanted[0])  # a row may be missing, which is measured again, but none may differ
    return all(
        {str(r): s for r, s in rounds}.items() <= {str(r): s for r, s in known[t]}.items() for t, rounds in found[0]
    )


class ReadingProcess:
    """A process that reads files; it is started again after it was ended."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def read(self, kind: str, path: Path, sound: Path | None) -> str:
        """The outcome of one file."""
        if self._process is None or self._process.poll() is not None:
            words = [sys.executable, __file__, "--read"]
            self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps([kind, str(path), str(sound) if sound else ""]) + "\n")
        self._process.stdin.flush()
        signal.setitimer(signal.ITIMER_REAL, HANG_S + 30 * (self._process.pid is None))
        try:
            line = self._process.stdout.readline()
        except TimeoutError:
            self._process.kill()
            self._process.wait()
            return "hang"
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        if not line:
            return f"process ended with {self._process.wait()}"
        outcome, taken_mib = json.loads(line)
        return outcome if taken_mib <= MEMORY_MIB else f"took {taken_mib:.0f} MiB"

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()


def mutations(sound: Path, folder: Path, count: int, generator: random.Random) -> Iterator[tuple[str, str]]:
    """(what, outcome) of reading changed files."""
    process = ReadingProcess()
    for kind in READERS:  # warms the process up: imports are not the file's
        process.read(kind, sound / READERS[kind][0], None)
    for number in range(count):
        kind = list(READERS)[number % len(READERS)]
        name = READERS[kind][0]
        path = folder / f"{number}-{name}"
        if (sound / name).is_dir():
            shutil.copytree(sound / name, path)
            target = generator.choice(sorted(each for each in path.rglob("*") if each.is_file()))
        else:
            shutil.copy(sound / name, path)
            target = path
        target.write_bytes(mutated(target.read_bytes(), generator))
        yield f"{kind} {number}", process.read(kind, path, sound / name)
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    process.close()


# ---- hostile files


def hostile(folder: Path, count: int, generator: random.Random) -> Iterator[tuple[str, str]]:
    """(what, outcome) of reading files that were made to do harm."""
    process, makers = ReadingProcess(), list(HOSTILE.items())
    for number in range(count):
        name, (kind, make) = makers[number % len(makers)]
        path = folder / f"hostile-{number}-{READERS[kind][0]}"
        make(path, 10 ** generator.randint(3, 6))
        yield f"{name} {number}", process.read(kind, path, None)
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    process.close()


def _header(path: Path, shape: tuple[int, ...]) -> None:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "|u1", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("images.npy", buffer.getvalue())
        archive.writestr("labels.npy", buffer.getvalue())


def _labels(path: Path, size: int) -> None:
    images = np.zeros((20, 4, 4), dtype=np.uint8)
    np.savez(path, images=images, labels=np.arange(20) * 10 * size)


def _picture(path: Path, size: int) -> None:
    side = min(20_000, size)
    for name in "ab":
        (path / name).mkdir(parents=True)
        Image.new("1", (side, max(1, side // 2))).save(path / name / "1.png")


def _eps(path: Path, size: int) -> None:
    for name in "ab":
        (path / name).mkdir(parents=True)
        (path / name / "1.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n" + b"x" * size)


def _view(path: Path, size: int) -> None:  # noqa: ARG001 - all makers take a size
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x AS key, x AS value FROM n"
    with sqlite3.connect(path) as connection:
        connection.execute(f"CREATE VIEW header AS {endless}")
    connection.close()


def _rows(path: Path, size: int) -> None:
    frame = pl.select(pl.repeat(0, 100 * size, dtype=pl.Int8).alias("index"))
    frame.write_parquet(path)


def _metadata(path: Path, size: int) -> None:
    path.mkdir()
    buffer = io.BytesIO()
    Image.new("L", (4, 4)).save(buffer, "PNG")
    frame = pl.DataFrame({"image": [buffer.getvalue()] * 12, "label": [0, 1] * 6})
    frame.write_parquet(path / "train.parquet", metadata={"huggingface": "[" * size})


def _names(path: Path, size: int) -> None:
    texts = [str(network) for network in NETWORKS[:3]]
    header = ["../../evil_ms", "/tmp/evil_ms", "\x1b[2J_ms", "=1+1_ms", "a" * size + "_ms"][size % 5]
    rows = "\n".join(f"{text},{number + 1}" for number, text in enumerate(texts))
    path.write_text(f"architecture,{header}\n{rows}\n")


def _double(step: bytes) -> Callable[[Path, int], object]:
    pickled = b"\x80\x04]\x94" + b"".join(step.replace(b"?", bytes([number])) for number in range(60))
    return lambda path, size: path.write_bytes(pickled + b".")  # noqa: ARG005 - all makers take a size


HOSTILE: dict[str, tuple[str, Callable[[Path, int], object]]] = {
    "deep key": ("pickle", lambda path, size: path.write_bytes(b"\x80\x04}" + b")" + b"\x85" * size + b"Ns.")),
    "deep list": ("pickle", lambda path, size: path.write_bytes(b"\x80\x04" + b"](" * size + b"e" * size + b".")),
    "memo": ("pickle", lambda path, size: path.write_bytes(b"Np%d\n." % (1000 * size))),
    "lists that double": ("pickle", _double(b"]\x94(h?h?e")),
    "tuples that double": ("pickle", _double(b"h?h?\x86\x94")),
    "call": ("pickle", lambda path, size: path.write_bytes(b"cos\nsystem\n(S'touch evil'\ntR." + b" " * size)),
    "huge array": ("archive", lambda path, size: _header(path, (1000 * size, 1000, 3))),
    "labels far apart": ("archive", _labels),
    "large picture": ("folder", _picture),
    "program in a picture": ("folder", _eps),
    "endless view": ("journal", _view),
    "many rows": ("accuracies", _rows),
    "deep metadata": ("parquet images", _metadata),
    "names": ("csv", _names),
    "one long cell": ("csv", lambda path, size: path.write_text("architecture,a_ms\n" + "9" * size + ",1\n")),
    "long header": ("predictor", lambda path, size: path.write_bytes((2**60).to_bytes(8, "little") + b"{" * size)),
    "zeros": ("table", lambda path, size: path.write_bytes(bytes(size))),
}

GOOD = {"read", "refused", "finished"}


def campaign(mutation_count: int, kill_count: int, hostile_count: int, seed: int) -> dict[str, Counter[str]]:
    """The outcomes of each part; what went wrong is printed."""
    signal.signal(signal.SIGALRM, _late)
    found: dict[str, Counter[str]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sound, shared = folder / "sound", folder / "four"
        sound.mkdir()
        shared.mkdir()
        write_sound(sound)
        parts: dict[str, Iterator[tuple[str, str]]] = {
            "mutations": mutations(sound, folder, mutation_count, random.Random(seed)),
            "hostile": hostile(folder, hostile_count, random.Random(seed)),
            "kills": kills(folder, kill_count, random.Random(seed)),
            "processes": four_processes(shared) if kill_count else iter(()),
        }
        for part, outcomes in parts.items():
            found[part] = Counter()
            for what, outcome in outcomes:
                found[part][outcome if outcome in GOOD else outcome.split(" ")[0]] += 1
                if outcome not in GOOD:
                    print(f"{part}: {what}: {outcome}", flush=True)
            print(f"{part}: {dict(found[part])}", flush=True)
    return found


def _late(*_: object) -> None:
    raise TimeoutError


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutations", type=int, default=500)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--hostile", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--read", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.read:
        read_all()
        return
    found = campaign(options.mutations, options.kills, options.hostile, options.seed)
    met = all(set(counts) <= GOOD for counts in found.values())
    print(json.dumps({"benchmark": "robustness", "met": met, **{part: dict(counts) for part, counts in found.items()}}))
    sys.exit(0 if met else 1)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
