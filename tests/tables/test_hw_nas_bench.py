from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from chronas.errors import DataError, UsageError
from chronas.predictors import fit_and_report
from chronas.spaces import make_space
from chronas.tables import CostTable, HwNasBench
from official_hw_nas_bench import CELLS, FBNET, official, write

SPACE = make_space("nasbench201")
SIZES = {"cifar10": "cifar10", "cifar100": "cifar100", "ImageNet16-120": "imagenet16-120"}


@pytest.fixture(scope="module")
def content() -> dict[str, Any]:
    return official()


@pytest.fixture(scope="module")
def bench(content: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> HwNasBench:
    return HwNasBench.read(write(content, tmp_path_factory.mktemp("official") / "hw.pickle"))


@pytest.mark.parametrize("dataset", SIZES)
def test_every_device_is_an_ordinary_table_with_the_files_values(
    dataset: str, bench: HwNasBench, content: dict[str, Any], tmp_path: Path
) -> None:
    cells = content["nasbench201"][dataset]
    tables = bench.tables(dataset)
    assert list(tables) == ["edgegpu", "raspi4", "edgetpu", "pixel3", "eyeriss", "fpga"]
    for device, table in tables.items():
        table.save(tmp_path / f"{device}.parquet")
        again = CostTable.load(tmp_path / f"{device}.parquet")
        kept = again.frame["index"].to_list()
        assert [SPACE.from_index(index) for index in kept] == again.architectures()
        assert again.costs().tolist() == [cells[f"{device}_latency"][index] for index in kept]
        assert again.provenance.device["name"] == device and again.provenance.device["batch"] == 1
        assert again.provenance.size == SPACE.sizes[SIZES[dataset]]
        assert "2103.10584" in again.provenance.source and "MIT" in again.provenance.source
    for device in ("edgegpu", "eyeriss", "fpga"):
        assert tables[device].of("energy_mj").costs().tolist() == cells[f"{device}_energy"]
    intensity = tables["eyeriss"].frame["arithmetic_intensity"].to_list()
    assert intensity == cells["eyeriss_arithmetic_intensity"]
    assert "energy_mj" not in tables["raspi4"].frame.columns


def test_what_the_edge_tpu_cannot_compile_is_missing_and_not_a_cost(bench: HwNasBench) -> None:
    frame, table = bench.frame("cifar10"), bench.tables("cifar10")["edgetpu"]
    lacking = [index for index in range(40) if index % 3 == 2]
    assert frame.filter(pl.col("edgetpu.latency_ms").is_null())["index"].to_list() == lacking
    assert not set(table.frame["index"]) & set(lacking) and table.provenance.missing == "does not compile"
    assert frame.filter(pl.col("metric_product").is_null())["index"].to_list() == lacking
    assert bench.tables("cifar10")["raspi4"].provenance.missing == ""


def test_nothing_is_invented_about_how_it_was_measured(bench: HwNasBench) -> None:
    edgegpu, pixel3 = bench.tables("cifar10")["edgegpu"].provenance, bench.tables("cifar10")["pixel3"].provenance
    assert (edgegpu.runs, pixel3.runs) == (50, None)
    assert edgegpu.created == pixel3.created == "" and not edgegpu.plan
    assert not {"threads", "version", "dtype", "runtime"} & pixel3.device.keys()


def test_a_predictor_learns_a_device_from_its_table(bench: HwNasBench) -> None:
    _, report = fit_and_report("macs", bench.tables("cifar10")["raspi4"], folds=2)
    assert len(report.measured) == 40


def test_published_rows_come_back_to_the_last_digit(shared_data: Path, tmp_path: Path) -> None:
    published = json.loads((shared_data / "nasbench201" / "hw_nas_bench_published_rows.json").read_text())
    content = official(3)
    for row, values in published.items():
        index, dataset = row.split("|")
        for metric in CELLS:
            content["nasbench201"][dataset][metric][int(index)] = values[metric]
    bench = HwNasBench.read(write(content, tmp_path / "hw.pickle"))
    for row, values in published.items():
        index, dataset = row.split("|")
        found = bench.frame(dataset).row(int(index), named=True)
        for metric in CELLS:
            device, _, kind = metric.partition("_")
            column = {"latency": "latency_ms", "energy": "energy_mj"}.get(kind, kind)
            assert found[f"{device}.{column}"] == pytest.approx(values[metric], rel=1e-9)
        assert found["metric_product"] == pytest.approx(values["average_hw_metric"], rel=1e-9)
    recovered = pl.read_parquet(shared_data / "nasbench201" / "hw_nas_bench.parquet").head(3)
    names = [name for name in recovered.columns if name.startswith("cifar10_")]
    assert len(names) == 9
    for name in names:
        metric = name.removeprefix("cifar10_").removesuffix("_ms").removesuffix("_mj")
        for index, value in enumerate(recovered[name]):
            if value is not None:
                assert value == pytest.approx(published[f"{index}|cifar10"][metric], rel=1e-9)


def test_all_15625_cells_are_read_in_the_official_order(shared_data: Path, tmp_path: Path) -> None:
    known = pl.read_parquet(shared_data / "nasbench201" / "hw_nas_bench.parquet")
    content = official(SPACE.cardinality)
    cells = content["nasbench201"]["cifar10"]
    for metric in ("raspi4_latency", "eyeriss_energy", "edgetpu_latency"):
        unit = "mj" if metric.endswith("energy") else "ms"
        cells[metric] = known[f"cifar10_{metric}_{unit}"].fill_null(-1).to_numpy()
    frame = HwNasBench.read(write(content, tmp_path / "hw.pickle")).frame("cifar10")
    assert frame["architecture"].to_list() == known["arch_str"].to_list()
    assert frame["raspi4.latency_ms"].to_list() == known["cifar10_raspi4_latency_ms"].to_list()
    assert frame["eyeriss.energy_mj"].to_list() == known["cifar10_eyeriss_energy_mj"].to_list()
    assert frame["edgetpu.latency_ms"].to_list() == known["cifar10_edgetpu_latency_ms"].to_list()


def fbnet_keys(dataset: str) -> tuple[str, list[list[str]]]:
    """The stem's key, and the keys of the operations of each layer, counted by hand from the paper's Table."""
    side, strides = (32, [1, 1, 2, 2, 1, 2, 1]) if dataset == "cifar100" else (112, [1, 2, 2, 2, 1, 2, 1])
    stem = "ConvNorm_H32_W32_Cin3_Cout16_kernel3_stride1_group1"
    stem = stem if dataset == "cifar100" else "ConvNorm_H224_W224_Cin3_Cout16_kernel3_stride2_group1"
    layers, before = [], 16
    for count, width, first in zip([1, 4, 4, 4, 4, 4, 1], [16, 24, 32, 64, 112, 184, 352], strides, strict=True):
        for layer in range(count):
            stride = 1 if layer else first
            shape = f"H{side}_W{side}_Cin{before}_Cout{width}"
            blocks = [
                f"exp{e}_kernel{k}_stride{stride}_group{g}" for k in (3, 5) for e, g in ((1, 1), (1, 2), (3, 1), (6, 1))
            ]
            layers.append([*(f"ConvBlock_{shape}_{block}" for block in blocks), f"Skip_{shape}_stride{stride}"])
            side, before = side // stride, width
    return stem, layers


def test_fbnet_sums_are_those_of_5000_known_architectures(shared_data: Path, tmp_path: Path) -> None:
    recovered = json.loads((shared_data / "fbnet" / "lut_recovered.json").read_text())
    known = pl.read_parquet(shared_data / "fbnet" / "latency_help.parquet")
    content = official()
    stem, layers = fbnet_keys("cifar100")
    for device, table in recovered["luts"].items():
        blocks = dict.fromkeys(content["fbnet"][f"{device}_latency"], 0.0)
        blocks[stem] = max(table["base_ms"], 0.0)  # the FPGA's is zero but for -5e-14
        for keys, costs in zip(layers, table["layer_op_ms_minus_skip"], strict=True):
            blocks |= dict(zip(keys, costs, strict=True))
        content["fbnet"][f"{device}_latency"] = blocks
    choices = known.select(f"l{layer}" for layer in range(22)).to_numpy().astype(np.int64)
    table = HwNasBench.read(write(content, tmp_path / "hw.pickle")).block_table("cifar100")
    sums = table.sums(choices)
    for device in recovered["luts"]:
        assert np.abs(sums[f"{device}.latency_ms"].to_numpy() - known[f"{device}_ms"].to_numpy()).max() < 1e-9
    for text, values in recovered["readme_examples"].items():
        numbers, dataset = text.strip("[]").rsplit(", ", 1)
        if dataset == "'cifar100'":
            sums = table.sums([table.parse(numbers.strip("()"))])
            for device in recovered["luts"]:
                assert sums[f"{device}.latency_ms"][0] == pytest.approx(values[f"{device}_latency"], rel=1e-9)


def test_a_device_of_fbnet_becomes_an_ordinary_table(bench: HwNasBench, tmp_path: Path) -> None:
    space = make_space("fbnet")
    for official_name, size in (("cifar100", "cifar100"), ("ImageNet", "imagenet")):
        blocks = bench.block_table(official_name)
        architectures = space.sample(20, seed=1)
        table = blocks.of("edgegpu", architectures)
        assert table.architectures() == architectures and table.provenance.size == space.sizes[size]
        choices = [[int(choice) for choice in one.choices if choice is not None] for one in architectures]
        assert table.costs().tolist() == blocks.sums(choices)["edgegpu.latency_ms"].to_list()
        assert table.of("energy_mj").costs().tolist() == blocks.sums(choices)["edgegpu.energy_mj"].to_list()
        assert "energy_mj" not in blocks.of("raspi4", architectures).frame.columns
        assert [blocks.parse(str(one)) for one in architectures] == choices
    _, report = fit_and_report("lookup", blocks.of("pixel3", space.sample(400, seed=2)), folds=2)
    assert report.scores.kendall > 0.99
    with pytest.raises(UsageError, match="unknown device 'edgetpu': did you mean edgegpu"):
        blocks.of("edgetpu", architectures)
    with pytest.raises(UsageError, match="blocks are of fbnet"):
        blocks.of("raspi4", SPACE.sample(2, seed=0))


def test_fbnet_published_rows_come_back_on_both_data_sets(shared_data: Path, tmp_path: Path) -> None:
    examples = json.loads((shared_data / "fbnet" / "lut_recovered.json").read_text())["readme_examples"]
    rows = {tuple(map(int, key.strip("[]").rsplit(", ", 1)[0].strip("()").split(", "))): {} for key in examples}
    for key, values in examples.items():
        numbers, dataset = key.strip("[]").rsplit(", ", 1)
        rows[tuple(map(int, numbers.strip("()").split(", ")))][dataset.strip("'")] = values
    (zeros, one, two) = rows
    content = official()
    for metric in FBNET:
        content["fbnet"][metric] = dict.fromkeys(content["fbnet"][metric], 0.0)
        for dataset in ("cifar100", "ImageNet"):
            stem, layers = fbnet_keys(dataset)
            first, second, third = (rows[choice][dataset][metric] for choice in (zeros, one, two))
            # Blocks of layers 20 and 21 carry what the three published rows differ by; none is below zero
            offset = min(0.0, second - first, third - second)
            costs = {layers[21][0]: -offset, layers[21][1]: second - first - offset}
            costs |= {layers[20][0]: -offset, layers[20][1]: third - second - offset}  # layers 18 to 20 share them
            costs[stem] = first + 4 * offset
            content["fbnet"][metric] |= costs
    bench = HwNasBench.read(write(content, tmp_path / "hw.pickle"))
    for dataset in ("cifar100", "ImageNet"):
        table = bench.block_table(dataset)
        for choice, values in rows.items():
            sums = table.sums([choice]).row(0, named=True)
            for metric in FBNET:
                device, _, kind = metric.partition("_")
                column = f"{device}.latency_ms" if kind == "latency" else f"{device}.energy_mj"
                assert sums[column] == pytest.approx(values[dataset][metric], rel=1e-9)


def without(*path: str) -> Callable[[dict[str, Any]], None]:
    def change(content: dict[str, Any]) -> None:
        for key in path[:-1]:
            content = content[key]
        del content[path[-1]]

    return change


def replaced(value: object, *path: str | int) -> Callable[[dict[str, Any]], None]:
    def change(content: dict[str, Any]) -> None:
        inner: Any = content
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = value

    return change


CELL = ("nasbench201", "cifar100")
WRONG = {
    "no-fbnet": (without("fbnet"), "the file should have nasbench201, fbnet, but lacks fbnet"),
    "no-data-set": (without(*CELL), "lacks cifar100"),
    "no-metric": (without(*CELL, "fpga_energy"), "lacks fpga_energy"),
    "no-config": (without(*CELL, "config"), "lacks config"),
    "no-fbnet-metric": (without("fbnet", "fpga_energy"), "fbnet should have .* lacks fpga_energy"),
    "short": (replaced([1.0], *CELL, "fpga_latency"), "cifar100/fpga_latency should have 40 numbers"),
    "matrix": (replaced(np.ones((40, 2)), *CELL, "fpga_latency"), "should have 40 numbers"),
    "texts": (replaced(["a"] * 40, *CELL, "fpga_latency"), "should be numbers"),
    "list": (replaced([1, 2], "nasbench201"), "nasbench201 should be a dict, got list"),
    "order": (replaced({"arch_str": str(SPACE.from_index(5))}, *CELL, "config", 4), "config 4 should be .* cell 4"),
    "no-arch": (replaced({}, *CELL, "config", 4), "config 4 should be"),
    "text-block": (replaced({"Skip": "a"}, "fbnet", "fpga_energy"), "a number for each block"),
}


@pytest.mark.parametrize("name", WRONG)
def test_another_layout_is_refused_and_told(name: str, content: dict[str, Any], tmp_path: Path) -> None:
    change, message = WRONG[name]
    changed = copy.deepcopy(content)
    change(changed)
    with pytest.raises(DataError, match=f"hw.pickle has not HW-NAS-Bench's layout: .*{message}"):
        HwNasBench.read(write(changed, tmp_path / "hw.pickle"))


def test_a_block_that_the_file_lacks_is_named(content: dict[str, Any], tmp_path: Path) -> None:
    changed = copy.deepcopy(content)
    del changed["fbnet"]["raspi4_latency"]["Skip_H32_W32_Cin24_Cout24_stride1"]
    bench = HwNasBench.read(write(changed, tmp_path / "hw.pickle"))
    with pytest.raises(DataError, match="raspi4_latency lacks the block Skip_H32_W32_Cin24_Cout24_stride1"):
        bench.block_table("cifar100")
    assert bench.block_table("ImageNet").layers == 22


def test_a_call_inside_a_right_layout_is_refused(content: dict[str, Any], tmp_path: Path) -> None:
    class Call:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.system, (f"touch {tmp_path / 'ran'}",)

    changed = {**content, "extra": Call()}
    with pytest.raises(DataError, match="asks for posix.system|asks for nt.system"):
        HwNasBench.read(write(changed, tmp_path / "hw.pickle"))
    assert not (tmp_path / "ran").exists()


def test_unknown_data_sets_are_named(bench: HwNasBench) -> None:
    with pytest.raises(UsageError, match="unknown data set 'cifar': did you mean cifar10"):
        bench.tables("cifar")
    with pytest.raises(UsageError, match="unknown data set 'cifar10'.*ImageNet"):
        bench.block_table("cifar10")
