"""Damaged files, full disks and folders of others: one clear line, exit 2, and nothing lost."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from chronas.cli.main import main
from chronas.runs import Run
from tiny_run import FLAGS

Capture = pytest.CaptureFixture[str]
ROLE = "latency-term"
BINARIES = {  # file -> what must be gone so that the next run reads it
    "journal.sqlite": ("costs.parquet",),
    "final.sqlite": (),
    f"choose {ROLE}.sqlite": (f"networks/{ROLE}/choice.json",),
    "costs.parquet": (),
    "predictor/predictor.safetensors": (),
    f"search/{ROLE}/search.safetensors": (f"networks/{ROLE}/choice.json",),
    f"networks/{ROLE}/training/last.safetensors": (f"networks/{ROLE}/result.json",),
    f"networks/{ROLE}/training/best.safetensors": (f"networks/{ROLE}/result.json",),
}
ALWAYS_NEW = {"timings.json", ".lock", "report.html"}
GENOTYPE = (
    "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('skip_connect', 0), ('sep_conv_3x3', 1), "
    "('skip_connect', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('skip_connect', 2)], normal_concat=range(2, 6), "
    "reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 0), ('max_pool_3x3', 0), "
    "('skip_connect', 2), ('skip_connect', 2), ('avg_pool_3x3', 0)], reduce_concat=range(2, 6))"
)
SMALL = ["--size.width", "4", "--size.depth", "3", "--recipe.epochs", "1"]


def content(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name not in ALWAYS_NEW)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def refused(words: list[str], capsys: Capture, exit_code: int = 2) -> str:
    """The one line that a command line ends with."""
    capsys.readouterr()
    assert main(words) == exit_code
    captured = capsys.readouterr()
    lines = [line for line in captured.err.splitlines() if line.startswith("chronas:")]
    assert len(lines) == 1
    assert "Traceback" not in captured.err
    return lines[0].removeprefix("chronas: error: ")


def halved(data: bytes) -> bytes:
    return data[: len(data) // 2]


def flipped(data: bytes) -> bytes:
    """One byte in the middle and one near the end are others."""
    changed = bytearray(data)
    for place in (len(data) // 2, len(data) * 2 // 3, len(data) - 30):
        changed[place] ^= 0xFF
    return bytes(changed)


def emptied(data: bytes) -> bytes:
    return b""


@pytest.mark.parametrize("damage", [halved, flipped, emptied])
@pytest.mark.parametrize("name", BINARIES)
def test_a_damaged_file_of_a_run_is_named_and_nothing_is_lost(name: str, damage, copied: Run, capsys: Capture) -> None:  # type: ignore[no-untyped-def]
    path = copied.folder / name
    path.write_bytes(damage(path.read_bytes()))
    for other in BINARIES[name]:
        (copied.folder / other).unlink()
    before = content(copied.folder)
    line = refused(["resume", str(copied.folder)], capsys)
    assert str(path) in line
    assert "damaged" in line or "cut off" in line
    assert content(copied.folder) == before


@pytest.mark.parametrize("name", ["run.json", "data.json", f"networks/{ROLE}/choice.json", "timings.json"])
def test_a_json_file_with_a_hole_is_named(name: str, copied: Run, capsys: Capture) -> None:
    path = copied.folder / name
    found = json.loads(path.read_text())
    path.write_text(json.dumps({"schema": found["schema"]}))
    assert f"{name} is damaged" in refused(["report", str(copied.folder)], capsys)


@pytest.mark.parametrize("cost", [float("nan"), float("inf"), 0.0, -1.5])
def test_a_table_with_a_cost_that_cannot_be_is_refused(
    cost: float, finished: Run, tmp_path: Path, capsys: Capture
) -> None:
    source = finished.folder / "costs.parquet"
    metadata = {key: text for key, text in pl.read_parquet_metadata(source).items() if key.startswith("chronas")}
    third = pl.when(pl.int_range(pl.len()) == 3).then(pl.lit(cost)).otherwise(pl.col("latency_ms"))
    table = tmp_path / "table.parquet"
    pl.read_parquet(source).with_columns(third.alias("latency_ms")).write_parquet(table, metadata=metadata)
    for words in (["fit"], ["search", *FLAGS, "--out", str(tmp_path / "run")]):
        line = refused([*words, "--table", str(table)], capsys)
        assert f"table.parquet is damaged: latency_ms should be finite and above zero, got {cost}" in line
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (["--size.depth", "4"], "size is"),
        (["--space", "nasbench201"], "space is darts there, nasbench201 here"),
        (["--device.seed", "3"], "device: seed is"),
    ],
)
def test_a_table_of_something_else_leaves_no_folder(
    changes: list[str], expected: str, finished: Run, tmp_path: Path, capsys: Capture
) -> None:
    table = str(finished.folder / "costs.parquet")
    words = ["search", "--table", table, *FLAGS, *changes, "--out", str(tmp_path / "run")]
    assert expected in refused(words, capsys)
    assert not (tmp_path / "run").exists()


def test_a_table_of_another_device_says_only_that(finished: Run, tmp_path: Path, capsys: Capture) -> None:
    flags = [flag if flag != "simulated" else "onnxruntime-cpu" for flag in FLAGS]
    table = str(finished.folder / "costs.parquet")
    line = refused(["search", "--table", table, *flags, "--out", str(tmp_path / "run")], capsys)
    assert line.startswith("the table is of another kind than asked: device: name is simulated there, onnxruntime-cpu")
    assert line.count(" there, ") == 1


def picture(path: Path, height: int = 8) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((height, 8, 3), np.uint8)).save(path)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("one class", "at least two classes, got one (cat)"),
        ("unreadable", "3.png cannot be read"),
        ("bomb", "at most 64,000,000 are read"),
        ("empty", "at least two classes, got none"),
        ("missing", "there is no data set"),
    ],
)
@pytest.mark.parametrize("command", ["run", "train"])
def test_a_bad_folder_of_images_is_refused_before_anything_is_written(
    command: str, kind: str, expected: str, tmp_path: Path, capsys: Capture
) -> None:
    data = tmp_path / "data" / "images"
    for label in ("cat", "dog")[: {"one class": 1, "empty": 0, "missing": 0}.get(kind, 2)]:
        for number in range(6):
            picture(data / label / f"{number}.png", height=8)
    if kind == "empty":
        data.mkdir(parents=True)
    if kind == "bomb":
        Image.new("1", (9000, 9000)).save(data / "dog" / "3.png")
    if kind == "unreadable":
        (data / "dog" / "3.png").write_bytes(b"no picture")
    settings = [*FLAGS] if command == "run" else ["--architecture", GENOTYPE, *SMALL]
    line = refused([command, *settings, "--data", str(data), "--out", str(tmp_path / "out")], capsys)
    assert expected in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (GENOTYPE.replace("avg_pool_3x3", "avg_pol_3x3"), "unknown operation 'avg_pol_3x3': did you mean avg_pool_3x3"),
        (GENOTYPE[:-20], "which does not parse"),
        (GENOTYPE.replace("('skip_connect', 2)]", "('skip_connect', 9)]"), "normal node 5 has inputs 0..4, got"),
        ("Genotype(normal=[])", "has the fields normal, normal_concat, reduce, reduce_concat"),
        ("__import__('os').abort()", "expected Genotype("),
    ],
)
def test_a_malformed_architecture_is_one_line(text: str, expected: str, tmp_path: Path, capsys: Capture) -> None:
    assert expected in refused(["train", "--architecture", text, "--out", str(tmp_path / "out")], capsys)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("holds", ["a file", "a run", "pictures"])
def test_a_training_does_not_go_where_something_else_is(
    holds: str, finished: Run, tmp_path: Path, capsys: Capture
) -> None:
    out = {"a file": tmp_path / "notes.txt", "a run": finished.folder, "pictures": tmp_path / "pictures"}[holds]
    if holds == "a file":
        out.write_text("mine")
    if holds == "pictures":
        picture(out / "cat.png")
    line = refused(["train", "--architecture", GENOTYPE, *SMALL, "--out", str(out)], capsys)
    assert "holds no training: choose another --out, nothing is overwritten" in line
    assert out.exists()


@pytest.mark.parametrize(
    "words",
    [
        ["run", *FLAGS],
        ["measure", "run", "--device", "simulated", "--networks", "12"],
        ["train", "--architecture", GENOTYPE, *SMALL],
        ["export", "--network", "{finished}/networks/random"],
        ["fit", "--table", "{finished}/costs.parquet", "--predictor", "lookup"],
    ],
)
def test_a_place_below_a_file_is_refused(words: list[str], finished: Run, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    words = [word.replace("{finished}", str(finished.folder)) for word in words]
    line = refused([*words, "--out", str(tmp_path / "notes.txt" / "x.parquet")], capsys)
    assert "notes.txt" in line
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_the_journal_is_not_overwritten_by_its_table(tmp_path: Path, capsys: Capture) -> None:
    words = ["measure", "run", "--device", "simulated", "--networks", "12", "--out", str(tmp_path / "costs.sqlite")]
    assert "give a name that ends in .parquet" in refused(words, capsys)
    assert list(tmp_path.iterdir()) == []


def test_a_stem_that_the_space_lacks_leaves_no_journal(tmp_path: Path, capsys: Capture) -> None:
    words = ["measure", "run", "--space", "nasbench201", "--device", "simulated", "--size.stem", "imagenet"]
    line = refused([*words, "--out", str(tmp_path / "costs.parquet")], capsys)
    assert line == "space nasbench201 has no imagenet stem: give one of cifar"
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_one_line_and_the_old_files_stay(
    copied: Run, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = content(copied.folder)

    def full(file: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        line = refused(["report", str(copied.folder)], capsys)
        assert "report.html: No space left on device; what was there before is untouched; free space" in line
        (copied.folder / "networks" / ROLE / "result.json").unlink()
        assert "No space left on device" in refused(["resume", str(copied.folder)], capsys)
    assert main(["resume", str(copied.folder)]) == 0
    same = {name for name, data in content(copied.folder).items() if before.get(name) == data}
    assert same >= {"costs.parquet", "journal.sqlite", "model.onnx", "model.safetensors", "run.json"}


def test_a_limit_below_anything_says_what_is_reachable(finished: Run, tmp_path: Path, capsys: Capture) -> None:
    table = str(finished.folder / "costs.parquet")
    flags = [flag if flag != "2.0" else "0" for flag in FLAGS]
    words = ["search", "--table", table, *flags, "--no-baseline", "--limit-ms", "1e-6", "--out", str(tmp_path / "run")]
    assert "the nearest that was found is predicted at 0." in refused(words, capsys)
