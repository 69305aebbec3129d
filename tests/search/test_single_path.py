"""Paths are dealt fairly, only their weights move, training resumes to the bit, and what was trained is found."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from chronas.data import Normalisation, every_batch
from chronas.errors import DataError, DivergedError, MismatchError, UsageError
from chronas.networks import load_state, save_state
from chronas.search import Task, make_searcher
from chronas.search.blackbox.evolution import EvolutionConfig
from chronas.search.blackbox.single_path import SinglePathConfig, SinglePathSupernet, fair_paths
from chronas.spaces import SPACES, Architecture, make_space
from chronas.supernets import discrete_weights

MakeTask = Callable[..., Task]
SMALL = SinglePathConfig(epochs=3, batch=64, width=4, depth=1, learning_rate=0.1, crop_padding=1, flip=False)


class Stopped(Exception):
    """What a test ends a training with."""


def used(paths: list[Architecture]) -> Counter[tuple[int, int]]:
    return Counter((d, o) for path in paths for d, o in enumerate(path.choices) if o is not None)


@pytest.mark.parametrize("name", ["nasbench201", "fbnet"])
def test_each_step_has_each_option_of_each_decision_once(name: str) -> None:
    space = make_space(name)
    for paths in itertools.islice(fair_paths(space, np.random.default_rng(0)), 5):
        assert used(paths) == Counter(dict.fromkeys(space.slots, 1))
    first, second = itertools.islice(fair_paths(space, np.random.default_rng(0)), 2)
    assert first != second


@pytest.mark.parametrize("name", [name for name in SPACES if not make_space(name).topology.nested])
def test_options_of_a_decision_come_up_equally_often_up_to_one(name: str) -> None:
    space = make_space(name)
    counts = used(
        [path for paths in itertools.islice(fair_paths(space, np.random.default_rng(1)), 12) for path in paths]
    )
    for d, decision in enumerate(space.decisions):
        times = [counts[d, o] for o in range(len(decision.options))]
        assert max(times) - min(times) <= 1
        assert min(times) > 0


def test_a_step_moves_the_weights_that_its_path_uses_and_no_others(make_task: MakeTask) -> None:
    """`none` everywhere but one edge: the first step must leave all operations but that one where they were."""
    task = make_task("nasbench201")
    path = task.space.parse("|none~0|+|none~0|none~1|+|nor_conv_3x3~0|none~1|none~2|")
    net = SinglePathSupernet(task, SMALL)
    for _ in range(2):  # the second with momentum there
        before = {name: value.clone() for name, value in net.supernet.state_dict().items()}
        net._step([path])
        moved = {name for name, value in net.supernet.state_dict().items() if not torch.equal(value, before[name])}
        operations = {name for name in moved if ".edges." in name}
        assert operations
        assert all(".edges.3.operations.3." in name for name in operations), operations
        assert moved - operations, "stem and head learn too"


def test_a_fair_step_is_the_sum_of_its_paths_gradients(make_task: MakeTask) -> None:
    task = make_task("nasbench201")
    config = SMALL.model_copy(update={"momentum": 0.0, "weight_decay": 0.0, "gradient_clip": 1e6})
    net = SinglePathSupernet(task, config)
    paths = next(fair_paths(task.space, np.random.default_rng(0)))
    before = [value.detach().clone() for value in net.supernet.parameters()]
    pixels, labels = next(SinglePathSupernet(task, config)._batches)
    losses = [
        torch.nn.functional.cross_entropy(net.supernet(pixels, discrete_weights(path)[0]), labels) for path in paths
    ]
    expected = torch.autograd.grad(sum(losses[1:], losses[0]), list(net.supernet.parameters()), materialize_grads=True)
    net._step(paths)
    for old, new, gradient in zip(before, net.supernet.parameters(), expected, strict=True):
        torch.testing.assert_close(new.detach(), old - config.learning_rate * gradient, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("fair", [False, True], ids=["uniform", "fair"])
def test_a_training_that_was_stopped_goes_on_bit_for_bit(make_task: MakeTask, *, fair: bool) -> None:
    config = SMALL.model_copy(update={"fair": fair, "image_stride": 2})
    straight = SinglePathSupernet(make_task("nasbench201", folder="straight"), config)
    straight.prepare()
    task = make_task("nasbench201", folder="stopped")
    for steps in (4, 8):

        def stop(done: int, note: str, steps: int = steps) -> None:  # noqa: ARG001 - as `Steps`
            if done > steps:
                raise Stopped

        with pytest.raises(Stopped):
            SinglePathSupernet(task, config).prepare(stop)
    resumed = SinglePathSupernet(task, config)
    resumed.prepare()
    assert resumed.history == straight.history
    states = [net.supernet.state_dict() for net in (resumed, straight)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_a_checkpoint_of_another_supernet_is_refused(make_task: MakeTask) -> None:
    task = make_task("nasbench201")
    SinglePathSupernet(task, SMALL).prepare()
    with pytest.raises(MismatchError, match="config.epochs = 3, but 4"):
        SinglePathSupernet(task, SMALL.model_copy(update={"epochs": 4})).prepare()
    SinglePathSupernet(make_task("nasbench201", weight=2.0), SMALL).prepare()  # what is searched for is another matter
    path = task.folder / "paths.safetensors"
    tensors, content = load_state(path)
    save_state(path, {name: value for name, value in tensors.items() if "stem" not in name}, content)
    with pytest.raises(DataError, match="another version"):
        SinglePathSupernet(task, SMALL).prepare()
    save_state(path, tensors, {})
    with pytest.raises(DataError, match="no checkpoint of a supernet of paths"):
        SinglePathSupernet(task, SMALL).prepare()


def test_scores_are_of_large_batches_of_validation_images(make_task: MakeTask) -> None:
    """With moving averages, or with the last small batch alone, they would be others."""
    task = make_task("nasbench201")
    net = SinglePathSupernet(task, SMALL)
    net.prepare()
    architecture = task.space.sample(1, seed=5)[0]
    [(pixels, labels)] = every_batch(task.images.validation, len(task.images.validation), task.images.normalisation)
    with torch.no_grad():
        right = net.supernet(pixels, discrete_weights(architecture)[0]).argmax(1) == labels
    assert net.score([architecture]) == [pytest.approx(100.0 * float(right.float().mean()))]
    assert net([architecture]) == net.score([architecture])


def test_images_are_averaged_over_squares(make_task: MakeTask) -> None:
    task = make_task("nasbench201")
    net = SinglePathSupernet(task, SMALL.model_copy(update={"image_stride": 2}))
    images = torch.arange(25.0).view(1, 1, 5, 5)
    shrunk = net._shrunk(images)
    assert shrunk.shape == (1, 1, 3, 3)
    assert shrunk[0, 0, 0].tolist() == [3.0, 5.0, 6.5]
    with pytest.raises(UsageError, match="images of 8x8 pixels have no squares of 9"):
        SinglePathSupernet(task, SMALL.model_copy(update={"image_stride": 9}))


def test_a_loss_that_is_not_finite_stops_the_training(make_task: MakeTask) -> None:
    task = make_task("nasbench201")
    task = replace(task, images=replace(task.images, normalisation=Normalisation((0.0,), (1e-42,))))
    with pytest.raises(DivergedError, match=r"train loss became nan in epoch 1: lower the learning rate \(0.1\)"):
        SinglePathSupernet(task, SMALL).prepare()


@pytest.mark.parametrize("fair", [False, True], ids=["uniform", "fair"])
def test_what_is_found_on_digits_is_better_than_most(make_task: MakeTask, *, fair: bool) -> None:
    """The supernet tells networks apart: it learns far above chance, and evolution finds one of the best by it."""
    config = EvolutionConfig(
        **SMALL.model_copy(update={"epochs": 25 if fair else 100, "fair": fair, "width": 8}).model_dump(),
        architectures=60,
        population=15,
        sample=5,
    )
    task = make_task("nasbench201")
    found = make_searcher("evolution", config).search(task)
    sampled = found.score(task.space.sample(30, seed=9))
    best = found.score([next(found.candidates({})).architecture])
    nothing = found.score([task.space.parse("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|")])
    assert sampled is not None
    assert best is not None
    assert nothing is not None
    assert best[0] > max(40.0, float(np.quantile(sampled, 0.9)))
    assert nothing[0] < 25.0
    assert best[0] == max(row["validation_accuracy"] for row in found.history)
