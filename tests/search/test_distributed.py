"""Two real processes search what one does: shared weights, alphas, momentum and history to rounding."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import distributed

from chronas.errors import UsageError
from chronas.networks import load_state
from chronas.search import Task, make_searcher
from chronas.search.gradient.distributed import synced_batches
from chronas.spaces import make_space
from chronas.supernets import build_supernet
from chronas.training import ProcessGroup

SCRIPT = Path(__file__).with_name("launched_search.py")
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
NEVER = 9  # more epochs than the search has

Searches = list[tuple[str, str, dict[str, Any]]]
SEARCHES: Searches = [
    ("darts", "nasbench201", {"order": 2}),
    ("pc-darts", "darts", {"depth": 3, "warmup_epochs": 1}),
    ("gdas", "nasbench201", {}),
    ("proxyless", "nasbench201", {"warmup_epochs": 0}),
]
BEGUN = ("drnas", "nasbench201", {"warmup_epochs": 0, "later_partial_channels": [2], "later_operations": [3]})

needs_gloo = pytest.mark.skipif(
    not (distributed.is_available() and distributed.is_gloo_available()), reason="this torch has no gloo"
)


def alone(folder: Path, searches: Searches, killed_after: int = NEVER) -> None:
    default = torch.get_default_dtype()
    try:
        with suppress(SystemExit):
            runpy.run_path(str(SCRIPT))["main"](folder, searches, killed_after)
    finally:
        torch.set_default_dtype(default)


def in_two_processes(folder: Path, searches: Searches) -> None:
    script = [str(SCRIPT), str(folder), json.dumps(searches), str(NEVER)]
    subprocess.run([sys.executable, *TORCHRUN, *script], check=True, capture_output=True, text=True, timeout=1100)


def require_close(folder: Path, other: Path) -> None:
    ours, theirs = (load_state(each / "search.safetensors")[0] for each in (folder, other))
    assert ours.keys() == theirs.keys()
    for name, tensor in theirs.items():
        scale = float(tensor.double().abs().max())
        assert float((ours[name].double() - tensor.double()).abs().max()) <= 1e-9 * scale, name
    rows, other_rows = (json.loads((each / "history.json").read_text()) for each in (folder, other))
    found, wanted = flat(rows), flat(other_rows)
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        assert found[name] == (pytest.approx(value, rel=1e-9) if isinstance(value, float) else value), name


def flat(value: Any, name: str = "") -> dict[str, Any]:
    """All that is in lists and objects, by where it is."""
    if not isinstance(value, dict | list):
        return {name: value}
    parts = value.items() if isinstance(value, dict) else enumerate(value)
    return {key: each for part, inner in parts for key, each in flat(inner, f"{name}.{part}").items()}


@needs_gloo
@pytest.mark.timeout(1200)
def test_two_processes_search_what_one_does_and_go_on_with_what_one_has_begun(tmp_path: Path) -> None:
    """All under one launch, which takes longer than a search."""
    alone(tmp_path / "one", [*SEARCHES, BEGUN])
    alone(tmp_path / "two", [BEGUN], killed_after=1)
    in_two_processes(tmp_path / "two", [*SEARCHES, BEGUN])
    for searcher, *_ in [*SEARCHES, BEGUN]:
        require_close(tmp_path / "two" / searcher, tmp_path / "one" / searcher)


def test_a_searcher_that_shares_nothing_says_so(make_task: Callable[..., Task]) -> None:
    task = replace(make_task("nasbench201"), group=ProcessGroup(rank=0, size=2))
    with pytest.raises(UsageError, match=r"random cannot share its work among 2 processes: .* such as darts"):
        make_searcher("random").search(task)


def test_a_batch_of_fewer_images_than_processes_is_refused(make_task: Callable[..., Task]) -> None:
    supernet = build_supernet(make_space("nasbench201"), make_task("nasbench201").size)
    with (
        pytest.raises(UsageError, match="3 processes cannot share a batch of 2 images"),
        synced_batches(supernet, ProcessGroup(rank=0, size=3), 2),
    ):
        pass


def test_a_supernet_is_as_it_was_behind_the_block(make_task: Callable[..., Task]) -> None:
    supernet = build_supernet(make_space("darts"), make_task("darts").size)
    before, names = list(supernet.modules()), list(supernet.state_dict())
    with synced_batches(supernet, ProcessGroup(rank=0, size=2), 8):
        inside = list(supernet.modules())
        assert list(supernet.state_dict()) == names
    assert sum(one is not other for one, other in zip(before, inside, strict=True)) > 10
    assert all(one is other for one, other in zip(before, supernet.modules(), strict=True))
