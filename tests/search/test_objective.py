"""The latency term is cost over median, has the right sign, and the multiplier finds a limit in few steps."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from chronas.errors import DataError, UsageError
from chronas.search import Objective, ObjectiveConfig, Relaxation
from chronas.spaces import Space, make_space

SPACE = make_space("darts")


def additive(space: Space, scale: float = 1.0) -> Callable[[Tensor], Tensor]:
    slope = torch.linspace(0.1, 1.0, space.width)[
        torch.randperm(space.width, generator=torch.Generator().manual_seed(0))
    ]
    return lambda codes: scale * (codes @ slope + 1.0)


def median(cost: Callable[[Tensor], Tensor]) -> float:
    return float(cost(torch.from_numpy(SPACE.encode(SPACE.sample(200, seed=0)))).median())


def logits(seed: int = 0) -> Tensor:
    return (0.1 * torch.randn(28, 8, generator=torch.Generator().manual_seed(seed))).requires_grad_()


def test_descending_on_the_term_makes_networks_cheaper() -> None:
    cost, parameters = additive(SPACE), logits()
    objective = Objective(ObjectiveConfig(weight=1.0), cost, median(cost))
    before = objective.expected_ms(Relaxation(SPACE, parameters), torch.Generator().manual_seed(0))
    slope = torch.autograd.grad(
        objective.term(Relaxation(SPACE, parameters), torch.Generator().manual_seed(0)), parameters
    )[0]
    assert float(slope.abs().max()) > 0
    after = objective.expected_ms(
        Relaxation(SPACE, parameters.detach() - slope.sign()), torch.Generator().manual_seed(0)
    )
    assert before is not None
    assert after is not None
    assert after < 0.9 * before


def test_one_weight_means_the_same_in_milliseconds_and_in_microseconds() -> None:
    parameters = logits()
    slopes = []
    for scale in (1.0, 1000.0):
        cost = additive(SPACE, scale)
        objective = Objective(ObjectiveConfig(weight=0.5), cost, median(cost))
        term = objective.term(Relaxation(SPACE, parameters), torch.Generator().manual_seed(0))
        slopes.append(torch.autograd.grad(term, parameters)[0])
    torch.testing.assert_close(slopes[0], slopes[1])


def test_weight_scales_the_term_and_adds_to_a_limits() -> None:
    cost = additive(SPACE)
    relaxation = Relaxation(SPACE, logits())
    limit_ms = 0.8 * median(cost)

    def term(weight: float, limit_ms: float | None) -> float:
        objective = Objective(ObjectiveConfig(weight=weight, limit_ms=limit_ms), cost, median(cost))
        return float(objective.term(relaxation, torch.Generator().manual_seed(0)).detach())

    assert term(2.0, None) == pytest.approx(2 * term(1.0, None))
    assert term(1.0, limit_ms) == pytest.approx(term(1.0, None) + term(0.0, limit_ms))


def test_without_a_limit_there_is_no_multiplier_and_without_either_no_term() -> None:
    cost = additive(SPACE)
    objective = Objective(ObjectiveConfig(), cost, 1.0)
    assert not objective.active
    objective.ascend(Relaxation(SPACE, logits()))
    assert objective.multiplier == 0.0
    assert Objective(ObjectiveConfig(), None, None).expected_ms(Relaxation(SPACE, logits()), torch.Generator()) is None


@pytest.mark.parametrize("share", [0.7, 0.9])
def test_the_multiplier_meets_a_limit_in_few_steps_against_a_task_that_likes_slow_networks(share: float) -> None:
    """The task's loss falls with cost; the mode must come to the limit and stay about there."""
    cost = additive(SPACE)
    limit_ms = share * median(cost)
    objective = Objective(ObjectiveConfig(limit_ms=limit_ms), cost, None)
    generator, parameters = torch.Generator().manual_seed(0), logits()
    optimiser = torch.optim.Adam([parameters], 0.03, betas=(0.5, 0.999))
    modes_ms = []
    for _ in range(300):
        relaxation = Relaxation(SPACE, parameters)
        task_loss = -0.05 * cost(relaxation.marginals()[None])[0] / median(cost)
        optimiser.zero_grad()
        (task_loss + objective.term(relaxation, generator)).backward()
        optimiser.step()
        objective.ascend(Relaxation(SPACE, parameters.detach()))
        assert objective.multiplier >= 0.0
        modes_ms.append(objective.mode_ms(Relaxation(SPACE, parameters.detach())))
    late = torch.tensor(modes_ms[100:])
    assert float((late - limit_ms).abs().max()) <= 0.12 * limit_ms
    assert min(modes_ms[-20:]) <= limit_ms


def test_a_limit_that_holds_anyway_leaves_the_multiplier_at_zero() -> None:
    cost = additive(SPACE)
    objective = Objective(ObjectiveConfig(limit_ms=10 * median(cost)), cost, None)
    for _ in range(5):
        objective.ascend(Relaxation(SPACE, logits()))
    assert objective.multiplier == 0.0
    term = objective.term(Relaxation(SPACE, parameters := logits()), torch.Generator())
    assert not torch.autograd.grad(term, parameters)[0].any()


def test_what_cannot_be_computed_is_refused() -> None:
    with pytest.raises(UsageError, match="needs a fitted predictor"):
        Objective(ObjectiveConfig(limit_ms=3.0), None, 1.0)
    with pytest.raises(UsageError, match="median"):
        Objective(ObjectiveConfig(weight=1.0), additive(SPACE), None)
    with pytest.raises(UsageError, match="median"):
        Objective(ObjectiveConfig(weight=1.0), additive(SPACE), float("nan"))
    for wrong in ({"weight": -1.0}, {"weight": float("nan")}, {"limit_ms": 0.0}, {"samples": 0}, {"other": 1}):
        with pytest.raises(ValidationError):
            ObjectiveConfig.model_validate(wrong)
    nowhere = Objective(ObjectiveConfig(weight=1.0), lambda codes: codes.sum(1) / 0, 1.0)
    with pytest.raises(DataError, match="not a finite number"):
        nowhere.term(Relaxation(SPACE, logits()), torch.Generator())
