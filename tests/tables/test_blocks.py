"""Costs of single blocks: which networks tell them, what they add up to, and how far that is from the truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from chronas.devices import make_device
from chronas.devices.simulated import Simulated, SimulatedConfig
from chronas.errors import DataError, UsageError
from chronas.measurement import Plan, run_campaign
from chronas.networks.layers import BLOCKS
from chronas.spaces import NetworkSize, make_space
from chronas.tables import (
    BlockCosts,
    BlockNetworks,
    BlockTable,
    CostTable,
    added_up,
    as_block_table,
    block_records,
    remeasured,
)
from chronas.tables.hw_nas_bench import block_keys

SPACE = make_space("fbnet")
SIZE = NetworkSize(input_shape=(3, 16, 16), outputs=5, width=4, depth=1)
DEEP = SIZE.model_copy(update={"depth": 2})
SKIP = 8


@pytest.mark.parametrize("size", [*SPACE.sizes.values(), DEEP], ids=[*SPACE.sizes, "deep"])
def test_there_are_twelve_shapes_of_layers_and_one_network_for_each_of_their_blocks(size: NetworkSize) -> None:
    networks = BlockNetworks.of(SPACE, size)
    stages = [(first, *rest) for first, *rest in ((n, n + 1, n + 2, n + 3) for n in (1, 5, 9, 13, 17))]
    expected = [(0,), *(part for first, *rest in stages for part in ((first,), tuple(rest))), (21,)]
    assert list(networks.places) == expected
    assert networks.plain.choices == (SKIP,) * 22
    assert len(networks.architectures) == len(set(networks.architectures)) == 1 + 12 * 8
    for (number, option), network in networks.single.items():
        assert [d for d, choice in enumerate(network.choices) if choice == option] == list(networks.places[number])
        assert set(network.choices) <= {option, SKIP}


def test_exact_costs_add_up_exactly() -> None:
    device = Simulated(SimulatedConfig(noise=0.0))
    networks = BlockNetworks.of(SPACE, DEEP)
    costs = {network: device.true_latency_ms(network, DEEP) for network in networks.architectures}
    whole = SPACE.sample(30, seed=1)
    sums = BlockCosts.of(networks, costs).costs(SPACE.encode(whole))
    assert sums == pytest.approx([device.true_latency_ms(network, DEEP) for network in whole])


def test_a_measured_table_knows_how_well_it_adds_up(tmp_path: Path) -> None:
    networks = BlockNetworks.of(SPACE, SIZE)
    asked = [*networks.architectures, *SPACE.sample(40, seed=0)]
    run_campaign(make_device("simulated"), SIZE, asked, Plan(rounds=3, max_rounds=3), tmp_path / "journal.sqlite")
    blocks, table = added_up(CostTable.from_journal(tmp_path / "journal.sqlite"), networks)
    found = table.provenance.additivity
    assert found is not None
    assert found.agreement.networks == 40 and found.error_percent < 3
    assert "40 networks" in dict(table.describe())["sums of blocks"]
    table.save(tmp_path / "blocks.parquet")
    assert CostTable.load(tmp_path / "blocks.parquet").provenance == table.provenance
    table = remeasured(table, make_device("simulated"), tmp_path / "again.sqlite", networks=10)
    as_block_table(table, networks, "cifar100").save(tmp_path / "asked.parquet")
    quality = BlockTable.load(tmp_path / "asked.parquet").origin.quality["simulated"]
    assert (quality.rounds, quality.repeatability) == (3, table.repeatability())
    assert (quality.additivity, quality.checks) == (found, table.provenance.checks)
    described = dict(BlockTable.load(tmp_path / "asked.parquet").describe())
    assert "40 networks" in described["sums of blocks"] and "10 networks after" in described["check 1"]


def test_what_does_not_add_up_is_told() -> None:
    """Whole networks that take twice their sums: an additivity that compared sums with themselves would not see it."""
    networks, device = BlockNetworks.of(SPACE, SIZE), Simulated(SimulatedConfig(noise=0.0))
    single = [(network, device.true_latency_ms(network, SIZE)) for network in networks.architectures]
    whole = [(network, 2 * device.true_latency_ms(network, SIZE)) for network in SPACE.sample(20, seed=0)]
    table = added_up(CostTable.from_rows(SPACE, SIZE, device, single + whole), networks)[1]
    found = table.provenance.additivity
    assert found is not None
    assert found.level_percent == pytest.approx(-50) and found.error_percent == pytest.approx(50)
    assert found.agreement.kendall == pytest.approx(1.0)


def test_a_table_to_be_asked_has_the_same_sums(tmp_path: Path) -> None:
    """Up to one factor, and also where a block is cheaper than the one with the fewest MACs."""
    networks, device = BlockNetworks.of(SPACE, SIZE), Simulated(SimulatedConfig(noise=0.0))
    true_ms = {network: device.true_latency_ms(network, SIZE) for network in networks.architectures}
    true_ms[networks.single[2, 0]] = 0.9 * true_ms[networks.plain]
    whole = [(network, 1.0 + number) for number, network in enumerate(SPACE.sample(20, seed=0))]
    table = CostTable.from_rows(SPACE, SIZE, device, [*true_ms.items(), *whole])
    asked = as_block_table(table, networks, "cifar100")
    asked.save(tmp_path / "blocks.parquet")
    again = BlockTable.load(tmp_path / "blocks.parquet")
    sums = BlockCosts.of(networks, true_ms).costs(SPACE.encode(SPACE.sample(20, seed=0)))
    expected = sums / np.median(sums / np.arange(1, 21))
    found = again.sums([one.choices for one in SPACE.sample(20, seed=0)])  # type: ignore[misc]
    assert found["simulated.latency_ms"].to_numpy() == pytest.approx(expected, rel=1e-6)
    assert (again.origin.space, again.origin.dataset) == ("fbnet", "cifar100")
    quality = again.origin.quality["simulated"]
    above = 100 * (np.arange(1, 21) / expected - 1)
    assert (quality.low_percent, quality.high_percent) == pytest.approx(tuple(np.quantile(above, [0.025, 0.975])))
    answer = block_records(again, SPACE.sample(20, seed=0)[3].choices)[0]
    assert answer.value is not None and answer.low is not None and answer.high is not None
    assert answer.low == pytest.approx(answer.value * (1 + quality.low_percent / 100))
    assert answer.low < answer.value < answer.high


@pytest.mark.parametrize("name", ["cifar100", "imagenet"])
def test_shapes_are_those_of_hw_nas_benchs_keys(name: str) -> None:
    size = SPACE.sizes[name]
    fixed, keys = block_keys(size)
    side, topology = size.input_shape[1], SPACE.topology
    for option in range(9):
        names = [decision.options[option] for decision in SPACE.decisions]
        blueprint = topology.chain(names, size)
        side = size.input_shape[1] // blueprint.stem_stride
        for layer, key in zip(blueprint.layers, keys, strict=True):
            shape = f"_H{side}_W{side}_Cin{layer.channels_in}_Cout{layer.channels_out}_"
            assert shape in key[option] and f"stride{layer.stride}" in key[option]
            if layer.block in BLOCKS:
                form = BLOCKS[layer.block]
                assert f"exp{form.expansion}_kernel{form.kernel}" in key[option]
                assert key[option].endswith(f"group{form.groups}")
            side //= layer.stride
        assert fixed["classifier"] == f"FC_Cin{blueprint.head_channels}_Cout{blueprint.classes}"


def test_missing_networks_and_other_spaces_are_refused() -> None:
    networks, device = BlockNetworks.of(SPACE, SIZE), make_device("simulated")
    rows = [(network, 1.0 + number) for number, network in enumerate(networks.architectures)]
    with pytest.raises(DataError, match="1 networks of single blocks were not measured"):
        added_up(CostTable.from_rows(SPACE, SIZE, device, rows[:-1]), networks)
    with pytest.raises(DataError, match="at least two whole networks, got 0"):
        added_up(CostTable.from_rows(SPACE, SIZE, device, rows), networks)
    with pytest.raises(UsageError, match="space nasbench201 is none.*chronas fit --predictor lookup"):
        BlockNetworks.of(make_space("nasbench201"), SIZE)
