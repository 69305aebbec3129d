"""Programs of ExecuTorch stay whole, and its one pool of threads is not pulled from under them."""

from __future__ import annotations

import gc
import importlib.util

import numpy as np
import pytest

from chronas.devices import CpuConfig, device_class, make_device
from chronas.devices.executorch import resize_pool
from chronas.errors import DeviceError
from chronas.spaces import Architecture, NetworkSize, make_space

SIZE = NetworkSize(input_shape=(3, 8, 8), outputs=5, width=4, depth=1)


@pytest.fixture
def architecture() -> Architecture:
    if (reason := device_class("executorch-cpu").unavailable()) is not None:
        pytest.skip(reason)
    return make_space("nasbench201").sample(1, seed=0)[0]


def test_without_its_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DeviceError, match=r"not available: .* pip install 'chronas\[executorch\]'"):
        make_device("executorch-cpu")


def test_programs_stay_whole_and_the_pool_stays_theirs(architecture: Architecture) -> None:
    resize_pool(2)  # imports ExecuTorch, without the warnings of its own code
    from executorch.extension.pybindings import portable_lib

    runners = [make_device("executorch-cpu", CpuConfig(batch=batch)).prepare(architecture, SIZE) for batch in (1, 2)]
    assert portable_lib._threadpool_get_thread_count() == 1
    gc.collect()
    logits = [runner.logits() for runner in runners]
    assert [answer.shape for answer in logits] == [(1, 5), (2, 5)]
    assert np.allclose(logits[0][0], logits[1][0], rtol=1e-4), "both have the same first image"
    with pytest.raises(DeviceError, match="one pool of threads a process, of 1 for the 2 networks that are loaded"):
        resize_pool(2)
    for runner in runners:
        runner.round(0, 1, 2)
        runner.close()
    resize_pool(2)
    assert portable_lib._threadpool_get_thread_count() == 2
