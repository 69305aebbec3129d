from __future__ import annotations

from pathlib import Path

import pytest

from chronas.devices import make_device
from chronas.errors import DataError
from chronas.measurement import Plan, read_journal, run_campaign
from chronas.networks import build, save_state
from chronas.spaces import NetworkSize, make_space

SPACE = make_space("nasbench201")
SIZE = NetworkSize(input_shape=(1, 4, 4), outputs=2, width=2, depth=1)
PLAN = Plan(rounds=2, max_rounds=2, repeats=2)


def test_a_campaign_measures_the_weights_that_it_is_given(tmp_path: Path) -> None:
    trained, random = SPACE.sample(2, seed=0)
    weights = tmp_path / "weights.safetensors"
    save_state(weights, build(trained, SIZE, seed=1).state_dict(), {})
    device = make_device("eager-cpu")
    run_campaign(device, SIZE, [trained, random], PLAN, tmp_path / "a.sqlite", weights={trained: weights})
    assert set(read_journal(tmp_path / "a.sqlite").latencies()) == {str(trained), str(random)}
    with pytest.raises(DataError, match="another network"):
        run_campaign(device, SIZE, [random], PLAN, tmp_path / "b.sqlite", weights={random: weights})
