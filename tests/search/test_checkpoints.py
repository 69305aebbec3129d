"""Everything that a search changes is in its checkpoint; a new search that loads it is in the same state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.optim import Optimizer

from chronas.errors import DataError
from chronas.networks import load_state, save_state
from chronas.search import Objective, Task
from chronas.search.gradient import checkpoints
from chronas.search.gradient.loop import BilevelConfig, BilevelLoop

MakeTask = Callable[..., Task]
IDENTITY = {"searcher": "a test"}
CONFIG = BilevelConfig(epochs=3, width=4, depth=1, edge_normalisation=True, learning_rate=0.1, crop_padding=1)


def a_descent(task: Task) -> BilevelLoop:
    return BilevelLoop(task, CONFIG, Objective(task.objective, task.costs))


def after_steps(task: Task, steps: int) -> BilevelLoop:
    loop = a_descent(task)
    loop.begin_epoch()
    for _ in range(steps):
        loop.step()
    return loop


def flat(optimiser: Optimizer) -> dict[str, Tensor]:
    state = optimiser.state_dict()["state"]
    return {
        f"{number}.{name}": value
        for number, entry in state.items()
        for name, value in entry.items()
        if value is not None
    }


def state_of(loop: BilevelLoop) -> tuple[dict[str, Tensor], dict[str, Any]]:
    tensors = {f"weight.{name}": value for name, value in loop.supernet.state_dict().items()}
    tensors |= {f"alphas.{number}": value.detach() for number, value in enumerate(loop.alphas)}
    tensors |= {f"sgd.{name}": value for name, value in flat(loop.weights_optimiser).items()}
    tensors |= {f"adam.{name}": value for name, value in flat(loop.alphas_optimiser).items()}
    tensors["generator"] = loop.generator.get_state()
    plain = {
        "train": loop.train.state(),
        "validation": loop.validation.state(),
        "multipliers": loop.objective.multipliers,
        "history": loop.history,
    }
    return tensors, plain


@pytest.fixture
def task(make_task: MakeTask) -> Task:
    return make_task("darts", weight=1.0, limit_ms=3.0)


def test_a_restored_search_is_in_the_same_state_and_takes_the_same_steps(task: Task) -> None:
    before = after_steps(task, 3)
    before.end_epoch()
    checkpoints.save(before, task.folder, IDENTITY)
    restored = a_descent(task)
    assert not torch.equal(restored.alphas[0], before.alphas[0])
    checkpoints.restore(restored, task.folder, IDENTITY)
    for _ in range(2):
        (tensors, plain), (wanted, wanted_plain) = state_of(restored), state_of(before)
        assert plain == wanted_plain
        assert plain["multipliers"]["latency_ms"] > 0
        assert tensors.keys() == wanted.keys()
        assert any(name.startswith("sgd") for name in tensors)
        assert any(name.startswith("adam") for name in tensors)
        different = [name for name in wanted if not torch.equal(tensors[name], wanted[name])]
        assert not different
        for loop in (before, restored):
            loop.begin_epoch()
            loop.step()


def test_what_an_optimiser_keeps_belongs_to_the_same_parameter_again(task: Task) -> None:
    before = after_steps(task, 2)
    checkpoints.save(before, task.folder, IDENTITY)
    restored = a_descent(task)
    checkpoints.restore(restored, task.folder, IDENTITY)
    for old, new in zip(before.weights, restored.weights, strict=True):
        buffers = [d.weights_optimiser.state[w]["momentum_buffer"] for d, w in ((before, old), (restored, new))]
        assert torch.equal(*buffers)
        assert buffers[1].shape == new.shape
    assert restored.weights_optimiser.param_groups[0]["momentum"] == CONFIG.momentum


def test_nothing_is_restored_where_there_is_nothing(task: Task) -> None:
    loop, fresh = a_descent(task), a_descent(task)
    checkpoints.restore(loop, task.folder, IDENTITY)
    assert torch.equal(loop.alphas[0], fresh.alphas[0])
    assert loop.history == []


def test_a_full_disk_leaves_the_checkpoint_before(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    loop = after_steps(task, 1)
    checkpoints.save(loop, task.folder, IDENTITY)
    content = (task.folder / checkpoints.FILE).read_bytes()
    loop.step()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(DataError, match="No space left"):
        checkpoints.save(loop, task.folder, IDENTITY)
    assert (task.folder / checkpoints.FILE).read_bytes() == content
    assert [path.name for path in task.folder.iterdir()] == [checkpoints.FILE]


@pytest.mark.parametrize("lost", ["generator", "alphas.1", "supernet.classifier.weight"])
def test_a_checkpoint_that_lacks_a_part_is_refused(task: Task, lost: str) -> None:
    checkpoints.save(after_steps(task, 1), task.folder, IDENTITY)
    path = task.folder / checkpoints.FILE
    tensors, content = load_state(path)
    save_state(path, {name: value for name, value in tensors.items() if name != lost}, content)
    with pytest.raises(DataError, match="another version of chronas"):
        checkpoints.restore(a_descent(task), task.folder, IDENTITY)
