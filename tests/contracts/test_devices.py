"""One suite over every device: those of this machine are run, the others must say clearly why not."""

from __future__ import annotations

import getpass
import json
import socket

import pytest
from pydantic import BaseModel

from chronas.devices import DEVICES, Device, device_class, make_device
from chronas.errors import DataError, DeviceError, UsageError
from chronas.networks import build, save_state
from chronas.spaces import SPACES, NetworkSize, make_space

SIZE = NetworkSize(input_shape=(3, 16, 16), outputs=7, width=4, depth=3)
FIELDS = {"name", "hardware", "cores", "os", "runtime", "version", "threads", "batch", "dtype"}


@pytest.fixture(params=DEVICES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def device(name: str) -> Device:
    if device_class(name).unavailable() is not None:
        pytest.skip(f"{name} is not on this machine")
    return make_device(name)


def test_a_device_is_there_or_says_why_not_in_one_line(name: str) -> None:
    found = device_class(name)
    assert found.name == name
    reason = found.unavailable()
    if reason is None:
        assert make_device(name).config == found.Config()
        return
    assert "\n" not in reason and len(reason) > 20
    with pytest.raises(DeviceError, match=f"device {name} is not available"):
        make_device(name)


def test_every_setting_is_described_and_unknown_ones_are_refused(name: str) -> None:
    config = device_class(name).Config
    assert all(field.description and field.default is not None for field in config.model_fields.values())
    assert config.model_config["frozen"] and config.model_config["extra"] == "forbid"


def test_another_devices_config_is_refused(name: str) -> None:
    class Other(BaseModel):
        pass

    with pytest.raises(UsageError, match=f"device {name} takes a"):
        make_device(name, Other())


def test_a_fingerprint_says_what_but_not_whose(device: Device) -> None:
    fingerprint = device.fingerprint()
    assert fingerprint.keys() >= FIELDS
    assert fingerprint["name"] == device.name
    assert json.loads(json.dumps(fingerprint)) == fingerprint == device.fingerprint()
    words = {word for value in fingerprint.values() for word in str(value).lower().replace(",", " ").split()}
    assert not words & {socket.gethostname().lower(), getpass.getuser().lower()}
    assert device.hardware


@pytest.mark.parametrize("space", SPACES)
def test_a_prepared_network_gives_a_duration_for_each_repeat(device: Device, space: str) -> None:
    before_s = device.now_s()
    runner = device.prepare(make_space(space).sample(1, seed=3)[0], SIZE)
    assert runner.input_shape == (1, 3, 16, 16)
    samples_ms = runner.round(0, warmup=1, repeats=4)
    runner.close()
    assert len(samples_ms) == 4 and min(samples_ms) > 0
    assert device.now_s() - before_s >= sum(samples_ms) / 1000 * 0.99


def test_a_round_without_warmup_or_repeats_is_refused(device: Device) -> None:
    runner = device.prepare(make_space("nasbench201").sample(1, seed=3)[0], SIZE)
    for warmup, repeats in ((0, 3), (3, 0)):
        with pytest.raises(UsageError, match="at least one warm-up and one timed run"):
            runner.round(0, warmup, repeats)


def test_an_unknown_device_is_refused_with_the_nearest_names() -> None:
    with pytest.raises(UsageError, match="did you mean onnxruntime-cpu"):
        make_device("onnxruntime")


@pytest.fixture(params=["onnxruntime-cpu", "eager-cpu"])
def real(request: pytest.FixtureRequest) -> Device:
    return make_device(str(request.param))


def test_the_weights_of_a_file_are_what_runs(real: Device, tmp_path) -> None:
    architecture = make_space("darts").sample(1, seed=0)[0]
    tensors = build(architecture, SIZE, seed=1).state_dict()
    save_state(tmp_path / "sound.safetensors", tensors, {})
    assert real.prepare(architecture, SIZE, weights=tmp_path / "sound.safetensors").round(0, 1, 1)
    broken = {key: tensor * float("nan") if tensor.is_floating_point() else tensor for key, tensor in tensors.items()}
    save_state(tmp_path / "broken.safetensors", broken, {})
    runner = real.prepare(architecture, SIZE, weights=tmp_path / "broken.safetensors")
    with pytest.raises(DeviceError, match="not finite"):
        runner.round(0, 1, 1)


def test_the_weights_of_another_network_are_refused(real: Device, tmp_path) -> None:
    one, other = make_space("darts").sample(2, seed=0)
    save_state(tmp_path / "other.safetensors", build(other, SIZE).state_dict(), {})
    with pytest.raises(DataError, match="weights of another network"):
        real.prepare(one, SIZE, weights=tmp_path / "other.safetensors")
