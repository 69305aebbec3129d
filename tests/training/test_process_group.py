"""Two real processes train what one does: weights, momentum and history to rounding, also when they take over."""

from __future__ import annotations

import json
import math
import runpy
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from torch import distributed, nn

from chronas.networks import load_state
from chronas.training import SINGLE_PROCESS, ProcessGroup
from chronas.training.process_group import SyncBatchNorm, synced_batch_norm

SCRIPT = Path(__file__).with_name("launched_training.py")
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
NEVER = 9  # more epochs than the training has
STEPS_OF_AN_EPOCH = 4

needs_gloo = pytest.mark.skipif(
    not (distributed.is_available() and distributed.is_gloo_available()), reason="this torch has no gloo"
)


SLOW_TO_CONNECT = """
import sys, time
from pathlib import Path
from torch import distributed
from chronas.training import launched_group

connect = distributed.init_process_group

def connect_slowly(*arguments, **options):
    connect(*arguments, **options)
    if distributed.get_rank() == 0:
        time.sleep(2)
        Path(sys.argv[1], "connected").touch()

distributed.init_process_group = connect_slowly
with launched_group():
    assert Path(sys.argv[1], "connected").exists(), "the block began before all were connected"
"""


def alone(folder: Path, killed_after: int = NEVER) -> None:
    with suppress(SystemExit):
        runpy.run_path(str(SCRIPT))["main"]([folder], killed_after)


def in_two_processes(*folders: Path) -> None:
    words = [sys.executable, *TORCHRUN, str(SCRIPT), *map(str, folders)]
    subprocess.run(words, check=True, capture_output=True, text=True, timeout=580)


def require_close(folder: Path, other: Path) -> None:
    ours, theirs = (load_state(each / "last.safetensors")[0] for each in (folder, other))
    assert ours.keys() == theirs.keys()
    for name, tensor in theirs.items():
        scale = float(tensor.abs().max())  # float32 would not do: ReLUs at zero flip within a few steps
        assert tensor.dtype in {torch.float64, torch.int64}
        assert torch.allclose(ours[name], tensor, rtol=0, atol=1e-10 * scale), name
    rows, other_rows = (json.loads((each / "history.json").read_text()) for each in (folder, other))
    assert rows == [pytest.approx(row, rel=1e-10) for row in other_rows]


@needs_gloo
@pytest.mark.timeout(1200)
def test_two_processes_give_what_one_gives_from_the_start_and_from_a_checkpoint(tmp_path: Path) -> None:
    alone(tmp_path / "one")
    alone(tmp_path / "both", killed_after=1)
    in_two_processes(tmp_path / "two", tmp_path / "both")
    for name in ("two", "both"):
        require_close(tmp_path / name, tmp_path / "one")


@needs_gloo
@pytest.mark.timeout(600)
def test_two_processes_take_the_plan_of_the_first(tmp_path: Path) -> None:
    in_two_processes(tmp_path / "minutes")
    steps = json.loads((tmp_path / "minutes" / "plan.json").read_text())["steps"]
    assert len(json.loads((tmp_path / "minutes" / "history.json").read_text())) == math.ceil(steps / STEPS_OF_AN_EPOCH)


@needs_gloo
@pytest.mark.timeout(600)
def test_the_block_begins_when_all_are_connected(tmp_path: Path) -> None:
    """Otherwise one that refuses at once breaks the connecting of another, which calls that a fault."""
    script = tmp_path / "slow.py"
    script.write_text(SLOW_TO_CONNECT)
    words = [sys.executable, *TORCHRUN, str(script), str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=580, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("affine", [True, False], ids=["affine", "plain"])
@pytest.mark.parametrize("tracked", [True, False], ids=["tracked", "untracked"])
def test_our_batch_norm_is_torchs(affine: bool, tracked: bool) -> None:
    generator = torch.Generator().manual_seed(1)
    x = (3.0 + torch.randn(6, 5, 4, 3, generator=generator)).to(memory_format=torch.channels_last)
    grad = torch.randn(6, 5, 4, 3, generator=generator)
    answers = []
    for ours in (False, True):
        norm = nn.BatchNorm2d(5, affine=affine, track_running_stats=tracked)
        if affine:
            nn.init.normal_(norm.weight, generator=torch.Generator().manual_seed(2))
            nn.init.normal_(norm.bias, generator=torch.Generator().manual_seed(3))
        layer = SyncBatchNorm(norm, SINGLE_PROCESS) if ours else norm
        if isinstance(layer, SyncBatchNorm):
            layer.whole = 6
        entered = x.clone().requires_grad_()
        out = layer(entered)
        out.backward(grad)
        assert entered.grad is not None
        answers.append([out.detach(), entered.grad, *(p.grad for p in norm.parameters()), *norm.buffers()])
        assert torch.equal(layer.eval()(x), norm.eval()(x))
    for torchs, ours_ in zip(*answers, strict=True):
        torch.testing.assert_close(ours_, torchs)


def test_a_network_is_as_it_was_behind_the_block() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    inside, names = network[1], list(network.state_dict())
    with synced_batch_norm(network, ProcessGroup(rank=0, size=2)) as set_whole_batch:
        set_whole_batch(8)
        assert isinstance(network[1], SyncBatchNorm)
        assert network[1].whole == 8
        assert list(network.state_dict()) == names
        assert network[1].weight is inside.weight
    assert network[1] is inside


@pytest.mark.parametrize("size", [1, 2, 3, 7])
@pytest.mark.parametrize("count", [7, 8, 64])
def test_parts_are_all_of_a_batch_once_and_nearly_equal(size: int, count: int) -> None:
    parts = [list(range(count))[ProcessGroup(rank, size).part(count)] for rank in range(size)]
    assert sum(parts, []) == list(range(count))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
