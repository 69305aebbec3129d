"""Fixtures that all tests share."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

os.environ.setdefault("OMP_NUM_THREADS", "1")  # of torch, here and in the processes that tests start

import pytest
import torch
from filelock import FileLock
from hypothesis import HealthCheck, settings

from chronas.devices.hardware import usable_cores
from chronas.runs import Run, execute
from tiny_run import tiny_config

if TYPE_CHECKING:
    from playwright.sync_api import Browser

settings.register_profile("busy machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy machine")
SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_xdist_auto_num_workers() -> int:
    """One more than the cores that are there for us: some tests wait for another process or a browser."""
    return usable_cores() + 1


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def unregistered() -> Iterator[None]:
    """Whatever a test registers is gone after it."""
    from chronas.api.objects import REGISTRIES

    before = {kind: set(each.registered) for kind, each in REGISTRIES.items()}
    yield
    for kind, each in REGISTRIES.items():
        for name in each.registered.keys() - before[kind]:
            each.unregister(name)


@pytest.fixture
def shared_data() -> Path:
    """The folder of real tables and images beside the checkout."""
    if not SHARED.is_dir():
        pytest.skip("no ../shared/data beside this checkout")
    return SHARED


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run with all comparisons; tests must not change it."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:  # all workers take the run of the first one that asks for it
        shared = shared.parent
    with FileLock(shared / "tiny.lock"):
        run = Run.create(shared / "runs" / "tiny", tiny_config(), command="chronas run --out tiny")
        if not (run.folder / "report.html").exists():
            execute(run)
    return run


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The system's Chromium without a window, driven by Playwright, which fetches no browser of its own."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("no chromium on this machine: install it to test the page")
    with sync_api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox", "--enable-unsafe-swiftshader"])
        yield browser
        browser.close()


@pytest.fixture
def copied(finished: Run, tmp_path: Path) -> Run:
    """A copy of the finished run, to change at will."""
    others = shutil.ignore_patterns(".*.*-*-*", "*-shm", "*-wal")  # of tests that read it beside this one
    shutil.copytree(finished.folder, tmp_path / "copy", ignore=others)
    return Run.open(tmp_path / "copy")
