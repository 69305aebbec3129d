"""DrNAS: the draws and their slopes are those of the Dirichlet, stages prune and widen as they say, and all resumes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from scipy.special import digamma, gammaln
from torch import Tensor

from chronas.errors import UsageError
from chronas.search import Objective, Task, candidates, make_searcher
from chronas.search.drnas import PRUNED, DrNASConfig, DrNASDescent

MakeTask = Callable[..., Task]
SMALL = DrNASConfig(
    epochs=4,
    width=8,
    depth=1,
    warmup_epochs=0,
    learning_rate=0.05,
    logits_learning_rate=0.1,
    crop_padding=1,
    flip=False,
)


def a_descent(task: Task, **settings: Any) -> DrNASDescent:
    config = DrNASConfig.model_validate({**SMALL.model_dump(), **settings})
    return DrNASDescent(task, config, Objective(task.objective, task.costs))


def one_epoch(descent: DrNASDescent) -> None:
    descent.begin_epoch()
    descent.step()
    descent.end_epoch()


def spread(descent: DrNASDescent, seed: int = 0) -> Tensor:
    """Give a descent logits between about -2 and 2."""
    values = torch.randn(descent.logits[0].shape, generator=torch.Generator().manual_seed(seed))
    descent.logits[0].data.copy_(values)
    return values


def mean_of(logits: Tensor) -> Tensor:
    """The mean of the Dirichlet, as the paper has it."""
    concentration = torch.nn.functional.elu(logits) + 1
    return concentration / concentration.sum(dim=1, keepdim=True)


def test_the_relaxation_is_the_mean_of_the_dirichlet(make_task: MakeTask) -> None:
    descent = a_descent(make_task("nasbench201"))
    logits = spread(descent)
    torch.testing.assert_close(descent.relaxation().operation_weights().detach(), mean_of(logits))
    chosen = [decision.index(max(decision)) for decision in logits.tolist()]
    assert list(descent.relaxation().mode().choices) == chosen


def test_draws_and_their_slopes_have_the_mean_of_the_dirichlet(make_task: MakeTask) -> None:
    """Slopes of a linear function of the draws, against finite differences of the function of the mean."""
    descent = a_descent(make_task("nasbench201"))
    logits = spread(descent, seed=1)
    value = torch.arange(5.0).square()
    draws, slopes = [], []
    for _ in range(1500):
        descent.draw()
        weights = descent.mixture().operations
        draws.append(weights.detach())
        slopes.append(torch.autograd.grad((weights @ value).sum(), descent.logits[0])[0])
    step = 1e-4
    wanted = torch.zeros_like(logits)
    for column in range(5):
        change = torch.zeros(5, dtype=torch.float64)
        change[column] = step
        above, below = (mean_of(logits.double() + sign * change) @ value.double() for sign in (1, -1))
        wanted[:, column] = ((above - below) / (2 * step)).float()
    for found, expected in ((torch.stack(draws), mean_of(logits)), (torch.stack(slopes), wanted)):
        deviation = (found.mean(0) - expected).abs() / (found.std(0) / len(found) ** 0.5)
        assert float(deviation.max()) < 4.5
    assert float(wanted.abs().max()) > 0.5


def test_concentrations_near_zero_leave_draws_and_slopes_finite(make_task: MakeTask) -> None:
    descent = a_descent(make_task("nasbench201"))
    descent.logits[0].data.fill_(-90.0)
    descent.logits[0].data[0, 2] = 80.0
    descent.draw()
    weights = descent.mixture().operations
    torch.testing.assert_close(weights.detach().sum(dim=1), torch.ones(6))
    assert float(weights.detach()[1:].max(dim=1).values.min()) > 0.5, (
        "concentrations that underflow come out as 1 / K each"
    )
    loss = (weights @ torch.arange(5.0)).sum() - descent.relaxation().entropy()
    assert bool(torch.autograd.grad(loss, descent.logits[0])[0].isfinite().all())


def test_later_stages_keep_the_strongest_operations_and_widen(make_task: MakeTask) -> None:
    descent = a_descent(make_task("nasbench201"), later_partial_channels=(2, 1), later_operations=(4, 2), epochs=6)
    channels, kept = [], []
    for _ in range(6):
        logits = descent.logits[0].detach().clone()
        before = descent.state["kept"]
        one_epoch(descent)
        channels.append(descent.supernet.blocks[0].partial_channels)
        kept.append(descent.state["kept"].shape[1])
        for edge, row in enumerate(descent.state["kept"].tolist()):
            ranked = sorted(before[edge].tolist(), key=lambda o: -float(logits[edge, o]))  # noqa: B023
            assert row == sorted(ranked[: len(row)])
        descent.draw()
        weights = descent.mixture().operations
        assert bool((weights.ne(0).sum(dim=1) == kept[-1]).all())
    assert channels == [4, 4, 2, 2, 1, 1]
    assert kept == [5, 5, 4, 4, 2, 2]


def test_a_wider_supernet_takes_over_weights_and_momentum(make_task: MakeTask) -> None:
    descent = a_descent(make_task("nasbench201"), epochs=2)
    one_epoch(descent)
    narrow = [
        (weight.detach().clone(), descent.weights_optimiser.state[weight]["momentum_buffer"].clone())
        for weight in descent.weights
    ]
    descent.begin_epoch()
    widths = set()
    for (old, old_momentum), new in zip(narrow, descent.weights, strict=True):
        momentum = descent.weights_optimiser.state[new]["momentum_buffer"]
        inside = tuple(slice(0, size) for size in old.shape)
        assert torch.equal(new[inside], old)
        assert torch.equal(momentum[inside], old_momentum)
        widths.add(new.shape[0] // old.shape[0])
    assert widths == {1, 2}
    assert descent.weights_optimiser.param_groups[0]["lr"] < SMALL.learning_rate, "the cosine goes on"
    descent.step()


def test_a_wider_supernet_without_momentum_has_none_to_take_over(make_task: MakeTask) -> None:
    descent = a_descent(make_task("nasbench201"), epochs=2, momentum=0.0)
    one_epoch(descent)
    descent.begin_epoch()
    descent.step()
    assert len(descent.state["kept"][0]) < 5


def test_logits_stay_in_the_first_epochs_of_each_stage(make_task: MakeTask) -> None:
    descent = a_descent(make_task("nasbench201"), warmup_epochs=1)
    moved = []
    for _ in range(4):
        before = descent.logits[0].detach().clone()
        one_epoch(descent)
        moved.append(not torch.equal(descent.logits[0], before))
    assert moved == [False, True, False, True]


def test_what_was_pruned_is_derived_only_where_a_limit_leaves_nothing_else(make_task: MakeTask) -> None:
    task = make_task("nasbench201")
    descent = a_descent(task)
    everything = torch.from_numpy(task.space.encode(list(task.space.every())))
    costs = task.costs["latency_ms"].predict(everything)
    slots = torch.linalg.lstsq(everything, costs[:, None]).solution[:, 0].reshape(6, 5)
    descent.logits[0].data.copy_(slots)
    descent.history.extend({} for _ in range(2))
    descent._prune(2)
    relaxation = descent.relaxation()
    dear = {tuple(row) for row in slots.topk(2, dim=1).indices.sort(dim=1).values.tolist()}
    assert {tuple(row) for row in descent.state["kept"].tolist()} <= dear
    first = next(candidates(relaxation, task.costs, {}))
    assert first.log_probability > -10
    limits = {"latency_ms": 1.01 * float(costs.min())}
    tight = next(candidates(relaxation, task.costs, limits))
    assert tight.excess(limits) == 0
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
    descent = a_descent(make_task("nasbench201"), regulariser="kl", logits_weight_decay=0.5)
    assert descent.logits_optimiser.param_groups[0]["weight_decay"] == 0.0
    logits = spread(descent).double()
    batch = next(descent.validation)
    descent.draw()
    found = float((descent.logits_loss(batch) - descent.loss(batch, descent.mixture())).detach())
    a = (torch.nn.functional.elu(logits) + 1).numpy()
    total = a.sum(1)
    divergence = gammaln(total) - gammaln(5) - gammaln(a).sum(1)
    divergence += ((a - 1) * (digamma(a) - digamma(total)[:, None])).sum(1)
    assert found == pytest.approx(0.5 * float(divergence.sum()), rel=1e-4)
    squares = a_descent(make_task("nasbench201"))
    assert squares.logits_optimiser.param_groups[0]["weight_decay"] == SMALL.logits_weight_decay


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        pytest.param({"later_operations": ()}, "got 1 and 0: give as many", id="unequal"),
        pytest.param({"later_partial_channels": (8,)}, "partial channels only fall .* got 4, 8", id="narrower"),
        pytest.param(
            {"later_partial_channels": (2, 1), "later_operations": (2, 3)}, "operations only fall .* 2, 3", id="more"
        ),
        pytest.param({"warmup_epochs": 50}, "50 epochs a stage leaves the logits none of 50", id="warm-up"),
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
    descent = a_descent(make_task("nasbench201"), **settings)
    one_epoch(descent)
    one_epoch(descent)
    assert descent.state["kept"].shape == (6, 5)


def test_the_authors_settings_are_the_defaults() -> None:
    """201-space/train_search_progressive.py of xiangning-chen/DrNAS."""
    config = DrNASConfig()
    assert (config.epochs, config.batch, config.width, config.depth, config.warmup_epochs) == (100, 64, 16, 5, 10)
    assert (config.partial_channels, config.later_partial_channels, config.later_operations) == (4, (2,), (3,))
    assert (config.learning_rate, config.final_learning_rate, config.logits_learning_rate) == (0.025, 0.001, 3e-4)
    assert (config.regulariser, config.logits_weight_decay) == ("l2", 1e-3)
