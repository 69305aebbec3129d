"""A look-up predictor of single blocks: the sums themselves, as uncertain as they were for whole networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from chronas.devices.simulated import Simulated, SimulatedConfig
from chronas.errors import DataError
from chronas.predictors import Lookup, load_predictor
from chronas.spaces import NetworkSize, make_space
from chronas.tables import BlockNetworks, CostTable, added_up

SPACE = make_space("fbnet")
SIZE = NetworkSize(input_shape=(3, 16, 16), outputs=5, width=4, depth=1)
DEVICE = Simulated(SimulatedConfig(noise=0.0))
NETWORKS = BlockNetworks.of(SPACE, SIZE)
SINGLE = [(network, DEVICE.true_latency_ms(network, SIZE)) for network in NETWORKS.architectures]


def table(spread: float, level: float = 1.0) -> CostTable:
    """Exact single blocks, and 60 whole networks that are off by a relative error."""
    errors = level + spread * np.random.default_rng(0).standard_normal(60)
    whole = [
        (network, error * DEVICE.true_latency_ms(network, SIZE))
        for network, error in zip(SPACE.sample(60, seed=0), errors, strict=True)
    ]
    return CostTable.from_rows(SPACE, SIZE, DEVICE, SINGLE + whole)


def test_it_predicts_the_sums_and_its_file_does_too(tmp_path: Path) -> None:
    lookup = Lookup.of_blocks(table(0.0, level=1.25))
    codes = SPACE.encode(SPACE.sample(50, seed=9))
    expected = [1.25 * DEVICE.true_latency_ms(network, SIZE) for network in SPACE.sample(50, seed=9)]
    assert lookup.predict(codes).mean == pytest.approx(expected)
    lookup.save(tmp_path / "blocks.safetensors")
    again = load_predictor(tmp_path / "blocks.safetensors")
    assert again.predict(codes).mean.tobytes() == lookup.predict(codes).mean.tobytes()
    assert again.predict(codes).std.tobytes() == lookup.predict(codes).std.tobytes()


def test_its_intervals_hold_nine_of_ten_whole_networks() -> None:
    measured = table(0.1)
    lookup, whole = Lookup.of_blocks(measured), measured.frame.tail(60)
    prediction = lookup.predict(SPACE.encode([SPACE.parse(text) for text in whole["architecture"]]))
    inside = np.abs(prediction.mean - whole["latency_ms"].to_numpy()) <= 1.645 * prediction.std
    assert 0.85 <= inside.mean() <= 0.95
    exact = Lookup.of_blocks(table(0.0))
    assert exact.predict(SPACE.encode([NETWORKS.plain])).std[0] < 1e-5 * exact.median


def test_a_table_without_the_blocks_is_refused() -> None:
    rows = [(network, 1.0 + number) for number, network in enumerate(SPACE.sample(5, seed=0))]
    with pytest.raises(DataError, match="97 networks of single blocks were not measured"):
        Lookup.of_blocks(CostTable.from_rows(SPACE, SIZE, DEVICE, rows))
    assert added_up(table(0.1), NETWORKS)[0].base == SINGLE[0][1]
