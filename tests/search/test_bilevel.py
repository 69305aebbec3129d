"""A search resumes to the bit, keeps its limit, feels its weight, and stops clearly when it cannot go on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from chronas.data import Normalisation
from chronas.errors import DataError, DivergedError, MismatchError, UsageError
from chronas.networks import load_state, save_state
from chronas.search import Objective, ObjectiveConfig, Searcher, Task, make_searcher
from chronas.search.gradient.loop import BilevelConfig, BilevelLoop, PCDartsConfig

MakeTask = Callable[..., Task]
SMALL = BilevelConfig(
    epochs=3,
    width=4,
    depth=1,
    learning_rate=0.05,
    alphas_learning_rate=0.1,
    warmup_epochs=1,
    crop_padding=1,
    flip=False,
)


class Stopped(Exception):
    """What a test ends a search with."""


def stop_after(steps: int) -> Callable[[str, int, int, str], None]:
    def progress(step: str, done: int, total: int, note: str) -> None:
        if done > steps:
            raise Stopped

    return progress


@pytest.mark.parametrize("order", [1, 2])
def test_a_search_that_was_stopped_goes_on_bit_for_bit(make_task: MakeTask, order: int) -> None:
    searcher = make_searcher("darts", SMALL.model_copy(update={"order": order}))
    straight = searcher.search(make_task("nasbench201", folder="straight", weight=1.0, limit_ms=4.0))
    stopped = make_task("nasbench201", folder="stopped", weight=1.0, limit_ms=4.0)
    for steps in (4, 7):
        with pytest.raises(Stopped):
            searcher.search(stopped, stop_after(steps))
    resumed = searcher.search(stopped)
    again = searcher.search(stopped, stop_after(0))
    architectures = stopped.space.sample(2, seed=3)
    assert straight.history == resumed.history == again.history
    assert straight.score(architectures) == resumed.score(architectures) == again.score(architectures)
    first = [next(found.candidates({})) for found in (straight, resumed, again)]
    assert first[0] == first[1] == first[2]


def test_pc_darts_resumes_with_its_edge_logits(make_task: MakeTask) -> None:
    config = PCDartsConfig(
        **{**SMALL.model_dump(exclude={"partial_channels", "edge_normalisation"}), "width": 8, "epochs": 2}
    )
    searcher = make_searcher("pc-darts", config)
    straight = searcher.search(make_task(folder="straight"))
    stopped = make_task(folder="stopped")
    with pytest.raises(Stopped):
        searcher.search(stopped, stop_after(4))
    assert straight.history == searcher.search(stopped).history
    warm, moved = straight.history
    assert warm["validation_loss"] is None
    assert moved["validation_loss"] > 0
    assert warm["edge_alphas"] != moved["edge_alphas"]
    assert warm["alphas"] != moved["alphas"]


def test_a_checkpoint_of_another_search_is_refused(make_task: MakeTask) -> None:
    task = make_task("nasbench201")
    make_searcher("darts", SMALL).search(task)
    with pytest.raises(MismatchError, match="config.epochs = 3, but 4"):
        make_searcher("darts", SMALL.model_copy(update={"epochs": 4})).search(task)
    with pytest.raises(MismatchError, match="seed = 0, but 1"):
        make_searcher("darts", SMALL).search(replace(task, seed=1))
    with pytest.raises(MismatchError, match="objective.weights.latency_ms = 0.0, but 2.0"):
        make_searcher("darts", SMALL).search(make_task("nasbench201", weight=2.0))
    path = task.folder / "search.safetensors"
    tensors, content = load_state(path)
    save_state(path, {name: value for name, value in tensors.items() if name != "alphas.0"}, content)
    with pytest.raises(DataError, match="another version"):
        make_searcher("darts", SMALL).search(task)
    save_state(path, tensors, {})
    with pytest.raises(DataError, match="no checkpoint of a search"):
        make_searcher("darts", SMALL).search(task)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match="search.safetensors"):
        make_searcher("darts", SMALL).search(task)


def test_a_latency_weight_finds_a_cheaper_network_than_weight_zero(make_task: MakeTask) -> None:
    searcher = make_searcher("darts", SMALL.model_copy(update={"epochs": 5}))
    free, pressed = (
        searcher.search(make_task("nasbench201", folder=f"weight-{weight}", weight=weight)) for weight in (0.0, 10.0)
    )
    free_ms, pressed_ms = (next(found.candidates({})).costs["latency_ms"] for found in (free, pressed))
    assert pressed_ms < 0.8 * free_ms
    expected_ms = [row["expected_latency_ms"] for row in pressed.history]
    assert expected_ms[-1] < 0.8 * expected_ms[0]
    assert not any(key.startswith("multiplier") for row in pressed.history for key in row)


def test_a_limit_raises_the_multiplier_and_is_kept(make_task: MakeTask) -> None:
    limit_ms = 3.2
    found = make_searcher("darts", SMALL.model_copy(update={"epochs": 5})).search(
        make_task("nasbench201", limit_ms=limit_ms)
    )
    candidates = list(found.candidates({"latency_ms": limit_ms}))
    assert all(each.costs["latency_ms"] <= limit_ms for each in candidates)
    assert max(row["multiplier.latency_ms"] for row in found.history) > 0
    assert found.history[-1]["mode_latency_ms"] < found.history[0]["mode_latency_ms"]


def test_logits_stay_in_the_warm_up_and_every_step_takes_the_next_batches(make_task: MakeTask) -> None:
    seen: list[int] = []
    task = make_task("nasbench201")
    found = make_searcher("darts", SMALL).search(task, lambda step, done, total, note: seen.append(done))
    assert seen == list(range(1, 10))
    alphas = torch.tensor([row["alphas"] for row in found.history])
    assert float(alphas[0].abs().max()) < 0.01
    assert bool((alphas[1] - alphas[0]).abs().gt(0.05).any())
    assert found.history[0]["skip_connections"] == found.history[0]["mode"].count("skip_connect")


def test_learning_lowers_the_loss_and_scores_tell_networks_apart(make_task: MakeTask) -> None:
    config = SMALL.model_copy(update={"epochs": 20, "alphas_learning_rate": 0.01})
    task = make_task("nasbench201")
    found = make_searcher("darts", config).search(task)
    losses = [row["train_loss"] for row in found.history]
    assert losses[-1] < 0.5 * losses[0]
    good = task.space.parse(
        "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"
    )
    nothing = task.space.parse("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|")
    scores = found.score([good, nothing])
    assert scores is not None
    assert scores[0] > scores[1] + 10


def test_a_loss_that_is_not_finite_stops_the_search(make_task: MakeTask) -> None:
    task = make_task("nasbench201")
    task = replace(task, images=replace(task.images, normalisation=Normalisation((0.0,), (1e-42,))))
    with pytest.raises(DivergedError, match=r"train loss became nan in epoch 1: lower the learning rate \(0.05\)"):
        make_searcher("darts", SMALL).search(task)


@pytest.mark.parametrize("order", [1, 2])
def test_logits_so_far_apart_that_weights_are_zero_do_not_stop_the_search(make_task: MakeTask, order: int) -> None:
    """A weight that underflows to zero leaves its operation out; its parameters must count as having no slope."""
    task = make_task("nasbench201", weight=1.0)
    config = SMALL.model_copy(update={"order": order, "warmup_epochs": 0})
    loop = BilevelLoop(task, config, Objective(task.objective, task.costs))
    loop.alphas[0].data.mul_(1e6)
    assert bool((loop.relaxation().operation_weights() == 0).any())
    before = [weight.detach().clone() for weight in loop.weights]
    loop.begin_epoch()
    loop.step()
    assert all(bool(weight.isfinite().all()) for weight in loop.weights)
    assert any(not torch.equal(weight, old) for weight, old in zip(loop.weights, before, strict=True))


def test_a_checkpoint_knows_its_predictor_up_to_rounding(make_task: MakeTask) -> None:
    task = make_task("nasbench201", weight=1.0)
    latency = task.costs["latency_ms"]
    searcher = make_searcher("darts", SMALL.model_copy(update={"epochs": 2}))
    found = searcher.search(task)

    def known_as(predict: Callable[[Tensor], Tensor]) -> Task:
        return replace(task, costs={"latency_ms": replace(latency, predict=predict)})

    assert searcher.search(known_as(lambda codes: latency.predict(codes) * (1 + 1e-7))).history == found.history
    for other in (lambda codes: latency.predict(codes) * 1.001, lambda codes: latency.predict(codes.flip(1))):
        with pytest.raises(MismatchError, match="costs.latency_ms.mean"):
            searcher.search(known_as(other))
    with pytest.raises(MismatchError, match="costs.latency_ms"):
        searcher.search(replace(task, costs={}, objective=ObjectiveConfig()))
    with pytest.raises(MismatchError, match="costs.energy_mj"):
        searcher.search(replace(task, costs={**task.costs, "energy_mj": latency}))


def test_settings_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UsageError, match="warm-up of 15 epochs leaves none of 10 for the alphas"):
        make_searcher("pc-darts", PCDartsConfig(epochs=10))


def test_the_papers_settings_are_the_defaults() -> None:
    """Table of quark0/darts and yuhuixu1993/PC-DARTS, train_search.py."""
    darts, partial = BilevelConfig(), PCDartsConfig()
    assert (darts.epochs, darts.batch, darts.width, darts.depth, darts.order) == (50, 64, 16, 8, 1)
    assert (darts.learning_rate, darts.final_learning_rate, darts.alphas_learning_rate) == (0.025, 0.001, 3e-4)
    assert (partial.batch, partial.partial_channels, partial.warmup_epochs) == (256, 4, 15)
    assert (partial.learning_rate, partial.final_learning_rate, partial.alphas_learning_rate) == (0.1, 0.0, 6e-4)
    searchers: list[Searcher] = [make_searcher("darts"), make_searcher("pc-darts")]
    assert [searcher.Config for searcher in searchers] == [BilevelConfig, PCDartsConfig]
