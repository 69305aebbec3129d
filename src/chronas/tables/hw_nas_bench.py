"""HW-NAS-Bench v1.0: costs of two search spaces on six devices, read from the official pickle that the user provides.

bench = HwNasBench.read(Path("HW-NAS-Bench-v1_0.pickle"))
raspi4 = bench.tables("cifar10")["raspi4"]

Li et al., HW-NAS-Bench, ICLR 2021, https://arxiv.org/abs/2103.10584; file and layout of
https://github.com/GATECH-EIC/HW-NAS-Bench (MIT). We differ from its API in three points. The file is read without
running anything. A missing value (-1 for the Edge TPU) is null. `average_hw_metric`, which is a product, is called
`metric_product`.

An FBNet architecture's cost is the sum of its blocks. Their keys are as in its `fbnet_get_metrics`: stem, 22 layers,
1x1 header, average pooling and classifier. H and W in a key are the sides of the block's input.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from chronas.arguments import path_of
from chronas.errors import DataError, excerpt, unknown_name
from chronas.spaces import LayerTopology, NetworkSize, make_space
from chronas.tables.block_table import BlockOrigin, BlockTable
from chronas.tables.provenance import Provenance
from chronas.tables.table import CostTable
from chronas.tables.unpickler import read_pickle

FBNET_DATASETS = {"cifar100": "cifar100", "ImageNet": "imagenet"}  # official name -> size
OPERATIONS = make_space("fbnet").decisions[0].options  # in the order of HW-NAS-Bench's numbers
LAYERS = len(make_space("fbnet").decisions)
BLOCK = re.compile(r"k(?P<kernel>\d+)_e(?P<expansion>\d+)(?:_g(?P<groups>\d+))?")


def block_keys(size: NetworkSize) -> tuple[dict[str, str], list[list[str]]]:
    """The keys of the parts that all architectures share, by name, and of the operations of each layer."""
    topology = cast("LayerTopology", make_space("fbnet").topology)
    colours, side, _ = size.input_shape
    stride, *strides = topology.strides[size.stem]
    channels, header = topology.width, topology.heads[size.stem]
    fixed = {"stem": _convolution(side, colours, channels, 3, stride)}
    side //= stride
    layers = []
    for width, stride in zip(topology.widths, strides, strict=True):
        shape = f"H{side}_W{side}_Cin{channels}_Cout{width}"
        layers.append([_layer(operation, shape, stride) for operation in OPERATIONS])
        side, channels = side // stride, width
    fixed |= {
        "header": _convolution(side, channels, header, 1, 1),
        "average_pool": f"AvgP_H{side}_W{side}_Cin{header}_Cout{header}_kernel{side}_stride1",
        "classifier": f"FC_Cin{header}_Cout{size.outputs}",
    }
    return fixed, layers


def _convolution(side: int, inputs: int, outputs: int, kernel: int, stride: int) -> str:
    return f"ConvNorm_H{side}_W{side}_Cin{inputs}_Cout{outputs}_kernel{kernel}_stride{stride}_group1"


def _layer(operation: str, shape: str, stride: int) -> str:
    block = BLOCK.fullmatch(operation)
    if block is None:
        return f"Skip_{shape}_stride{stride}"
    rest = f"exp{block['expansion']}_kernel{block['kernel']}_stride{stride}_group{block['groups'] or 1}"
    return f"ConvBlock_{shape}_{rest}"


SOURCE = "HW-NAS-Bench v1.0 (arXiv 2103.10584, MIT)"
DATASETS = {
    "cifar10": "cifar10",
    "cifar100": "cifar100",
    "ImageNet16-120": "imagenet16-120",
}  # official name -> size
# Only facts from the paper and its repository; batch 1 is in the README (issue 7)
DEVICES: dict[str, dict[str, str | int | float]] = {
    "edgegpu": {"name": "edgegpu", "hardware": "NVIDIA Jetson TX2", "runtime": "TensorRT by torch2trt", "batch": 1},
    "raspi4": {"name": "raspi4", "hardware": "Raspberry Pi 4", "batch": 1},
    "edgetpu": {"name": "edgetpu", "hardware": "Coral Edge TPU, dev board", "dtype": "int8", "batch": 1},
    "pixel3": {"name": "pixel3", "hardware": "Google Pixel 3", "batch": 1},
    "eyeriss": {"name": "eyeriss", "hardware": "ASIC Eyeriss, estimated", "batch": 1},
    "fpga": {"name": "fpga", "hardware": "Xilinx FPGA by Vivado HLS, estimated", "batch": 1},
}
RUNS = {"edgegpu": 50}  # `--num_repeats_item 50` of dev/proj_edgegpu; unknown for the others
MISSING = {"edgetpu": "does not compile"}  # meaning of -1, https://github.com/GATECH-EIC/HW-NAS-Bench/issues/11
NO_VALUE = "no value above zero in the file"
COLUMNS = {"latency": "latency_ms", "energy": "energy_mj", "arithmetic_intensity": "arithmetic_intensity"}
FBNET_METRICS = (
    *("edgegpu_latency", "edgegpu_energy", "raspi4_latency", "pixel3_latency"),
    *("eyeriss_latency", "eyeriss_energy", "fpga_latency", "fpga_energy"),
)
METRICS = (
    *FBNET_METRICS[:3],
    "edgetpu_latency",
    *FBNET_METRICS[3:6],
    "eyeriss_arithmetic_intensity",
    *FBNET_METRICS[6:],
)
FACTORS = tuple(metric for metric in METRICS if not metric.endswith("intensity"))  # factors of `average_hw_metric`
Numbers = NDArray[np.float64]


def device_and_column(metric: str) -> tuple[str, str]:
    """The device in an official metric's name, and the column for the metric."""
    device, _, kind = metric.partition("_")
    return device, COLUMNS[kind]


