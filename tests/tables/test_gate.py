"""Tables whose texts cannot be meant: names of spaces, data sets and architectures, and what a terminal cannot show."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from chronas.cli.main import main
from chronas.errors import DataError
from chronas.spaces import make_space
from chronas.tables import BlockTable, CostTable, Provenance, shipped_files
from chronas.tables.block_table import EARLIER_KEY, _checksum

SPACE = make_space("nasbench201")


@pytest.mark.parametrize("change", [{"dataset": "zzz"}, {"space": "../x"}, {"space": "nowhere"}, {"devices": 3}])
def test_a_table_of_blocks_of_no_space_here_is_refused(change: dict[str, object], tmp_path: Path) -> None:
    source = shipped_files()["fbnet-cifar100-eager-cpu"]
    frame, origin = pl.read_parquet(source), json.loads(pl.read_parquet_metadata(source)[EARLIER_KEY])
    text, buffer = json.dumps(origin | change), io.BytesIO()
    frame.write_parquet(buffer, metadata={EARLIER_KEY: text, "chronas.sha256": _checksum(frame, text)})
    (tmp_path / "blocks.parquet").write_bytes(buffer.getvalue())
    with pytest.raises(DataError, match=r"blocks\.parquet is (of no space here|damaged)"):
        BlockTable.load(tmp_path / "blocks.parquet")


def test_a_table_of_no_architectures_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frame = pl.DataFrame({"architecture": ["hello", "world"], "latency_ms": [1.0, 2.0]})
    provenance = Provenance("nasbench201", SPACE.sizes["cifar10"], {"name": "a"})
    CostTable.from_values(frame, provenance).save(tmp_path / "t.parquet")
    assert main(["table", "show", str(tmp_path / "t.parquet")]) == 2
    assert "is no architecture of nasbench201" in capsys.readouterr().err


def test_a_terminal_that_lacks_a_letter_shows_an_escape(tmp_path: Path) -> None:
    text = str(SPACE.from_index(3))
    (tmp_path / "costs.csv").write_text(f"architecture,树莓派_ms\n{text},1.5\n", encoding="utf-8")
    words = ["table", "import", "csv", str(tmp_path / "costs.csv"), "--out", str(tmp_path / "o")]
    command = [sys.executable, "-m", "chronas", *words]
    known = {**os.environ, "PYTHONIOENCODING": "cp1252"}
    answer = subprocess.run(command, check=False, capture_output=True, env=known)
    assert answer.returncode == 0, answer.stderr
    assert b"\\u6811\\u8393\\u6d3e.parquet" in answer.stdout
