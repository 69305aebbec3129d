from __future__ import annotations

import numpy as np
import pytest

from chronas.devices import make_device
from chronas.devices.simulated import COLD, Simulated, SimulatedConfig
from chronas.errors import UsageError
from chronas.networks import build, count
from chronas.spaces import SPACES, make_space

SIZES = {name: next(iter(make_space(name).sizes.values())) for name in SPACES}


def exact(**settings: float) -> Simulated:
    return Simulated(SimulatedConfig(noise=0.0, **settings))


@pytest.mark.parametrize("name", SPACES)
def test_without_noise_and_drift_a_run_takes_exactly_the_true_latency(name: str) -> None:
    device = exact()
    for architecture in make_space(name).sample(5, seed=0):
        true_ms = device.true_latency_ms(architecture, SIZES[name])
        assert device.prepare(architecture, SIZES[name]).round(0, 1, 3) == [true_ms] * 3


@pytest.mark.parametrize("name", SPACES)
def test_the_true_latency_is_a_sum_over_slots_unless_a_decision_scales_all_others(name: str) -> None:
    device, space = exact(), make_space(name)
    if space.topology.scaling:
        with pytest.raises(UsageError, match="no sums over slots"):
            device.true_slot_costs(space, SIZES[name])
        return
    architectures = space.sample(50, seed=1)
    base_ms, slots_ms = device.true_slot_costs(space, SIZES[name])
    expected = base_ms + space.encode(architectures).astype(np.float64) @ slots_ms
    true_ms = [device.true_latency_ms(architecture, SIZES[name]) for architecture in architectures]
    assert np.allclose(true_ms, expected, rtol=1e-12, atol=0)


def test_without_overhead_the_latency_is_that_of_the_macs() -> None:
    device = exact(overhead_us=0.0, base_ms=2.0, gigamacs_per_s=10.0)
    architecture = make_space("nasbench201").sample(1, seed=4)[0]
    macs = count(build(architecture, SIZES["nasbench201"]), (3, 32, 32)).macs
    assert device.true_latency_ms(architecture, SIZES["nasbench201"]) == pytest.approx(2.0 + macs / 1e7)


def test_each_kernel_of_each_cell_costs_its_overhead() -> None:
    space, size = make_space("nasbench201"), SIZES["nasbench201"]
    pooling = space.parse("|avg_pool_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|")
    without, with_overhead = exact(overhead_us=0.0), exact(overhead_us=10.0)
    difference_ms = with_overhead.true_latency_ms(pooling, size) - without.true_latency_ms(pooling, size)
    assert difference_ms == pytest.approx(15 * 0.010)


def test_noise_depends_on_seed_architecture_round_and_repeat_alone() -> None:
    one, other = make_space("darts").sample(2, seed=0)
    size = SIZES["darts"]
    device = Simulated(SimulatedConfig(noise=0.1))
    later = device.prepare(one, size).round(4, 3, 6)
    assert Simulated(SimulatedConfig(noise=0.1)).prepare(one, size).round(4, 1, 6) == later
    assert device.prepare(one, size).round(4, 3, 3) == later[:3]
    assert device.prepare(one, size).round(5, 3, 6) != later
    assert device.prepare(other, size).round(4, 3, 6) != later
    assert Simulated(SimulatedConfig(noise=0.1, seed=1)).prepare(one, size).round(4, 3, 6) != later


def test_noise_has_the_chosen_deviation_and_only_adds() -> None:
    device = Simulated(SimulatedConfig(noise=0.2))
    architecture = make_space("darts").sample(1, seed=0)[0]
    true_ms = device.true_latency_ms(architecture, SIZES["darts"])
    samples = np.array(device.prepare(architecture, SIZES["darts"]).round(0, 1, 20_000)) / true_ms
    assert samples.min() >= 1
    assert samples.std() == pytest.approx(0.2, rel=0.05)


def test_the_virtual_clock_goes_on_by_what_runs_take_and_can_be_put_back() -> None:
    device = exact()
    architecture = make_space("darts").sample(1, seed=0)[0]
    true_ms = device.true_latency_ms(architecture, SIZES["darts"])
    device.prepare(architecture, SIZES["darts"]).round(0, 2, 3)
    assert device.now_s() == pytest.approx((COLD + 4) * true_ms / 1000)
    device.resume_at(12.5)
    assert device.now_s() == 12.5


def test_drift_is_a_slow_sine_of_the_clock() -> None:
    device = exact(drift=0.1, drift_period_s=400.0)
    architecture = make_space("darts").sample(1, seed=0)[0]
    runner = device.prepare(architecture, SIZES["darts"])
    true_ms = device.true_latency_ms(architecture, SIZES["darts"])
    for now_s, factor in ((0.0, 1.0), (100.0, 1.1), (300.0, 0.9)):
        device.resume_at(now_s)
        assert runner.round(0, 1, 1)[0] == pytest.approx(true_ms * factor, rel=1e-3)


def test_settings_make_another_device() -> None:
    assert make_device("simulated").fingerprint() != make_device("simulated", SimulatedConfig(seed=1)).fingerprint()