@dataclass(frozen=True)
class HwNasBench:
    """The checked content of the official file.

    Attributes:
        cells: official name of the data set -> metric -> one number for each NAS-Bench-201 index, NaN if the file has
            none above zero.
        configs: data set -> config of the network of each index.
        blocks: metric -> key of each FBNet block -> cost.
    """

    cells: Mapping[str, Mapping[str, Numbers]]
    configs: Mapping[str, Sequence[Mapping[str, Any]]]
    blocks: Mapping[str, Mapping[str, float]]

    @classmethod
    def read(cls, path: Path) -> HwNasBench:
        """Read the official pickle (`HW-NAS-Bench-v1_0.pickle`), or one of the same layout.

        Raises:
            DataError: the file is missing, damaged, of another layout, or would run code.
        """
        path = path_of(path)
        content = read_pickle(path)
        try:
            halves = _mapping(content, "the file", ("nasbench201", "fbnet"))
            cells = _mapping(halves["nasbench201"], "nasbench201", DATASETS)
            blocks = _mapping(halves["fbnet"], "fbnet", FBNET_METRICS)
            configs = {name: _configs(cells[name], name) for name in DATASETS}
            return cls(
                {name: {m: _column(cells[name], name, m, len(configs[name])) for m in METRICS} for name in DATASETS},
                configs,
                {metric: _blocks(blocks[metric], metric) for metric in FBNET_METRICS},
            )
        except DataError as error:
            raise DataError(f"{path} has not HW-NAS-Bench's layout: {error}") from error

    def tables(self, dataset: str) -> dict[str, CostTable]:
        """NAS-Bench-201 on each device, as tables by the device's name. Cells without a latency are left out.

        Args:
            dataset: official name, a key of `DATASETS`.

        Raises:
            UsageError: there is no such data set.
        """
        frame = self.frame(dataset)
        space = make_space("nasbench201")
        tables = {}
        for name, device in DEVICES.items():
            columns = {f"{name}.{column}": column for column in COLUMNS.values() if f"{name}.{column}" in frame.columns}
            known = frame.select("architecture", "index", *columns).rename(columns).drop_nulls("latency_ms")
            provenance = Provenance(
                space=space.name,
                size=space.sizes[DATASETS[dataset]],
                device=device,
                source=SOURCE,
                missing="" if len(known) == len(frame) else MISSING.get(name, NO_VALUE),
                runs=RUNS.get(name),
            )
            tables[name] = CostTable.from_values(known, provenance)
        return tables

    def frame(self, dataset: str) -> pl.DataFrame:
        """All values of the file for NAS-Bench-201 and a data set; null for missing values.

        Columns are `index`, `architecture`, `<device>.latency_ms`, `<device>.energy_mj`, `eyeriss.arithmetic_intensity`
        (operations per byte) and `metric_product`. The file's API calls the last one `average_hw_metric`, but it is the
        product of all latencies (ms) and energies (mJ).

        Raises:
            UsageError: there is no such data set.
        """
        if dataset not in DATASETS:
            raise unknown_name("data set", dataset, DATASETS)
        columns = self.cells[dataset]
        named = {".".join(device_and_column(metric)): values for metric, values in columns.items()}
        texts = [config["arch_str"] for config in self.configs[dataset]]
        product = np.prod([columns[metric] for metric in FACTORS], axis=0)
        content = {"index": range(len(texts)), "architecture": texts, **named, "metric_product": product}
        return pl.DataFrame(content, schema_overrides={"index": pl.Int64()}).fill_nan(None)

    def block_table(self, dataset: str) -> BlockTable:
        """The blocks of FBNet for a data set (`cifar100` or `ImageNet`); their sum is a network's cost.

        Raises:
            UsageError: there is no such data set.
            DataError: the file lacks a block.
        """
        if dataset not in FBNET_DATASETS:
            raise unknown_name("data set", dataset, FBNET_DATASETS)
        size = FBNET_DATASETS[dataset]
        fixed, layers = block_keys(make_space("fbnet").sizes[size])
        rows: list[tuple[int | None, str, str]] = [(None, name, key) for name, key in fixed.items()]
        rows += [(n, name, key) for n, keys in enumerate(layers) for name, key in zip(OPERATIONS, keys, strict=True)]
        costs = {
            ".".join(device_and_column(metric)): [_block(blocks, metric, key) for _, _, key in rows]
            for metric, blocks in self.blocks.items()
        }
        schema = {"layer": pl.Int64(), "operation": pl.String(), "key": pl.String()}
        frame = pl.DataFrame(rows, schema=schema, orient="row").with_columns(
            **{n: pl.Series(c) for n, c in costs.items()}
        )
        devices = {name: facts for name, facts in DEVICES.items() if f"{name}.latency_ms" in costs}
        return BlockTable(frame, BlockOrigin("fbnet", size, devices, SOURCE, runs=RUNS))


