"""One measurement for all cells of one graph: whose cost stands in which row."""

from __future__ import annotations

from pathlib import Path

import pytest

from chronas.devices.simulated import Simulated, SimulatedConfig
from chronas.errors import MismatchError, UsageError
from chronas.measurement import Plan, run_campaign
from chronas.spaces import NetworkSize, make_space
from chronas.tables import CostTable, expanded, representatives

SPACE = make_space("nasbench201")
SIZE = NetworkSize(input_shape=(3, 8, 8), outputs=4, width=4, depth=1)
PLAN = Plan(rounds=2, max_rounds=2, warmup=1, repeats=2)
CONFIG = SimulatedConfig(noise=0.0)


class Pruning(Simulated):
    """A device that drops what a network does not need."""

    prunes_dead_nodes = True


def measured(device: Simulated, count: int, folder: Path) -> CostTable:
    asked = representatives(SPACE.sample(SPACE.cardinality, seed=0), device)[:count]
    run_campaign(device, SIZE, asked, PLAN, folder / "journal.sqlite")
    return CostTable.from_journal(folder / "journal.sqlite")


def test_a_measurement_stands_for_all_cells_of_its_graph_and_no_others(tmp_path: Path) -> None:
    device = Pruning(CONFIG)
    part = measured(device, 40, tmp_path)
    table = expanded(part, device)
    graphs = set(part.architectures())
    expected = [a for a in map(SPACE.from_index, range(SPACE.cardinality)) if a.pruned() in graphs]  # type: ignore[attr-defined]
    assert table.architectures() == expected
    assert len(table) > len(part) == len(table.measured()) == 40
    assert table.frame["index"].to_list() == [SPACE.index(architecture) for architecture in expected]
    for architecture, text, cost in zip(expected, table.frame["measured_as"], table.costs(), strict=True):
        assert text == str(architecture.pruned())
        assert cost == pytest.approx(device.true_latency_ms(architecture.pruned(), SIZE))
    table.save(tmp_path / "costs.parquet")
    assert CostTable.load(tmp_path / "costs.parquet").frame.equals(table.frame)
    assert dict(table.describe())["architectures"] == f"{len(table)}, by 40 measurements"
    assert table.repeatability().networks == 40


def test_all_cells_are_8747_measurements_where_dead_steps_are_dropped_and_all_of_them_elsewhere() -> None:
    every = list(SPACE.every())
    assert len(representatives(every, Pruning(CONFIG))) == 8747
    assert representatives(every, Simulated(CONFIG)) == every


def test_where_nothing_is_dropped_each_row_is_its_own_measurement(tmp_path: Path) -> None:
    device = Simulated(CONFIG)
    part = measured(device, 20, tmp_path)
    table = expanded(part, device)
    assert len(table) == 20
    assert table.frame["measured_as"].to_list() == table.frame["architecture"].to_list()
    assert table.frame["index"].to_list() == sorted(map(SPACE.index, part.architectures()))  # type: ignore[type-var]
    assert dict(table.describe())["architectures"] == "20"


def test_another_device_and_a_space_that_cannot_be_listed_are_refused(tmp_path: Path) -> None:
    device = Pruning(CONFIG)
    part = measured(device, 2, tmp_path)
    with pytest.raises(MismatchError, match="base_ms"):
        expanded(part, Pruning(SimulatedConfig(noise=0.0, base_ms=9.0)))
    darts = make_space("darts")
    rows = [(architecture, 1.0) for architecture in darts.sample(2, seed=0)]
    with pytest.raises(UsageError, match="too many to list"):
        expanded(CostTable.from_rows(darts, SIZE, device, rows), device)
