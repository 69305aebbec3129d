"""HW-NAS-Bench's own class, for existing scripts: change one import and keep the methods.

    from chronas.tables import HWNASBenchAPI as HWAPI     # was: from hw_nas_bench_api import HWNASBenchAPI as HWAPI

Names, arguments and results as in `hw_nas_bench_api.py` of https://github.com/GATECH-EIC/HW-NAS-Bench (MIT). We differ
in three points: the file is read without running anything, a missing value is None instead of -1, and wrong arguments
are refused.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from chronas.errors import UsageError, unknown_name
from chronas.spaces import make_space
from chronas.tables.block_table import BlockTable
from chronas.tables.hw_nas_bench import (
    DATASETS,
    FACTORS,
    FBNET_DATASETS,
    FBNET_METRICS,
    LAYERS,
    METRICS,
    OPERATIONS,
    HwNasBench,
    device_and_column,
)

SPACES = ("nasbench201", "fbnet")


class HWNASBenchAPI:
    """The official class, on top of the restricted reader.

    Attributes:
        search_space: "nasbench201" or "fbnet".
    """

    def __init__(self, file_path_or_dict: str | Path, search_space: str = "nasbench201") -> None:
        """Read the official file.

        Args:
            file_path_or_dict: `HW-NAS-Bench-v1_0.pickle`.
            search_space: "nasbench201" or "fbnet".

        Raises:
            UsageError: the search space is another one.
            DataError: the file is missing, damaged, of another layout, or would run code.
        """
        if search_space not in SPACES:
            raise unknown_name("search space of HW-NAS-Bench", search_space, SPACES)
        self.search_space = search_space
        self._bench = HwNasBench.read(Path(file_path_or_dict))
        self._tables: dict[str, BlockTable] = {}

    def query_by_index(self, arch_index: int | Sequence[int], dataname: str) -> dict[str, float | None]:
        """All costs of an architecture: latencies in ms, energies in mJ, intensity in operations per byte.

        `average_hw_metric` is the product of the latencies and energies, as in the official class.

        Args:
            arch_index: the official index of a NAS-Bench-201 cell, or FBNet's 22 numbers of operations.
            dataname: "cifar10", "cifar100" or "ImageNet16-120"; for FBNet "cifar100" or "ImageNet".

        Raises:
            UsageError: there is no such index or data set.
        """
        find = self._of_cell if self._is_cells else self._of_blocks
        found = find(arch_index, dataname)
        factors = [found[metric] for metric in FACTORS if metric in found]
        known = [value for value in factors if value is not None]
        found["average_hw_metric"] = math.prod(known) if len(known) == len(factors) else None
        return found

    def get_net_config(self, arch_index: int | Sequence[int], dataname: str) -> dict[str, Any]:
        """The config of a network in the file.

        Args:
            arch_index: as in `query_by_index`.
            dataname: as in `query_by_index`.

        Raises:
            UsageError: there is no such index or data set.
        """
        if self._is_cells:
            return dict(self._bench.configs[_dataset(dataname, DATASETS)][self._index(arch_index, dataname)])
        numbers = _numbers(arch_index)
        size = make_space("fbnet").sizes[FBNET_DATASETS[_dataset(dataname, FBNET_DATASETS)]]
        names = [OPERATIONS[number] for number in numbers]
        return {"dataset": dataname, "num_classes": size.outputs, "op_idx_list": numbers, "arch_str": names}

    def get_op_lookup_tables(self) -> dict[str, dict[str, float]]:
        """The cost of each block of FBNet by its key, for each metric.

        Raises:
            UsageError: the search space is not "fbnet".
        """
        if self._is_cells:
            raise UsageError("look-up tables are FBNet's: open the file with search_space='fbnet'")
        return {metric: dict(blocks) for metric, blocks in self._bench.blocks.items()}

    @property
    def _is_cells(self) -> bool:
        return self.search_space == SPACES[0]

    def _of_cell(self, arch_index: int | Sequence[int], dataname: str) -> dict[str, float | None]:
        columns = self._bench.cells[_dataset(dataname, DATASETS)]
        index = self._index(arch_index, dataname)
        values = {metric: float(columns[metric][index]) for metric in METRICS}
        return {metric: None if math.isnan(value) else value for metric, value in values.items()}

    def _of_blocks(self, arch_index: int | Sequence[int], dataname: str) -> dict[str, float | None]:
        numbers = _numbers(arch_index)
        if dataname not in self._tables:
            self._tables[dataname] = self._bench.block_table(dataname)
        sums = self._tables[dataname].sums([numbers]).row(0, named=True)
        return {metric: sums[".".join(device_and_column(metric))] for metric in FBNET_METRICS}

    def _index(self, arch_index: int | Sequence[int], dataname: str) -> int:
        count = len(self._bench.configs[dataname])
        if not isinstance(arch_index, int | np.integer) or not 0 <= arch_index < count:
            raise UsageError(f"the file has the cells 0..{count - 1} of NAS-Bench-201, got {arch_index!r}")
        return int(arch_index)


def _numbers(arch_index: int | Sequence[int]) -> list[int]:
    if isinstance(arch_index, int) or len(arch_index) != LAYERS:
        raise UsageError(f"an architecture of FBNet is a list of {LAYERS} numbers of operations, got {arch_index!r}")
    numbers = [int(number) for number in arch_index]
    if not all(0 <= number < len(OPERATIONS) for number in numbers):
        raise UsageError(f"FBNet's operations are numbered 0..{len(OPERATIONS) - 1}, got {numbers}")
    return numbers


def _dataset(name: str, valid: Sequence[str] | dict[str, Any]) -> str:
    if name not in valid:
        raise unknown_name("data set", name, valid)
    return name
