from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronas.devices import CpuConfig, Device, Runner, device_differences, hardware, make_device
from chronas.errors import DeviceError


class Fixed(Runner):
    """A runner that answers what it was given."""

    def __init__(self, answer: float) -> None:
        self.answer = answer

    def _round(self, index: int, warmup: int, repeats: int) -> list[float]:
        return [1.0, self.answer]

    def close(self) -> None:
        pass


@pytest.mark.parametrize("answer", [0.0, -0.5, float("nan"), float("inf")])
def test_durations_that_cannot_be_are_refused(answer: float) -> None:
    assert Fixed(2.0).round(0, 1, 2) == [1.0, 2.0]
    with pytest.raises(DeviceError, match="more than 0 ms"):
        Fixed(answer).round(0, 1, 2)


@pytest.mark.parametrize(
    ("field", "value", "differs"),
    [
        ("hardware", "another CPU", True),
        ("runtime", "another", True),
        ("threads", 2, True),
        ("batch", 8, True),
        ("dtype", "float16", True),
        ("name", "eager-cpu", True),
        ("version", "2.3.9", False),
        ("version", "2.3.1+cpu", False),
        ("version", "2.30.1", True),
        ("os", "another", False),
        ("cores", 96, False),
        ("driver", "one that the other does not name", True),
    ],
)
def test_what_makes_another_device(field: str, value: object, differs: bool) -> None:
    here: dict[str, object] = make_device("onnxruntime-cpu").fingerprint() | {"version": "2.3.1"}
    there = here | {field: value}
    assert not device_differences(here, here)
    found = device_differences(here, there)
    assert bool(found) == differs
    if differs:
        assert found == [f"{field} is {value} there, {here.get(field, 'not given')} here"]


@pytest.mark.parametrize("name", ["onnxruntime-cpu", "eager-cpu"])
def test_more_threads_than_cores_are_refused(name: str) -> None:
    with pytest.raises(DeviceError, match="1000 threads are asked for"):
        make_device(name, CpuConfig(threads=1000))


fingerprints = st.dictionaries(
    st.sampled_from(["hardware", "runtime", "version", "threads", "batch", "dtype", "os", "cores", "more"]),
    st.integers(0, 3) | st.sampled_from(["1.2.3", "1.2.4", "1.3.0", "2"]),
)


@given(here=fingerprints, there=fingerprints)
def test_being_another_device_is_mutual_and_named_field_by_field(
    here: dict[str, object], there: dict[str, object]
) -> None:
    found, back = device_differences(here, there), device_differences(there, here)
    assert [text.split(" is ")[0] for text in found] == [text.split(" is ")[0] for text in back]
    named = [text.split(" is ")[0] for text in found]
    for key in here.keys() | there.keys():
        plainly = here.get(key) != there.get(key)
        assert not (key in named and not plainly)
        if plainly and key not in ("os", "cores", "version"):
            assert key in named
    assert not {"os", "cores"} & set(named)
    assert device_differences(here | {"name": "one"}, there | {"name": "other"})


@given(fingerprint=fingerprints, patch=st.integers(0, 99))
def test_a_patch_release_is_the_same_device(fingerprint: dict[str, object], patch: int) -> None:
    released = fingerprint | {"version": f"1.20.{patch}"}
    assert not device_differences(released, fingerprint | {"version": "1.20.7+local"})
    assert device_differences(released, fingerprint | {"version": "1.21.0"})


@given(samples=st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=5), at=st.integers(0, 4), bad=st.floats(max_value=0))
def test_one_impossible_duration_spoils_a_round_wherever_it_stands(samples: list[float], at: int, bad: float) -> None:
    class Given(Fixed):
        def _round(self, index: int, warmup: int, repeats: int) -> list[float]:
            return spoilt

    spoilt = list(samples)
    assert Given(1.0).round(0, 1, len(samples)) == samples
    spoilt[at % len(samples)] = bad
    with pytest.raises(DeviceError, match="more than 0 ms"):
        Given(1.0).round(0, 1, len(samples))


def test_bfloat16_is_refused_on_a_cpu_without_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cpuinfo").write_text("model name : Old CPU\nflags : avx2\n")
    monkeypatch.setattr(hardware, "CPUINFO", tmp_path / "cpuinfo")
    with pytest.raises(DeviceError, match="bfloat16 needs a CPU with one of avx512_bf16"):
        make_device("eager-cpu", CpuConfig(dtype="bfloat16"))
    assert make_device("eager-cpu").fingerprint()["dtype"] == "float32"


def test_a_device_that_says_nothing_of_dtypes_computes_in_float32_alone() -> None:
    class Board(Device):
        name = "board"
        Config = CpuConfig
        prunes_dead_nodes = False
        hardware = "board"
        unavailable = classmethod(lambda cls: None)
        fingerprint = _prepare = None

    assert Board(CpuConfig()).config == CpuConfig(dtype="float32")
    with pytest.raises(DeviceError, match="device board computes in float32, not in int8"):
        Board(CpuConfig(dtype="int8"))
