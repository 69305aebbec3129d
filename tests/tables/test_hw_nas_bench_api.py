"""A script that was written for the official class runs after one changed import."""

from __future__ import annotations

import math
from typing import Any

import pytest

from chronas.errors import UsageError
from chronas.tables import HWNASBenchAPI as HWAPI
from official_hw_nas_bench import CELLS, FBNET, official, write

CHOICE = [index % 9 for index in range(22)]


@pytest.fixture(scope="module")
def content() -> dict[str, Any]:
    return official()


@pytest.fixture(scope="module")
def file(content: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write(content, tmp_path_factory.mktemp("official") / "HW-NAS-Bench-v1_0.pickle"))


@pytest.mark.parametrize("dataset", ["cifar10", "cifar100", "ImageNet16-120"])
def test_the_readmes_script_for_cells(dataset: str, file: str, content: dict[str, Any]) -> None:
    hw_api = HWAPI(file, search_space="nasbench201")
    cells = content["nasbench201"][dataset]
    for index in range(3):
        found = hw_api.query_by_index(index, dataset)
        expected = {metric: float(cells[metric][index]) for metric in CELLS}
        product = math.prod(value for metric, value in expected.items() if not metric.endswith("intensity"))
        if index == 2:
            assert found["edgetpu_latency"] is None and found["average_hw_metric"] is None
            found["edgetpu_latency"] = -1.0
        else:
            assert found["average_hw_metric"] == pytest.approx(product, rel=1e-12)
        del found["average_hw_metric"]
        assert found == expected
        assert hw_api.get_net_config(index, dataset) == cells["config"][index]


def test_fbnet_is_a_sum_of_blocks(file: str, content: dict[str, Any]) -> None:
    hw_api = HWAPI(file, search_space="fbnet")
    tables = hw_api.get_op_lookup_tables()
    assert tables == content["fbnet"]
    low = hw_api.query_by_index(CHOICE, "cifar100")
    high = hw_api.query_by_index(CHOICE[:-1] + [0], "cifar100")
    assert list(low) == [*FBNET, "average_hw_metric"]
    shape = "H4_W4_Cin184_Cout352"
    assert CHOICE[-1] == 3
    for metric in FBNET:
        blocks = tables[metric]
        difference = blocks[f"ConvBlock_{shape}_exp6_kernel3_stride1_group1"]
        difference -= blocks[f"ConvBlock_{shape}_exp1_kernel3_stride1_group1"]
        assert low[metric] - high[metric] == pytest.approx(difference, abs=1e-9)  # type: ignore[operator]
    assert low["average_hw_metric"] == pytest.approx(math.prod(low[metric] for metric in FBNET), rel=1e-12)  # type: ignore[misc]
    config = hw_api.get_net_config(CHOICE, "ImageNet")
    assert config["num_classes"] == 1000 and config["op_idx_list"] == CHOICE and config["dataset"] == "ImageNet"
    assert config["arch_str"][:3] == ["k3_e1", "k3_e1_g2", "k3_e3"] and config["arch_str"][8] == "skip"


def test_wrong_arguments_are_refused(file: str) -> None:
    cells, fbnet = HWAPI(file), HWAPI(file, search_space="fbnet")
    for call, message in (
        (lambda: HWAPI(file, search_space="darts"), "unknown search space of HW-NAS-Bench 'darts'"),
        (lambda: cells.query_by_index(-1, "cifar10"), "cells 0..39 .* got -1"),
        (lambda: cells.query_by_index(40, "cifar10"), "cells 0..39 .* got 40"),
        (lambda: cells.query_by_index(CHOICE, "cifar10"), "cells 0..39"),
        (lambda: cells.query_by_index(0, "ImageNet"), "unknown data set 'ImageNet'"),
        (lambda: cells.get_op_lookup_tables(), "look-up tables are FBNet's"),
        (lambda: fbnet.query_by_index(0, "cifar100"), "a list of 22 numbers"),
        (lambda: fbnet.query_by_index(CHOICE[:-1], "cifar100"), "a list of 22 numbers"),
        (lambda: fbnet.query_by_index([9] * 22, "cifar100"), "numbered 0..8"),
        (lambda: fbnet.query_by_index([-1] * 22, "cifar100"), "numbered 0..8"),
        (lambda: fbnet.query_by_index(CHOICE, "cifar10"), "unknown data set 'cifar10'"),
        (lambda: fbnet.get_net_config([9] * 22, "cifar100"), "numbered 0..8"),
    ):
        with pytest.raises(UsageError, match=message):
            call()