def _mapping(content: object, where: str, keys: Sequence[str] | Mapping[str, str]) -> Mapping[str, Any]:
    if not isinstance(content, dict):
        raise DataError(f"{where} should be a dict, got {type(content).__name__}")
    missing = [key for key in keys if key not in content]
    if missing:
        raise DataError(f"{where} should have {', '.join(keys)}, but lacks {', '.join(missing)}")
    return content


def _configs(columns: object, dataset: str) -> Sequence[Mapping[str, Any]]:
    """The configs of a data set, after checking them against the official order of cells."""
    configs = _mapping(columns, dataset, ("config",))["config"]
    if isinstance(configs, np.ndarray) or not isinstance(configs, list | tuple) or not configs:
        raise DataError(f"{dataset}/config should be a list of dicts, got {type(configs).__name__}")
    space = make_space("nasbench201")
    for index, config in enumerate(configs):
        text = config.get("arch_str") if isinstance(config, dict) else config
        if index >= space.cardinality or text != str(space.from_index(index)):
            raise DataError(
                f"{dataset}/config {index} should be NAS-Bench-201's cell {index}, got {excerpt(str(text))}"
            )
    return configs


def _column(columns: object, dataset: str, metric: str, length: int) -> Numbers:
    values = _mapping(columns, dataset, METRICS)[metric]
    try:
        numbers = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{dataset}/{metric} should be numbers: {error}") from error
    if numbers.shape != (length,):
        raise DataError(f"{dataset}/{metric} should have {length} numbers, as config has, got {numbers.shape}")
    return np.where(np.isfinite(numbers) & (numbers > 0), numbers, np.nan)


def _blocks(content: object, metric: str) -> Mapping[str, float]:
    blocks = _mapping(content, f"fbnet/{metric}", ())
    try:
        return {str(key): float(np.asarray(cost, dtype=np.float64).reshape(())) for key, cost in blocks.items()}
    except (TypeError, ValueError) as error:
        raise DataError(f"fbnet/{metric} should have a number for each block: {error}") from error


def _block(blocks: Mapping[str, float], metric: str, key: str) -> float:
    if key not in blocks:
        raise DataError(f"HW-NAS-Bench's fbnet/{metric} lacks the block {key}: get the official file again")
    return blocks[key]
