"""Fixtures that all tests share."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from chronas.runs import Run, execute
from tiny_run import tiny_config

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def shared_data() -> Path:
    """The folder of real tables and images beside the checkout."""
    if not SHARED.is_dir():
        pytest.skip("no ../shared/data beside this checkout")
    return SHARED


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run with all comparisons; tests must not change it."""
    run = Run.create(tmp_path_factory.mktemp("runs") / "tiny", tiny_config(), command="chronas run --out tiny")
    execute(run)
    return run


@pytest.fixture
def copied(finished: Run, tmp_path: Path) -> Run:
    """A copy of the finished run, to change at will."""
    shutil.copytree(finished.folder, tmp_path / "copy")
    return Run.open(tmp_path / "copy")
