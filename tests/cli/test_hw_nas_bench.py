from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from chronas.cli.main import main
from chronas.tables import BlockTable, CostTable
from official_hw_nas_bench import official, write

Capture = pytest.CaptureFixture[str]
DEVICES = ("edgegpu", "raspi4", "edgetpu", "pixel3", "eyeriss", "fpga")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(official(), tmp_path / "HW-NAS-Bench-v1_0.pickle")


def test_the_official_file_becomes_a_folder_of_tables(file: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "imported" / "hw"
    assert main(["table", "import", "hw-nas-bench", str(file), "--out", str(out), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert {row["file"] for row in answer} == {str(path) for path in out.rglob("*.parquet")}
    assert len(answer) == 3 * 7 + 2
    for dataset in ("cifar10", "cifar100", "imagenet16-120"):
        tables = {device: CostTable.load(out / f"nasbench201-{dataset}" / f"{device}.parquet") for device in DEVICES}
        assert [len(tables[device]) for device in DEVICES] == [40, 40, 27, 40, 40, 40]
        product = pl.read_parquet(out / f"nasbench201-{dataset}" / "metric_product.parquet")
        assert product["metric_product"].null_count() == 13
    assert [row["missing"] for row in answer if "edgetpu" in row["file"]] == ["13: does not compile"] * 3
    assert BlockTable.load(out / "fbnet-imagenet.parquet").layers == 22
    assert main(["table", "show", str(out / "nasbench201-cifar10" / "edgegpu.parquet")]) == 0
    told = capsys.readouterr().out
    assert "NVIDIA Jetson TX2" in told and "energy mJ" in told and "unknown thread(s)" in told
    fit = ["fit", "--table", str(out / "nasbench201-cifar10" / "raspi4.parquet"), "--predictor", "macs"]
    assert main([*fit, "--out", str(tmp_path / "raspi4.safetensors")]) == 0


def test_nothing_is_overwritten(file: Path, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "out").mkdir()
    assert main(["table", "import", "hw-nas-bench", str(file), "--out", str(tmp_path / "out")]) == 2
    assert "exists; choose another --out" in capsys.readouterr().err


def test_a_file_that_wants_to_run_something_is_one_line_and_leaves_nothing(tmp_path: Path, capsys: Capture) -> None:
    class Call:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.system, (f"touch {tmp_path / 'ran'}",)

    bad = tmp_path / "bad.pickle"
    bad.write_bytes(pickle.dumps(official() | {"nasbench201": Call()}))
    assert main(["table", "import", "hw-nas-bench", str(bad), "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "asks for" in error and "system" in error
    assert [path.name for path in tmp_path.iterdir()] == ["bad.pickle"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("hw-nas-bench nothing.pickle", "cannot read nothing.pickle"),
        ("hw-nas-bench", "PICKLE is needed: HW-NAS-Bench-v1_0.pickle"),
        ("hw-nas-benhc", "hw-nas-benhc"),
    ],
    ids=["missing", "no-file", "mistyped"],
)
def test_wrong_use_is_one_line(
    words: str, expected: str, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["table", "import", *words.split()]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and expected in error
