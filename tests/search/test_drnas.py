"""DrNAS: the draws and their gradients follow the Dirichlet, stages prune and widen as they say, and all resumes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from scipy.special import digamma, gammaln
from torch import Tensor

from chronas.errors import UsageError
from chronas.search import Objective, Task, candidates, make_searcher
from chronas.search.gradient.drnas import PRUNED, DrNASConfig, DrNASLoop

MakeTask = Callable[..., Task]
SMALL = DrNASConfig(
    epochs=4,
    width=8,
    depth=1,
    warmup_epochs=0,
    learning_rate=0.05,
    alphas_learning_rate=0.1,
    crop_padding=1,
    flip=False,
)


def a_descent(task: Task, **settings: Any) -> DrNASLoop:
    config = DrNASConfig.model_validate({**SMALL.model_dump(), **settings})
    return DrNASLoop(task, config, Objective(task.objective, task.costs))


def one_epoch(loop: DrNASLoop) -> None:
    loop.begin_epoch()
    loop.step()
    loop.end_epoch()


def spread(loop: DrNASLoop, seed: int = 0) -> Tensor:
    """Give a loop alphas between about -2 and 2."""
    values = torch.randn(loop.alphas[0].shape, generator=torch.Generator().manual_seed(seed))
    loop.alphas[0].data.copy_(values)
    return values


def mean_of(alphas: Tensor) -> Tensor:
    """The mean of the Dirichlet, as the paper has it."""
    concentration = torch.nn.functional.elu(alphas) + 1
    return concentration / concentration.sum(dim=1, keepdim=True)


def test_the_relaxation_is_the_mean_of_the_dirichlet(make_task: MakeTask) -> None:
    loop = a_descent(make_task("nasbench201"))
    alphas = spread(loop)
    torch.testing.assert_close(loop.relaxation().operation_weights().detach(), mean_of(alphas))
    chosen = [decision.index(max(decision)) for decision in alphas.tolist()]
    assert list(loop.relaxation().mode().choices) == chosen


def test_draws_and_their_slopes_have_the_mean_of_the_dirichlet(make_task: MakeTask) -> None:
    """Slopes of a linear function of the draws, against finite differences of the function of the mean."""
    loop = a_descent(make_task("nasbench201"))
    alphas = spread(loop, seed=1)
    value = torch.arange(5.0).square()
    draws, gradients = [], []
    for _ in range(1500):
        loop.draw()
        weights = loop.mixture().operations
        draws.append(weights.detach())
        gradients.append(torch.autograd.grad((weights @ value).sum(), loop.alphas[0])[0])
    step = 1e-4
    wanted = torch.zeros_like(alphas)
    for column in range(5):
        change = torch.zeros(5, dtype=torch.float64)
        change[column] = step
        above, below = (mean_of(alphas.double() + sign * change) @ value.double() for sign in (1, -1))
        wanted[:, column] = ((above - below) / (2 * step)).float()
    for found, expected in ((torch.stack(draws), mean_of(alphas)), (torch.stack(gradients), wanted)):
        deviation = (found.mean(0) - expected).abs() / (found.std(0) / len(found) ** 0.5)
        assert float(deviation.max()) < 4.5
    assert float(wanted.abs().max()) > 0.5


def test_concentrations_near_zero_leave_draws_and_slopes_finite(make_task: MakeTask) -> None:
    loop = a_descent(make_task("nasbench201"))
    loop.alphas[0].data.fill_(-90.0)
    loop.alphas[0].data[0, 2] = 80.0
    loop.draw()
    weights = loop.mixture().operations
    torch.testing.assert_close(weights.detach().sum(dim=1), torch.ones(6))
    assert float(weights.detach()[1:].max(dim=1).values.min()) > 0.5, (
        "concentrations that underflow come out as 1 / K each"
    )
    loss = (weights @ torch.arange(5.0)).sum() - loop.relaxation().entropy()
    assert bool(torch.autograd.grad(loss, loop.alphas[0])[0].isfinite().all())


def test_later_stages_keep_the_strongest_operations_and_widen(make_task: MakeTask) -> None:
    loop = a_descent(make_task("nasbench201"), later_partial_channels=(2, 1), later_operations=(4, 2), epochs=6)
    channels, kept = [], []
    for _ in range(6):
        alphas = loop.alphas[0].detach().clone()
        before = loop.state["kept"]
        one_epoch(loop)
        channels.append(loop.supernet.blocks[0].partial_channels)
        kept.append(loop.state["kept"].shape[1])
        for edge, row in enumerate(loop.state["kept"].tolist()):
            ranked = sorted(before[edge].tolist(), key=lambda o: -float(alphas[edge, o]))  # noqa: B023
            assert row == sorted(ranked[: len(row)])
        loop.draw()
        weights = loop.mixture().operations
        assert bool((weights.ne(0).sum(dim=1) == kept[-1]).all())
    assert channels == [4, 4, 2, 2, 1, 1]
    assert kept == [5, 5, 4, 4, 2, 2]


def test_a_wider_supernet_takes_over_weights_and_momentum(make_task: MakeTask) -> None:
    loop = a_descent(make_task("nasbench201"), epochs=2)
    one_epoch(loop)
    narrow = [
        (weight.detach().clone(), loop.weights_optimiser.state[weight]["momentum_buffer"].clone())
        for weight in loop.weights
    ]
    loop.begin_epoch()
    widths = set()
    for (old, old_momentum), new in zip(narrow, loop.weights, strict=True):
        momentum = loop.weights_optimiser.state[new]["momentum_buffer"]
        inside = tuple(slice(0, size) for size in old.shape)
        assert torch.equal(new[inside], old)
        assert torch.equal(momentum[inside], old_momentum)
        widths.add(new.shape[0] // old.shape[0])
    assert widths == {1, 2}
    assert loop.weights_optimiser.param_groups[0]["lr"] < SMALL.learning_rate, "the cosine goes on"
    loop.step()


def test_a_wider_supernet_without_momentum_has_none_to_take_over(make_task: MakeTask) -> None:
    loop = a_descent(make_task("nasbench201"), epochs=2, momentum=0.0)
    one_epoch(loop)
    loop.begin_epoch()
    loop.step()
    assert len(loop.state["kept"][0]) < 5


def test_logits_stay_in_the_first_epochs_of_each_stage(make_task: MakeTask) -> None:
    loop = a_descent(make_task("nasbench201"), warmup_epochs=1)
    moved = []
    for _ in range(4):
        before = loop.alphas[0].detach().clone()
        one_epoch(loop)
        moved.append(not torch.equal(loop.alphas[0], before))
    assert moved == [False, True, False, True]


def test_what_was_pruned_is_derived_only_where_a_limit_leaves_nothing_else(make_task: MakeTask) -> None:
    task = make_task("nasbench201")
    loop = a_descent(task)
    everything = torch.from_numpy(task.space.encode(list(task.space.every())))
    costs = task.costs["latency_ms"].predict(everything)
    slots = torch.linalg.lstsq(everything, costs[:, None]).solution[:, 0].reshape(6, 5)
    loop.alphas[0].data.copy_(slots)
    loop.history.extend({} for _ in range(2))
    loop._prune(2)
    relaxation = loop.relaxation()
    dear = {tuple(row) for row in slots.topk(2, dim=1).indices.sort(dim=1).values.tolist()}
    assert {tuple(row) for row in loop.state["kept"].tolist()} <= dear
    first = next(candidates(relaxation, task.costs, {}))
    assert first.log_probability > -10
    limits = {"latency_ms": 1.01 * float(costs.min())}
    tight = next(candidates(relaxation, task.costs, limits))
    assert tight.violation(limits) == 0
    assert tight.log_probability < PRUNED


class Stopped(Exception):
    """What a test ends a search with."""


def stop_after(steps: int) -> Callable[[str, int, int, str], None]:
    def progress(step: str, done: int, total: int, note: str) -> None:
        if done > steps:
            raise Stopped

    return progress


def test_a_search_goes_on_bit_for_bit_in_every_stage_and_between(make_task: MakeTask) -> None:
    """Each epoch has three steps, and the second stage begins after six."""
    searcher = make_searcher("drnas", SMALL)
    straight = searcher.search(make_task("nasbench201", folder="straight", weight=1.0, limit_ms=4.0))
    stopped = make_task("nasbench201", folder="stopped", weight=1.0, limit_ms=4.0)
    for steps in (4, 6, 10):
        with pytest.raises(Stopped):
            searcher.search(stopped, stop_after(steps))
    resumed, again = searcher.search(stopped), searcher.search(stopped)
    assert straight.history == resumed.history == again.history
    architectures = stopped.space.sample(2, seed=3)
    assert straight.score(architectures) == resumed.score(architectures) == again.score(architectures)


def test_the_divergence_from_the_uniform_dirichlet_takes_the_place_of_squares(make_task: MakeTask) -> None:
    loop = a_descent(make_task("nasbench201"), regulariser="kl", alphas_weight_decay=0.5)
    assert loop.alphas_optimiser.param_groups[0]["weight_decay"] == 0.0
    alphas = spread(loop).double()
    batch = next(loop.validation)
    loop.draw()
    found = float((loop.alphas_loss(batch) - loop.loss(batch, loop.mixture())).detach())
    a = (torch.nn.functional.elu(alphas) + 1).numpy()
    total = a.sum(1)
    divergence = gammaln(total) - gammaln(5) - gammaln(a).sum(1)
    divergence += ((a - 1) * (digamma(a) - digamma(total)[:, None])).sum(1)
    assert found == pytest.approx(0.5 * float(divergence.sum()), rel=1e-4)
    squares = a_descent(make_task("nasbench201"))
    assert squares.alphas_optimiser.param_groups[0]["weight_decay"] == SMALL.alphas_weight_decay


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        pytest.param({"later_operations": ()}, "got 1 and 0: give as many", id="unequal"),
        pytest.param({"later_partial_channels": (8,)}, "partial channels must fall .* got 4, 8", id="narrower"),
        pytest.param(
            {"later_partial_channels": (2, 1), "later_operations": (2, 3)}, "operations must fall .* 2, 3", id="more"
        ),
        pytest.param({"warmup_epochs": 50}, "50 epochs a stage leaves none of 50 for alphas", id="warm-up"),
    ],
)
def test_stages_that_do_not_fit_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make_searcher("drnas", DrNASConfig.model_validate(settings))


def test_more_operations_than_there_are_cannot_be_kept(make_task: MakeTask) -> None:
    with pytest.raises(UsageError, match="nasbench201 has 5 operations an edge, so no stage can keep 7"):
        a_descent(make_task("nasbench201"), later_operations=(7,))


def test_one_stage_is_a_search_without_pruning(make_task: MakeTask) -> None:
    settings = {"later_partial_channels": (), "later_operations": (), "partial_channels": 1, "epochs": 2}
    loop = a_descent(make_task("nasbench201"), **settings)
    one_epoch(loop)
    one_epoch(loop)
    assert loop.state["kept"].shape == (6, 5)


def test_the_authors_settings_are_the_defaults() -> None:
    """201-space/train_search_progressive.py of xiangning-chen/DrNAS."""
    config = DrNASConfig()
    assert (config.epochs, config.batch, config.width, config.depth, config.warmup_epochs) == (100, 64, 16, 5, 10)
    assert (config.partial_channels, config.later_partial_channels, config.later_operations) == (4, (2,), (3,))
    assert (config.learning_rate, config.final_learning_rate, config.alphas_learning_rate) == (0.025, 0.001, 3e-4)
    assert (config.regulariser, config.alphas_weight_decay) == ("l2", 1e-3)
