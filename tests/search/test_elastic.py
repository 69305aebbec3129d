"""A nested supernet learns, gives its weights to networks, and goes on after a kill with the same bits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from chronas.data import load_dataset
from chronas.errors import MismatchError, UsageError
from chronas.networks import build
from chronas.search import SearchImages, Task, make_searcher
from chronas.search.blackbox.elastic import ElasticConfig, NestedSupernet
from chronas.spaces import NetworkSize, make_space
from chronas.training import evaluate, recalibrate

SPACE = make_space("mobilenetv3-plain")
SIZE = NetworkSize(input_shape=(1, 8, 8), outputs=10, width=8, depth=1)
PLAIN = {"crop_scale": 1.0, "rotation": 0.0, "color_jitter": 0.0, "flip": False, "batch": 32, "random_networks": 1}


def a_task(folder: Path, count: int = 96) -> Task:
    images = SearchImages.of(load_dataset("digits").train, 0.3, 0)
    train = images.train.subset(torch.arange(min(count, len(images.train))))
    return Task(SPACE, SIZE, folder, images=replace(images, train=train))


@pytest.fixture(scope="module")
def learnt(tmp_path_factory: pytest.TempPathFactory) -> NestedSupernet:
    """A supernet that has learnt some of the digits."""
    torch.set_num_threads(1)
    config = ElasticConfig(epochs=8, learning_rate=5e-3, ema=0.5, label_smoothing=0.0, **PLAIN)
    supernet = NestedSupernet(a_task(tmp_path_factory.mktemp("learnt"), 320), config)
    supernet.prepare()
    return supernet


def test_both_ends_and_what_lies_between_learn(learnt: NestedSupernet) -> None:
    between = SPACE.sample(3, seed=1)
    scores = learnt.evaluate([learnt.supernet.smallest, learnt.supernet.largest, *between])
    assert all(score.accuracy > 45 for score in scores[:2])  # guessing is right in 10 %
    assert sum(score.accuracy for score in scores[2:]) > 3 * 15
    assert all(score.validation_loss is not None for score in scores)


def test_a_network_with_its_weights_and_new_statistics_is_as_good(learnt: NestedSupernet) -> None:
    images = a_task(Path()).needed_images()
    for architecture in (learnt.supernet.largest, *SPACE.sample(2, seed=2)):
        network = build(architecture, SIZE)
        network.load_state_dict(learnt.weights(architecture))
        before = {name: value.clone() for name, value in network.named_parameters()}
        recalibrate(network, images.train, images.normalisation)
        assert all(torch.equal(value, before[name]) for name, value in network.named_parameters())
        alone = evaluate(network, images.validation, images.normalisation)
        assert alone == pytest.approx(learnt.score([architecture])[0], abs=8.0)


class Killed(Exception):
    """Ends a training as a kill does."""


def test_a_killed_training_ends_with_the_same_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chronas.search.blackbox.elastic.SAVE_EVERY_S", 0.0)
    config = ElasticConfig(epochs=3, **PLAIN)
    whole = NestedSupernet(a_task(tmp_path / "whole"), config)
    whole.prepare()
    steps = whole.preparation // 3

    def killed(done: int, note: str) -> None:  # noqa: ARG001 - the signature of `Steps`
        if done == 2 * steps + 1:
            raise Killed

    with pytest.raises(Killed):
        NestedSupernet(a_task(tmp_path / "killed"), config).prepare(killed)
    again = NestedSupernet(a_task(tmp_path / "killed"), config)
    again.prepare()
    assert again.history == whole.history
    for name, value in whole.mean.state_dict().items():
        assert torch.equal(value, again.mean.state_dict()[name])


def test_minutes_become_epochs_once(tmp_path: Path) -> None:
    config = ElasticConfig(minutes=0.002, **PLAIN)
    first = NestedSupernet(a_task(tmp_path), config)
    first.prepare()
    assert 1 <= len(first.history) < config.epochs
    again = NestedSupernet(a_task(tmp_path), config)
    again.prepare()
    assert again.history == first.history


def test_another_supernet_in_the_folder_is_refused(tmp_path: Path) -> None:
    config = ElasticConfig(epochs=1, **PLAIN)
    NestedSupernet(a_task(tmp_path), config).prepare()
    with pytest.raises(MismatchError, match="epochs = 1, but 2"):
        NestedSupernet(a_task(tmp_path), config.model_copy(update={"epochs": 2})).prepare()


def test_a_space_without_nested_weights_is_refused(tmp_path: Path) -> None:
    size = NetworkSize(input_shape=(1, 8, 8), outputs=10, width=4, depth=1)
    task = replace(a_task(tmp_path), space=make_space("nasbench201"), size=size)
    with pytest.raises(UsageError, match="needs nested weights, which space nasbench201 has not"):
        make_searcher("elastic").search(task)
