"""Timing by the host's clock: what is inside a sample and what is not, with a clock that tests wind themselves."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from chronas.devices import Model, host
from chronas.devices.device import CpuConfig
from chronas.devices.host import HostTimedRunner, cpu_fingerprint
from chronas.errors import DataError, DeviceError
from chronas.networks import build, save_state
from chronas.spaces import NetworkSize, make_space

SIZE = NetworkSize(input_shape=(3, 8, 8), outputs=5, width=4, depth=2)
ARCHITECTURE = make_space("darts").sample(1, seed=0)[0]
IMAGES = np.zeros((2, 3, 8, 8), dtype=np.float32)


class Wound(HostTimedRunner):
    """Takes the given nanoseconds run by run, on a clock of its own; its logits can be set."""

    def __init__(self, durations_ns: list[int], logits: NDArray[np.float32] | None = None) -> None:
        super().__init__(IMAGES, (2, 5))
        self.durations_ns = durations_ns
        self.now_ns = 0
        self.runs = 0
        self.outputs = np.zeros((2, 5), dtype=np.float32) if logits is None else logits
        self.collecting: list[bool] = []
        self.inside = False

    def _run(self) -> object:
        assert self.inside, "a run outside its settings"
        self.collecting.append(gc.isenabled())
        self.now_ns += self.durations_ns[self.runs]
        self.runs += 1
        return self.outputs

    def _logits(self, output: object) -> NDArray[np.float32]:
        assert isinstance(output, np.ndarray)
        self.now_ns += 10**9  # checking takes a second, which no sample may hold
        return output

    @contextmanager
    def _inside(self) -> Iterator[None]:
        self.inside = True
        try:
            yield
        finally:
            self.inside = False

    def _settings(self) -> AbstractContextManager[None]:
        return self._inside()

    def close(self) -> None:
        pass


@pytest.fixture(autouse=True)
def _core_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "preemptions", lambda: 0)  # a busy machine would repeat runs


@settings(max_examples=30, deadline=None)
@given(durations_ns=st.lists(st.integers(1, 10**10), min_size=2, max_size=12), data=st.data())
def test_samples_are_the_milliseconds_of_the_timed_runs_alone(durations_ns: list[int], data: st.DataObject) -> None:
    warmup = data.draw(st.integers(1, len(durations_ns) - 1))
    runner = Wound(durations_ns)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "perf_counter_ns", lambda: runner.now_ns)
        samples_ms = runner.round(0, warmup, len(durations_ns) - warmup)
    assert samples_ms == pytest.approx([duration / 1e6 for duration in durations_ns[warmup:]])
    assert runner.collecting == [True] * warmup + [False] * (len(durations_ns) - warmup)
    assert not runner.inside
    assert gc.isenabled()


@pytest.mark.parametrize(
    ("disturbed", "durations", "samples"),
    [
        ([], [9, 1, 2, 3], [1, 2, 3]),
        ([1], [9, 7, 1, 2, 3], [1, 2, 3]),  # the first timed run lost the core
        ([1, 2, 4], [9, 7, 8, 1, 6, 2, 3], [1, 2, 3]),
        (list(range(1, 10)), [9, 30, 10, 20, 40, 50, 60, 70, 80, 90], [10, 20, 30]),  # none was whole: the shortest
        ([1, 2, 3, 4, 5, 6, 7, 9], [9, 30, 10, 20, 40, 50, 60, 70, 5, 90], [5, 10, 20]),
    ],
    ids=["none", "one", "some", "all", "all but one"],
)
def test_a_run_that_lost_the_core_is_timed_again(
    disturbed: list[int], durations: list[int], samples: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = Wound([duration * 10**6 for duration in durations])
    monkeypatch.setattr(time, "perf_counter_ns", lambda: runner.now_ns)
    monkeypatch.setattr(host, "preemptions", lambda: sum(run < runner.runs for run in disturbed))
    assert runner.round(0, 1, 3) == samples
    assert runner.runs == len(durations)


def test_a_collector_that_rests_already_is_left_resting() -> None:
    gc.disable()
    try:
        Wound([1] * 3).round(0, 1, 2)
        assert not gc.isenabled()
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("logits", "message"),
    [
        (np.full((2, 5), np.nan, dtype=np.float32), "not finite"),
        (np.array([[0, 1, 2, 3, np.inf]] * 2, dtype=np.float32), "not finite"),
        (np.zeros((1, 5), dtype=np.float32), r"\(2, 5\) but gave \(1, 5\)"),
        (np.zeros((2, 4), dtype=np.float32), r"\(2, 5\) but gave \(2, 4\)"),
    ],
)
def test_outputs_that_cannot_be_end_the_round_and_put_all_back(logits: NDArray[np.float32], message: str) -> None:
    runner = Wound([1] * 9, logits)
    with pytest.raises(DeviceError, match=message):
        runner.round(0, 2, 4)
    assert runner.runs == 2, "a broken network is noticed after the warm-up"
    assert gc.isenabled()
    assert not runner.inside


def test_an_output_that_breaks_during_the_round_is_noticed_after_it() -> None:
    class Breaking(Wound):
        def _run(self) -> object:
            output = super()._run()
            return output if self.runs < 4 else np.full((2, 5), np.inf, dtype=np.float32)

    with pytest.raises(DeviceError, match="not finite"):
        Breaking([1] * 9).round(0, 1, 5)


@given(batch=st.integers(1, 5), channels=st.sampled_from([1, 3]), height=st.integers(8, 20))
@settings(max_examples=10, deadline=None)
def test_images_have_the_asked_batch_and_shape_and_are_the_same_each_time(
    batch: int, channels: int, height: int
) -> None:
    size = NetworkSize(input_shape=(channels, height, height + 1), outputs=3, width=4, depth=1)
    images = Model.of(ARCHITECTURE, size).inputs(batch)
    assert images.shape == (batch, channels, height, height + 1)
    assert images.dtype == np.float32
    assert np.array_equal(images, Model.of(ARCHITECTURE, size).inputs(batch))
    assert 0.5 < images.std() < 1.5


def test_a_network_to_time_is_in_eval_mode_and_has_no_gradients(tmp_path: Path) -> None:
    architecture = make_space("darts").sample(1, seed=0)[0]
    trained = build(architecture, SIZE, seed=4, auxiliary=True)
    save_state(tmp_path / "trained.safetensors", trained.state_dict(), {})
    network = Model.of(architecture, SIZE, tmp_path / "trained.safetensors").module()
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())
    images = torch.from_numpy(Model.of(architecture, SIZE).inputs(2))
    torch.testing.assert_close(network(images), trained.eval()(images))
    fresh = Model.of(architecture, SIZE).module()
    torch.testing.assert_close(fresh(images), build(architecture, SIZE, seed=0).eval()(images))
    with pytest.raises(DataError, match="cannot read"):
        Model.of(architecture, SIZE, tmp_path / "missing.safetensors").module()


def test_a_cpus_fingerprint_follows_its_config() -> None:
    one, other = (cpu_fingerprint("a", "b", "1.2", CpuConfig(batch=batch)) for batch in (1, 2))
    assert {key for key in one if one[key] != other[key]} == {"batch"}
