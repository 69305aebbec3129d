"""Compiled networks are really compiled, with nothing left behind, and a missing or broken compiler is told of."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import psutil
import pytest
import torch
from torch import nn

from chronas.devices import CpuConfig, Device, device_class, make_device
from chronas.errors import DeviceError
from chronas.spaces import NetworkSize, make_space

SIZE = NetworkSize(input_shape=(3, 8, 8), outputs=5, width=4, depth=1)


def test_without_a_compiler_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(DeviceError, match=r"compiles networks by no-such-compiler, which is not here: install g\+\+"):
        make_device("compiled-cpu")


@pytest.fixture
def device() -> Device:
    if (reason := device_class("compiled-cpu").unavailable()) is not None:
        pytest.skip(reason)
    return make_device("compiled-cpu", CpuConfig(batch=2))


def test_each_network_is_compiled_and_goes_without_a_trace(
    device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`torch.compile` ran eager code from the ninth network of a process on and did not say so."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(torch._dynamo.config, "recompile_limit", 1)
    environment = dict(os.environ)
    threads, children = torch.get_num_threads(), set(psutil.Process().children())  # other tests' browsers
    runners = [device.prepare(architecture, SIZE) for architecture in make_space("nasbench201").sample(2, seed=0)]
    assert not [path for path in tmp_path.rglob("*") if path.is_file()], "what the compiler wrote is deleted"
    assert dict(os.environ) == environment
    assert set(psutil.Process().children()) <= children, "no workers"
    libraries = loaded_libraries()
    assert len(libraries) == 2
    monkeypatch.setattr(nn.Module, "__call__", eager)
    for runner in runners:
        assert min(runner.round(0, 1, 3)) > 0
        runner.close()
    assert torch.get_num_threads() == threads
    assert not any(library.exists() for library in libraries)


def eager(*_: object) -> None:
    raise AssertionError("PyTorch runs a layer")


def loaded_libraries() -> set[Path]:
    lines = Path("/proc/self/maps").read_text().splitlines()
    paths = {Path(line.split(maxsplit=5)[5]) for line in lines if "aotinductor" in line and line.endswith(".so")}
    return {path for path in paths if path.exists()}


def test_a_compiler_that_fails_is_told_of_in_one_line(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    from torch._inductor import cpp_builder

    monkeypatch.setattr(cpp_builder, "get_cpp_compiler", lambda: "false")
    with pytest.raises(DeviceError, match="the network cannot be compiled") as caught:
        device.prepare(make_space("nasbench201").sample(1, seed=0)[0], SIZE)
    assert "\n" not in str(caught.value)
