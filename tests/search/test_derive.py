"""Candidates come best first and inside the limit, wherever it lies; one out of reach is refused with what is."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from chronas.errors import UsageError
from chronas.search import Relaxation, candidates
from chronas.search.derive import Climb
from chronas.spaces import SPACES, Space, make_space

ALL_SPACES = sorted(SPACES)


def sharp(space: Space, seed: int = 0) -> Relaxation:
    shape = len(space.decisions), len(space.decisions[0].relaxed)
    return Relaxation(space, 3.0 * torch.randn(shape, generator=torch.Generator().manual_seed(seed)))


def slope_of(space: Space) -> Tensor:
    return 0.1 + torch.rand(space.width, generator=torch.Generator().manual_seed(1))


def additive(space: Space) -> Callable[[Tensor], Tensor]:
    slope = slope_of(space)
    return lambda codes: codes @ slope + 1.0


def cheapest_ms(space: Space) -> float:
    """Exact minimum of the additive cost: each group on its own."""
    slope, total = slope_of(space), 1.0
    for group in space.groups:
        total += min(
            sum(
                float(slope[space.offsets[d] + c])
                for d, c in zip(group.decisions, choices, strict=True)
                if c is not None
            )
            for choices in space.assignments(group)
        )
    return total


@pytest.mark.parametrize("name", ALL_SPACES)
def test_without_a_limit_the_most_probable_come_in_order(name: str) -> None:
    space = make_space(name)
    relaxation = sharp(space)
    found = list(itertools.islice(candidates(relaxation, additive(space), None), 600))
    assert [(each.architecture, each.log_probability) for each in found] == relaxation.best(600)
    first = found[0]
    assert first.predicted_ms == pytest.approx(
        float(additive(space)(torch.from_numpy(space.encode([first.architecture])))[0])
    )
    assert next(candidates(relaxation, None, None)).predicted_ms is None


@pytest.mark.parametrize("name", ALL_SPACES)
@pytest.mark.parametrize("share", [0.001, 0.05, 0.3, 0.8])
def test_every_candidate_is_inside_any_reachable_limit_and_they_come_best_first(name: str, share: float) -> None:
    space = make_space(name)
    relaxation, cost = sharp(space), additive(space)
    mode_ms = next(candidates(relaxation, cost, None)).predicted_ms
    assert mode_ms is not None
    limit_ms = cheapest_ms(space) + share * (mode_ms - cheapest_ms(space))
    found = list(itertools.islice(candidates(relaxation, cost, limit_ms), 40))
    assert found
    assert all(each.predicted_ms is not None and each.predicted_ms <= limit_ms for each in found)
    assert len({each.architecture for each in found}) == len(found)
    log_p = [each.log_probability for each in found]
    assert log_p == sorted(log_p, reverse=True)
    assert log_p[0] == pytest.approx(relaxation.log_probability(found[0].architecture), abs=1e-4)


def test_the_first_candidate_is_the_best_inside_of_a_whole_space() -> None:
    space = make_space("nasbench201")
    relaxation, cost = sharp(space), additive(space)
    costs = sorted(each.predicted_ms for each in candidates(relaxation, cost, None) if each.predicted_ms is not None)
    for rank in (0, 20, 300, 5000):
        limit_ms = costs[rank]
        inside = (each for each in candidates(relaxation, cost, None) if (each.predicted_ms or 0) <= limit_ms)
        assert next(candidates(relaxation, cost, limit_ms)) == next(inside)


def test_a_tight_limit_far_from_the_mode_still_gets_a_probable_architecture() -> None:
    """Against the exact optimum of the additive problem, by dynamic programming over a fine grid of milliseconds."""
    space = make_space("darts")
    relaxation, slope = sharp(space), slope_of(space)
    mode_ms = next(candidates(relaxation, additive(space), None)).predicted_ms
    assert mode_ms is not None
    limit_ms = cheapest_ms(space) + 0.2 * (mode_ms - cheapest_ms(space))
    steps = 4000
    best = torch.full((steps + 1,), -torch.inf, dtype=torch.float64)
    best[0] = 0.0
    for g, group in enumerate(space.groups):
        following = torch.full_like(best, -torch.inf)
        numbers = torch.zeros(len(space.assignments(group)), len(space.groups), dtype=torch.long)
        numbers[:, g] = torch.arange(len(numbers))
        others = relaxation.log_probabilities(torch.zeros(1, len(space.groups), dtype=torch.long))[0]
        alone = relaxation.log_probabilities(numbers) - others
        for choices, log_p in zip(space.assignments(group), alone.tolist(), strict=True):
            taken = [space.offsets[d] + c for d, c in zip(group.decisions, choices, strict=True) if c is not None]
            units = int(float(slope[taken].sum()) / (limit_ms - 1.0) * steps)
            if units <= steps:
                shifted = best[: steps + 1 - units] + log_p
                following[units:] = torch.maximum(following[units:], shifted)
        best = following
    bound = float(best.max()) + float(others)
    assert next(candidates(relaxation, additive(space), limit_ms)).log_probability >= bound - 3.0


@pytest.mark.parametrize("name", ALL_SPACES)
def test_a_limit_below_everything_says_what_is_reachable(name: str) -> None:
    space = make_space(name)
    with pytest.raises(UsageError, match=f"within 0.5 ms; the fastest .* predicted at {cheapest_ms(space):.4g} ms"):
        next(candidates(sharp(space), additive(space), 0.5))


def test_a_climb_ends_although_a_prediction_depends_on_the_place_in_the_batch() -> None:
    """The first row is over the limit whatever it is, all others are inside: each step would lead back to the mode."""
    asked: list[int] = []

    def cost(codes: Tensor) -> Tensor:
        asked.append(len(codes))
        assert len(asked) < 1000, "the climb goes round and round"
        return torch.cat([torch.full((1,), 2.0), torch.ones(len(codes) - 1)])

    climb = Climb(sharp(make_space("nasbench201")), cost, limit_ms=1.5)
    climb.run()
    assert climb.inside
    assert climb.fastest_ms == 1.0


def test_a_limit_needs_a_predictor() -> None:
    with pytest.raises(UsageError, match="needs a fitted predictor"):
        next(candidates(sharp(make_space("darts")), None, 3.0))
