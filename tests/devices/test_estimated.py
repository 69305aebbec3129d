"""LayerCostDevice devices: a network costs what its layers cost, everywhere the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from polars.testing import assert_frame_equal

from chronas.devices import AnalyticalDevice, make_device
from chronas.errors import DeviceError, UsageError
from chronas.measurement import Plan, make_meter, run_campaign
from chronas.networks import build, workload
from chronas.spaces import SPACES, NetworkSize, make_space
from chronas.tables import CostTable, analytical_table

SIZE = NetworkSize(input_shape=(3, 16, 16), outputs=10, width=8, depth=5)
SPACE = make_space("nasbench201")
CELL = "|{}~0|+|{}~0|{}~1|+|{}~0|{}~1|{}~2|"


@pytest.fixture(params=["eyeriss", "fpga"])
def device(request: pytest.FixtureRequest) -> AnalyticalDevice:
    found = make_device(str(request.param))
    assert isinstance(found, AnalyticalDevice)
    return found


@pytest.mark.parametrize("space", SPACES)
def test_a_network_costs_the_sum_of_its_layers(device, space: str) -> None:
    depth = 1 if make_space(space).topology.nested else 2
    size = NetworkSize(input_shape=(3, 16, 16), outputs=10, width=8, depth=depth)
    architectures = make_space(space).sample(4, seed=1)
    costs = device.costs(architectures, size)
    for number, architecture in enumerate(architectures):
        layers = workload(build(architecture, size), size.input_shape)
        expected = [device.layer_cost(layer) for layer in layers.elements()]
        assert costs["latency_ms"][number] == pytest.approx(sum(cost.latency_ms for cost in expected), rel=1e-12)
        assert costs["energy_mj"][number] == pytest.approx(sum(cost.energy_mj for cost in expected), rel=1e-12)


def test_a_run_takes_exactly_the_latency_on_the_devices_clock(device) -> None:
    (architecture,) = SPACE.sample(1, seed=1)
    latency_ms = float(device.costs([architecture], SIZE)["latency_ms"][0])
    device.resume_at(5.0)
    runner = device.prepare(architecture, SIZE)
    assert runner.round(0, 2, 3) == [latency_ms] * 3
    runner.run(4)
    runner.close()
    assert device.now_s() == pytest.approx(5 + 9 * latency_ms / 1000)


def test_networks_of_equal_work_cost_the_same_to_the_bit(device) -> None:
    names = ["nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3", "skip_connect", "none", "nor_conv_1x1"]
    turned = [SPACE.parse(CELL.format(*names[turn:], *names[:turn])) for turn in range(6)]
    many = device.costs(turned * 50, SIZE)
    for cost in device.estimates:
        assert len(set(many[cost])) == 1
        assert many[cost][0] == device.costs(turned[3:4], SIZE)[cost][0]


def test_more_work_costs_more(device) -> None:
    names = ["none", "nor_conv_1x1", "nor_conv_3x3"]
    costs = device.costs([SPACE.parse(CELL.format(*[name] * 6)) for name in names], SIZE)
    for cost in device.estimates:
        assert (np.diff(costs[cost]) > 0).all()


def test_architectures_of_two_spaces_and_none_are_refused(device) -> None:
    mixed = [*SPACE.sample(1, seed=0), *make_space("darts").sample(1, seed=0)]
    with pytest.raises(UsageError, match=r"of one space, got 2 of \['darts', 'nasbench201'\]"):
        device.costs(mixed, SIZE)
    with pytest.raises(UsageError, match="of one space, got 0"):
        device.costs([], SIZE)


def test_its_energy_can_be_measured_as_any_devices(device) -> None:
    (architecture,) = SPACE.sample(1, seed=4)
    meter = make_meter("energy_mj", device, SIZE)
    assert meter.source == f"estimated by {device.name}"
    assert meter.read(architecture, 0).value == device.costs([architecture], SIZE)["energy_mj"][0]
    with pytest.raises(DeviceError, match="peak_memory_mib cannot be measured on device"):
        make_meter("peak_memory_mib", device, SIZE)


def test_a_table_at_once_has_what_a_campaign_measures(device, tmp_path: Path) -> None:
    architectures = SPACE.sample(12, seed=5)
    plan = Plan(rounds=2, max_rounds=2, repeats=2)
    run_campaign(device, SIZE, architectures, plan, tmp_path / "j.sqlite", costs=["energy_mj"])
    measured = CostTable.from_journal(tmp_path / "j.sqlite").frame.sort("architecture")
    at_once = analytical_table(device, SIZE, architectures, ["energy_mj"])
    columns = ["architecture", "latency_ms", "latency_low_ms", "latency_high_ms", "energy_mj", "energy_low_mj"]
    assert_frame_equal(at_once.frame.sort("architecture").select(columns), measured.select(columns), rel_tol=1e-12)
    at_once.save(tmp_path / "t.parquet")
    again = CostTable.load(tmp_path / "t.parquet")
    assert again.provenance.source == "estimated" and again.provenance.created.endswith("+00:00")
    assert again.provenance.sources == {"energy_mj": f"estimated by {device.name}"}
    again.require(space=SPACE, size=SIZE, device=device)


def test_a_cost_that_it_does_not_tell_is_refused(device) -> None:
    with pytest.raises(DeviceError, match="computes latency_ms and energy_mj, not peak_memory_mib"):
        analytical_table(device, SIZE, SPACE.sample(2, seed=0), ["peak_memory_mib"])
