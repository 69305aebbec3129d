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
from chronas.tables import (
    BlockTable,
    CostTable,
    is_block_table,
    read_accuracies,
    shipped_accuracies,
    shipped_files,
    shipped_tables,
)

Capture = pytest.CaptureFixture[str]
DOCS = Path(__file__).parents[2] / "docs" / "tables.md"
DEVICES = ("eager-cpu", "onnxruntime-cpu", "openvino-cpu")
CELLS = [f"nasbench201-cifar10-{device}" for device in DEVICES]
BLOCKS = [f"fbnet-cifar100-{device}" for device in DEVICES]
NETWORKS = [f"{name}-networks" for name in BLOCKS]
LARGEST_BYTES = 3_000_000
PUBLISHED = [
    f"nasbench201-cifar10-{device}"
    for device in (
        *("raspi4", "pixel3", "eyeriss", "fpga", "edgegpu", "edgetpu"),
        *("1080ti-1", "1080ti-32", "1080ti-256", "titanx-1", "titanx-32", "titanx-256"),
        *("silver-4114", "silver-4210r", "gold-6240", "samsung-a50", "samsung-s7", "essential-ph-1"),
    )
]


def load(name: str) -> CostTable:
    return CostTable.load(shipped_files()[name])


def test_what_ships_is_what_the_docs_say() -> None:
    files = shipped_files()
    assert sorted(files) == sorted([*CELLS, *BLOCKS, *NETWORKS, *PUBLISHED])
    folder = files[CELLS[0]].parent
    assert sum(path.stat().st_size for path in folder.rglob("*.parquet")) <= LARGEST_BYTES
    told = dict(re.findall(r"^\| `([a-z0-9-]+)` \| ([0-9,]+) ", DOCS.read_text(encoding="utf-8"), re.MULTILINE))
    rows = {name: len(load(name)) for name in (*CELLS, *NETWORKS, *PUBLISHED)}
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
    assert set(shipped_tables()) == {shipped_files()[name] for name in (*CELLS, *NETWORKS, *PUBLISHED)}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_costs_are_those_of_their_authors(name: str, shared_data: Path) -> None:
    table = load(name)
    assert table.provenance.size == make_space("nasbench201").sizes["cifar10"]
    assert "arXiv 2103.10584, MIT" in table.provenance.source and "arXiv 2106.08630, MIT" in table.provenance.source
    device = name.removeprefix("nasbench201-cifar10-")
    helped = pl.read_parquet(shared_data / "nasbench201" / "latency_help.parquet")
    benched = pl.read_parquet(shared_data / "nasbench201" / "hw_nas_bench.parquet")
    column = f"cifar10_{device}_latency_ms"
    frame, column = (benched, column) if column in benched.columns else (helped, f"{device.replace('-', '_')}_ms")
    wanted = dict(frame.select("arch_str", column).drop_nulls().iter_rows())
    assert len(table) == len(wanted) and table.frame["architecture"][0] in wanted
    found = dict(zip(table.frame["architecture"], table.costs(), strict=True))
    assert all(abs(found[text] / cost - 1) < 1e-6 for text, cost in wanted.items())


def test_accuracies_of_cells_come_with_chronas(shared_data: Path, capsys: Capture) -> None:
    space = make_space("nasbench201")
    known = read_accuracies(shipped_accuracies()["nasbench201"], space)
    source = pl.read_parquet(shared_data / "nasbench201" / "accuracy.parquet").sort("arch_idx")
    assert len(known) == 15_625
    both = known.join(source, left_on="architecture", right_on="arch_str", suffix="_source")
    for column in ("cifar10_val_acc_200", "cifar100_test_acc_200_nb201v10", "cifar10_val_acc_12"):
        assert (both[column] - both[f"{column}_source"]).abs().max() <= 0.00501
    words = ["nasbench201-cifar10-raspi4", "--accuracies", "nasbench201", "--where", "raspi4.latency_ms <= 10"]
    assert main(["table", "query", *words, "--sort", "cifar10_val_acc_200", "--rows", "1", "--json"]) == 0
    best = json.loads(capsys.readouterr().out)["architectures"][0]
    assert best["cifar10_val_acc_200"] > 88
    assert main(["table", "query", "nasbench201-cifar10-raspi4", "--accuracies", "nowhere"]) == 2
    assert "nor accuracies that come with chronas: these are of nasbench201" in capsys.readouterr().err


def test_one_measurement_stands_for_cells_that_are_one_graph_and_eager_measures_each() -> None:
    cells = load("nasbench201-cifar10-onnxruntime-cpu")
    assert len(cells.measured()) == 8747
    assert cells.frame["index"].to_list() == list(range(15_625))
    assert len(load("nasbench201-cifar10-eager-cpu").measured()) == len(load("nasbench201-cifar10-eager-cpu"))
