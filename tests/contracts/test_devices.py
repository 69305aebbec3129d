"""The contract of devices on all: those of this machine are run, the others must say clearly why not."""

from __future__ import annotations

import pytest

from chronas.devices import DEVICES, Device, device_class, make_device
from chronas.errors import DataError, DeviceError, UsageError
from chronas.networks import build, save_state
from chronas.spaces import SPACES, NetworkSize, make_space
from chronas.testing import DeviceContract

SIZE = NetworkSize(input_shape=(3, 16, 16), outputs=7, width=4, depth=3)

for name in DEVICES:
    suite = f"Test_{name}"
    built = ("nasbench201",) if name == "compiled-cpu" else SPACES  # compiling a network takes many seconds
    spaces = tuple(make_space(each) for each in built)
    globals()[suite] = type(suite, (DeviceContract,), {"device": device_class(name), "spaces": spaces})


@pytest.mark.parametrize("name", DEVICES)
def test_its_name_is_its_key(name: str) -> None:
    assert device_class(name).name == name


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
