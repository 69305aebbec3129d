from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from chronas.cli.main import main
from chronas.spaces import make_space
from chronas.tables import CostTable
from official_hw_nas_bench import official, write

Capture = pytest.CaptureFixture[str]
SPACE = make_space("nasbench201")
CHOICE = str([index % 9 for index in range(22)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("query")
    file = write(official(), base / "hw.pickle")
    assert main(["table", "import", "hw-nas-bench", str(file), "--out", str(base / "hw")]) == 0
    return base / "hw"


@pytest.fixture(scope="module")
def cells(folder: Path) -> Path:
    return folder / "nasbench201-cifar10"


def asked(words: list[str], capsys: Capture) -> dict[str, object]:
    capsys.readouterr()
    assert main(["table", "query", *words, "--json"]) == 0
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


def test_index_and_text_give_all_about_an_architecture(cells: Path, capsys: Capture) -> None:
    by_index = asked([str(cells), "--index", "3"], capsys)
    assert by_index == asked([str(cells), "--architecture", str(SPACE.from_index(3))], capsys)
    (found,) = by_index["architectures"]  # type: ignore[misc]
    assert found["index"] == 3 and len(found["costs"]) == 9
    edgegpu = next(cost for cost in found["costs"] if cost["device"] == "edgegpu" and cost["unit"] == "ms")
    assert edgegpu["value"] == CostTable.load(cells / "edgegpu.parquet").costs()[3]
    assert edgegpu["runs"] == 50 and edgegpu["low"] is None and "2103.10584" in edgegpu["source"]
    assert main(["table", "query", str(cells), "--index", "2", "3"]) == 0
    told = capsys.readouterr().out
    assert "does not compile" in told and "TensorRT" in told and "2 of 40 architectures" in told


def test_filter_front_sort_and_file_agree(cells: Path, tmp_path: Path, capsys: Capture) -> None:
    accuracies = tmp_path / "accuracies.parquet"
    pl.DataFrame({"index": range(40), "val_acc": [50.0 + n for n in range(40)]}).write_parquet(accuracies)
    words = [str(cells), "--accuracies", str(accuracies), "--where", "raspi4.latency_ms <= 15"]
    table = CostTable.load(cells / "raspi4.parquet").frame.filter(pl.col("latency_ms") <= 15).sort("latency_ms")
    best: list[int] = []
    for index in table["index"]:
        best = [*best, index] if not best or index > best[-1] else best
    front = asked([*words, "--pareto", "raspi4.latency_ms", "val_acc", "--sort", "val_acc"], capsys)
    assert [row["index"] for row in front["architectures"]] == best[::-1]  # type: ignore[attr-defined]
    out = tmp_path / "answers.parquet"
    assert main(["table", "query", *words, "--sort", "raspi4.latency_ms", "--rows", "2", "--out", str(out)]) == 0
    told = capsys.readouterr().out
    assert f"{len(table)} of 40 architectures, the first 2 shown" in told and "edgegpu" not in told
    answers = pl.read_parquet(out)
    assert len(answers) == 9 * len(table) and set(answers["unit"]) == {"ms", "mJ"}
    assert answers.filter(device="raspi4")["value"].to_list() == table["latency_ms"].to_list()
    assert main(["table", "query", *words, "--out", str(tmp_path / "answers.csv")]) == 0
    assert len(pl.read_csv(tmp_path / "answers.csv")) == len(answers)


def test_isomorphic_cells_come_with_costs_of_their_own(cells: Path, capsys: Capture) -> None:
    frame = CostTable.load(cells / "raspi4.parquet").frame
    by_form: dict[str, list[int]] = {}
    for index in range(40):
        by_form.setdefault(str(SPACE.from_index(index).canonical()), []).append(index)
    together = max(by_form.values(), key=len)
    found = asked([str(cells / "raspi4.parquet"), "--index", str(together[-1]), "--isomorphic"], capsys)[
        "architectures"
    ]
    assert sorted(row["index"] for row in found) == together  # type: ignore[attr-defined]
    assert all(row["costs"][0]["value"] == frame["latency_ms"][row["index"]] for row in found)  # type: ignore[attr-defined]


def test_blocks_are_summed(folder: Path, capsys: Capture) -> None:
    file = str(folder / "fbnet-cifar100.parquet")
    (found,) = asked([file, "--architecture", CHOICE], capsys)["architectures"]  # type: ignore[misc]
    assert {cost["device"] for cost in found["costs"]} == {"edgegpu", "raspi4", "pixel3", "eyeriss", "fpga"}
    assert all(cost["source"].startswith("sum of blocks") and cost["value"] > 0 for cost in found["costs"])
    assert main(["table", "query", file, "--architecture", CHOICE]) == 0
    assert "sum of blocks" in capsys.readouterr().out


def test_asking_imports_neither_torch_nor_scipy(cells: Path) -> None:
    script = (
        "import sys; from chronas.cli.main import main;"
        f"code = main(['table', 'query', {str(cells)!r}, '--index', '3', '--isomorphic', '--json']);"
        "sys.exit(code or ('torch' in sys.modules) + 2 * ('scipy' in sys.modules))"
    )
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("", "TABLES is needed"),
        ("nothing.parquet", "cannot read nothing.parquet"),
        ("CELLS --index 99999", "0..15624"),
        ("CELLS --index 15624", "no table has"),
        ("CELLS --architecture |none~0|", "three nodes"),
        ("CELLS --where fast", "a condition should be like"),
        ("CELLS --where raspi4.latency<=1", "did you mean raspi4.latency_ms"),
        ("CELLS --pareto raspi4.latency_ms", "at least two columns"),
        ("CELLS --sort nothing", "unknown column 'nothing'"),
        ("CELLS --isomorphic", "give one by --index or --architecture"),
        ("CELLS --accuracies nothing.parquet", "cannot read nothing.parquet"),
        ("CELLS --out CELLS", "exists; choose another --out"),
        ("CELLS --out answers.txt", "ends in .parquet or .csv"),
        ("EMPTY", "has no table of costs"),
        ("FBNET", "ask by --architecture"),
        ("FBNET --index 3", "not --index"),
        ("FBNET --architecture 0,1,2", "expected 22 numbers"),
        ("FBNET CELLS", "fbnet-cifar100.parquet has costs of blocks"),
        ("FBNET IMAGES --architecture 0,1,2", "fbnet on cifar100 and fbnet on imagenet: ask each by itself"),
        ("none --index 3", "no file 'none', nor a table that comes with chronas"),
    ],
    ids=lambda value: value.replace(" ", "_").replace("/", "") or "nothing",
)
def test_wrong_use_is_one_line(
    words: str,
    expected: str,
    folder: Path,
    cells: Path,
    tmp_path: Path,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    capsys.readouterr()
    names = {"CELLS": str(cells), "FBNET": str(folder / "fbnet-cifar100.parquet"), "EMPTY": str(tmp_path / "empty")}
    names |= {"IMAGES": str(folder / "fbnet-imagenet.parquet")}
    assert main(["table", "query", *(names.get(word, word) for word in words.split())]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1 and expected in captured.err
