"""The tables that come with chronas: how well they were measured, as large as the docs say, and answering."""

from __future__ import annotations

import getpass
import json
import re
import socket
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from chronas.cli.main import main
from chronas.spaces import make_space
from chronas.tables import BlockTable, CostTable, is_block_table, shipped_files, shipped_tables

Capture = pytest.CaptureFixture[str]
DOCS = Path(__file__).parents[2] / "docs" / "tables.md"
DEVICES = ("eager-cpu", "onnxruntime-cpu", "openvino-cpu")
CELLS = [f"nasbench201-cifar10-{device}" for device in DEVICES]
BLOCKS = [f"fbnet-cifar100-{device}" for device in DEVICES]
NETWORKS = [f"{name}-networks" for name in BLOCKS]
LARGEST_BYTES = 3_000_000


def load(name: str) -> CostTable:
    return CostTable.load(shipped_files()[name])


def test_what_ships_is_what_the_docs_say() -> None:
    files = shipped_files()
    assert sorted(files) == sorted([*CELLS, *BLOCKS, *NETWORKS])
    assert sum(path.stat().st_size for path in files.values()) <= LARGEST_BYTES
    told = dict(re.findall(r"^\| `([a-z0-9-]+)` \| ([0-9,]+) ", DOCS.read_text(encoding="utf-8"), re.MULTILINE))
    rows = {name: len(load(name)) for name in (*CELLS, *NETWORKS)}
    rows |= {name: len(BlockTable.load(files[name]).frame) for name in BLOCKS}
    assert {name: int(count.replace(",", "")) for name, count in told.items()} == rows
    assert rows["nasbench201-cifar10-onnxruntime-cpu"] == 15_625
    assert all(rows[name] >= 1500 for name in CELLS)


@pytest.mark.parametrize("name", [*CELLS, *NETWORKS])
def test_a_table_says_how_it_was_measured_and_how_well(name: str) -> None:
    table, size = load(name), make_space(name.split("-")[0]).sizes[name.split("-")[1]]
    known = table.provenance
    assert (known.size, known.device["name"]) == (size, name.removesuffix("-networks").split("-", 2)[2])
    assert known.source == "measured" and known.version and known.created.startswith("2026-") and known.plan
    assert known.drift_percent is not None and known.background_cores is not None
    frame = table.frame
    assert min(map(len, table.rounds())) >= (12 if name in NETWORKS else 3)
    assert (frame["latency_low_ms"] <= frame["latency_ms"]).all()
    assert (frame["latency_ms"] <= frame["latency_high_ms"]).all()
    width = (frame["latency_high_ms"] - frame["latency_low_ms"]) / 2 / frame["latency_ms"]
    assert 0 < float(np.median(width.to_numpy())) < 0.05
    repeatability = table.repeatability()
    assert repeatability.kendall is not None and repeatability.kendall > 0.85


@pytest.mark.parametrize("name", CELLS)
def test_a_table_was_measured_again_half_an_hour_later(name: str) -> None:
    check = load(name).provenance.checks[-1]
    assert check.agreement.networks == 100 and check.hours_after > 0.5
    assert check.agreement.median_difference_percent is not None and check.agreement.kendall is not None
    assert check.agreement.median_difference_percent <= 3 and check.agreement.kendall >= 0.9


@pytest.mark.parametrize("name", BLOCKS)
def test_sums_of_blocks_say_how_far_they_are_from_whole_networks(name: str) -> None:
    table, measured = BlockTable.load(shipped_files()[name]), load(f"{name}-networks")
    (quality,) = table.origin.quality.values()
    assert quality.additivity == measured.provenance.additivity and quality.additivity.agreement.networks == 200
    assert quality.repeatability == measured.repeatability() and quality.rounds >= 12
    whole = measured.architectures()[-200:]
    sums = table.of(name.split("-", 2)[2], whole).costs()
    found = dict(zip(measured.frame["architecture"], measured.costs(), strict=True))
    off = 100 * (np.array([found[str(one)] for one in whole]) / sums - 1)
    assert abs(np.median(off)) < 0.1 and np.median(np.abs(off)) < 10
    assert quality.low_percent < 0 < quality.high_percent
    assert np.mean((off >= quality.low_percent) & (off <= quality.high_percent)) == pytest.approx(0.95, abs=0.01)


@pytest.mark.parametrize("name", [*CELLS, *BLOCKS, *NETWORKS])
def test_nothing_tells_whose_machine_it_was(name: str) -> None:
    metadata = pl.read_parquet_metadata(shipped_files()[name])
    text = json.dumps({key: value for key, value in metadata.items() if key.startswith("chronas")})
    assert "AMD EPYC" in text
    for secret in (socket.gethostname(), f"/{getpass.getuser()}", "/tmp", "/home", "/work", "\\\\"):
        assert secret not in text.replace('\\"', '"')


@pytest.mark.parametrize("name", [*CELLS, *BLOCKS, *NETWORKS])
def test_a_name_is_asked_from_anywhere(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    if is_block_table(shipped_files()[name]):
        asked = "[" + ", ".join(str(number % 9) for number in range(22)) + "]"
    else:
        asked = str(load(name).frame["architecture"][3])
    assert main(["table", "query", name, "--architecture", asked, "--json"]) == 0
    ((answer,),) = [one["costs"] for one in json.loads(capsys.readouterr().out)["architectures"]]
    assert 0 < answer["low"] <= answer["value"] <= answer["high"]
    assert answer["unit"] == "ms" and answer["hardware"].startswith("AMD EPYC") and answer["date"].startswith("2026-")
    assert main(["table", "show", name, "--json"]) == 0
    assert "Kendall" in json.loads(capsys.readouterr().out)["repeatability"]


def test_all_are_listed(capsys: Capture) -> None:
    assert main(["table", "list"]) == 0
    told = capsys.readouterr().out
    assert all(name in told for name in shipped_files())
    assert main(["table", "list", "--json"]) == 0
    listed = {one["name"]: one for one in json.loads(capsys.readouterr().out)}
    assert list(listed) == list(shipped_files())
    assert listed[CELLS[1]]["networks"] == 15_625 and listed[BLOCKS[0]]["networks"] == "any, by blocks"
    assert {Path(path).stem for path in shipped_tables()} == {*CELLS, *NETWORKS}


def test_one_measurement_stands_for_cells_that_are_one_graph_and_eager_measures_each() -> None:
    cells = load("nasbench201-cifar10-onnxruntime-cpu")
    assert len(cells.measured()) == 8747
    assert cells.frame["index"].to_list() == list(range(15_625))
    assert len(load("nasbench201-cifar10-eager-cpu").measured()) == len(load("nasbench201-cifar10-eager-cpu"))
