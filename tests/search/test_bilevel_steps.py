"""The two steps of a bilevel search: whose images, whose gradients, in which order, with which optimisers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from chronas.search import Objective, Task
from chronas.search.gradient.loop import INITIAL_SPREAD, BilevelConfig, BilevelLoop

MakeTask = Callable[..., Task]
CONFIG = BilevelConfig(
    epochs=4, batch=64, width=4, depth=1, crop_padding=0, flip=False, learning_rate=0.1, final_learning_rate=0.02
)


def a_descent(task: Task, **settings: float) -> BilevelLoop:
    config = CONFIG.model_copy(update=settings)
    return BilevelLoop(task, config, Objective(task.objective, task.costs))


def spied(loop: BilevelLoop, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Tensor, Tensor]]:
    """What goes through the supernet: whether alphas take part in the graph, the images, the operation weights."""
    seen: list[tuple[str, Tensor, Tensor]] = []
    forward = loop.supernet.forward

    def spy(
        images: Tensor, operation_weights: Tensor, edge_weights: Tensor | None = None, *, computed: Tensor | None = None
    ) -> Tensor:
        kind = "alphas" if operation_weights.requires_grad else "weights"
        seen.append((kind, images.clone(), operation_weights.detach().clone()))
        return forward(images, operation_weights, edge_weights, computed=computed)

    monkeypatch.setattr(loop.supernet, "forward", spy)
    return seen


def is_among(images: Tensor, pixels: Tensor, loop: BilevelLoop) -> bool:
    """Whether all images of a batch are in a set of pixels [N, C, H, W]."""
    known = {tuple(row) for row in loop.task.images.normalisation(pixels).flatten(1).tolist()}
    return all(tuple(row) in known for row in images.flatten(1).tolist())


def test_logits_see_validation_images_alone_and_step_first(
    make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = a_descent(make_task("nasbench201"), alphas_learning_rate=0.1)
    seen = spied(loop, monkeypatch)
    loop.begin_epoch()
    loop.step()
    assert [kind for kind, _, _ in seen] == ["alphas", "weights"]
    assert is_among(seen[0][1], loop.task.images.validation.pixels, loop)
    assert is_among(seen[1][1], loop.task.images.train.pixels, loop)
    assert not is_among(seen[1][1], loop.task.images.validation.pixels, loop)
    moved = float((seen[1][2] - seen[0][2]).abs().max())
    assert moved > 0.005, "the weights' step must see the alphas after their step"


def test_every_image_of_both_halves_is_seen_once_an_epoch(make_task: MakeTask, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loader that starts over at each step would show the alphas their first batch again and again."""
    task = make_task("nasbench201")
    fewer = [each.subset(torch.arange(96)) for each in (task.images.train, task.images.validation)]
    task = replace(task, images=replace(task.images, train=fewer[0], validation=fewer[1]))
    loop = a_descent(task, batch=32)
    seen = spied(loop, monkeypatch)
    loop.begin_epoch()
    for _ in range(loop.train.steps_per_epoch):
        loop.step()
    for kind, images in (("alphas", task.images.validation), ("weights", task.images.train)):
        rows = torch.cat([batch for what, batch, _ in seen if what == kind]).flatten(1).tolist()
        assert sorted(rows) == sorted(task.images.normalisation(images.pixels).flatten(1).tolist())


