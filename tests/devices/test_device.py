from __future__ import annotations

import pytest

from chronas.devices import CpuConfig, Runner, device_differences, make_device
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