def test_second_order_looks_at_the_training_batch_of_the_same_step(
    make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = a_descent(make_task("nasbench201"), order=2)
    seen = spied(loop, monkeypatch)
    loop.begin_epoch()
    loop.step()
    train, validation, forth, back, weights = (images for _, images, _ in seen)
    assert all(torch.equal(train, other) for other in (forth, back, weights))
    assert is_among(validation, loop.task.images.validation.pixels, loop)
    assert not torch.equal(train[:1], validation[:1])


@pytest.mark.parametrize("order", [1, 2])
def test_the_logits_step_changes_no_weight_and_leaves_no_gradient(make_task: MakeTask, order: int) -> None:
    loop = a_descent(make_task("nasbench201"), order=order)
    before = [weight.detach().clone() for weight in loop.weights]
    alphas = loop.alphas[0].detach().clone()
    loop._step_alphas(next(loop.train), next(loop.validation))
    assert all(torch.equal(weight, old) for weight, old in zip(loop.weights, before, strict=True))
    assert all(weight.grad is None for weight in loop.weights)
    assert not torch.equal(loop.alphas[0], alphas)


def test_the_weights_step_changes_no_logit(make_task: MakeTask) -> None:
    loop = a_descent(make_task("nasbench201"), edge_normalisation=True)
    before = [alphas.detach().clone() for alphas in loop.alphas]
    loop._step_weights(next(loop.train))
    assert all(torch.equal(alphas, old) for alphas, old in zip(loop.alphas, before, strict=True))
    assert not loop.alphas_optimiser.state


def test_the_first_step_of_adam_is_the_learning_rate_against_the_slope(make_task: MakeTask) -> None:
    """Adam's first step has the size of its rate whatever the slope; weight decay pulls alphas without one to zero."""
    loop = a_descent(make_task("nasbench201"), alphas_learning_rate=0.01, alphas_weight_decay=0.0)
    before = loop.alphas[0].detach().clone()
    loop._step_alphas(next(loop.train), next(loop.validation))
    step = (loop.alphas[0].detach() - before).abs()
    moved = step[step > 1e-4]
    assert len(moved) > 20
    torch.testing.assert_close(moved, torch.full_like(moved, 0.01), rtol=0.02, atol=0)
    group = loop.alphas_optimiser.param_groups[0]
    assert group["betas"] == (0.5, 0.999)


def test_the_learning_rate_falls_on_a_cosine_from_epoch_to_epoch(make_task: MakeTask) -> None:
    loop = a_descent(make_task("nasbench201"))
    rates = []
    for _ in range(CONFIG.epochs):
        loop.begin_epoch()
        rates.append(loop.weights_optimiser.param_groups[0]["lr"])
        loop.history.append({})
    expected = [0.02 + 0.08 * (1 + math.cos(math.pi * epoch / 4)) / 2 for epoch in range(4)]
    assert rates == pytest.approx(expected)


def test_gradients_of_weights_are_clipped_and_those_of_logits_are_not(
    make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = a_descent(make_task("nasbench201"), gradient_clip=1e-3, momentum=0.0, weight_decay=0.0)
    before = [weight.detach().clone() for weight in loop.weights]
    loop.begin_epoch()
    loop._step_weights(next(loop.train))
    change = torch.cat([(w - old).flatten() for w, old in zip(loop.weights, before, strict=True)])
    assert float(change.detach().norm()) == pytest.approx(0.1 * 1e-3, rel=1e-2)
    clipped: list[Sequence[Tensor]] = []
    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", lambda parameters, *_, **__: clipped.append(parameters))
    loop._step_alphas(next(loop.train), next(loop.validation))
    assert clipped == []


def test_first_logits_are_small_and_follow_the_seed(make_task: MakeTask) -> None:
    first, again, other = (a_descent(make_task(seed=seed), edge_normalisation=True) for seed in (1, 1, 2))
    for alphas in first.alphas:
        assert 0.5 * INITIAL_SPREAD < float(alphas.detach().std()) < 2 * INITIAL_SPREAD
    assert [tuple(each.shape) for each in first.alphas] == [(28, 8), (28,)]
    assert all(torch.equal(one, two) for one, two in zip(first.alphas, again.alphas, strict=True))
    assert not torch.equal(first.alphas[0], other.alphas[0])
    assert len({id(parameter) for parameter in itertools.chain(first.alphas, first.weights)}) == len(first.weights) + 2


def test_both_halves_are_shuffled_and_augmented_differently(make_task: MakeTask) -> None:
    """With the same images in both halves the batches must differ: one stream of random numbers for each."""
    task = make_task("nasbench201")
    loop = a_descent(replace(task, images=replace(task.images, validation=task.images.train)), crop_padding=1)
    assert not torch.equal(next(loop.train)[0], next(loop.validation)[0])


def test_the_latency_term_is_in_the_gradient_of_the_logits(make_task: MakeTask) -> None:
    """With a weight that drowns the images, one step must raise the share of cheap operations and lower costs."""
    loop = a_descent(make_task("nasbench201", weight=1e4), alphas_learning_rate=0.5)
    cost = loop.task.costs["latency_ms"].predict
    before = float(cost(loop.relaxation().marginals()[None]).detach()[0])
    for _ in range(3):
        loop._step_alphas(next(loop.train), next(loop.validation))
    after = float(cost(loop.relaxation().marginals()[None]).detach()[0])
    assert after < 0.9 * before
