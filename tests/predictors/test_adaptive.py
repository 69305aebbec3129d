"""Measuring until a predictor is good enough: it stops for the right reason, and its error is the true one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from chronas.devices.simulated import Simulated, SimulatedConfig
from chronas.errors import UsageError
from chronas.measurement import Plan, read_journal, run_campaign
from chronas.networks import space_counts
from chronas.predictors import Lookup, Predictor, make_predictor, measure_until
from chronas.predictors.adaptive import FIRST, MOST_RANDOM
from chronas.spaces import Architecture, NetworkSize, make_space
from chronas.tables import CostTable

SPACE = make_space("nasbench201")
SIZE = NetworkSize(input_shape=(3, 16, 16), outputs=10, width=8, depth=1)
DEVICE = Simulated(SimulatedConfig())
LOOKUP = Lookup(SPACE, SIZE)
FORM = space_counts(SPACE, SIZE)


def cost_ms(architecture: Architecture) -> float:
    """What no look-up knows: a square of MACs."""
    macs = FORM.macs(SPACE.encode([architecture]))[0] / 1e6
    return float(1 + macs**2)


class Board:
    """A device that remembers what it was asked for."""

    def __init__(self, noise: float = 0.0) -> None:
        self.noise = noise
        self.asked: list[list[Architecture]] = []

    def __call__(self, architectures: Sequence[Architecture]) -> CostTable:
        self.asked.append(list(architectures))
        return CostTable.from_rows(SPACE, SIZE, DEVICE, [(one, cost_ms(one)) for one in architectures])


def test_it_ends_where_the_error_is_reached_and_not_before() -> None:
    board = Board()
    found = measure_until(LOOKUP, board, error_percent=12, budget=400, seed=0)
    assert found.reason == "error"
    assert found.steps[-1].highest_percent <= 12 < min(step.highest_percent for step in found.steps[:-1])
    assert len(found.table) == found.steps[-1].networks < 400
    assert [step.networks for step in found.steps] == [len(each) for each in board.asked]


def test_it_never_spends_more_than_its_budget() -> None:
    board = Board()
    found = measure_until(LOOKUP, board, error_percent=0.001, budget=61, seed=0)
    assert (found.reason, len(found.table)) == ("budget", 61)
    assert found.steps[0].noise_percent is None  # one round tells nothing of noise


def test_the_error_it_tells_is_that_on_networks_not_measured() -> None:
    found = measure_until(LOOKUP, Board(), error_percent=0.001, budget=300, seed=1)
    learner = Lookup(SPACE, SIZE)
    learner.fit(SPACE.encode(found.table.architectures()), found.table.costs(), seed=0)
    others = SPACE.sample(2000, seed=99)
    costs = np.array([cost_ms(one) for one in others])
    true = 100 * np.abs(learner.predict(SPACE.encode(others)).mean / costs - 1)
    usual = costs >= 0.1 * np.median(costs)
    assert found.steps[-1].error_percent == pytest.approx(
        true[usual].mean(), abs=3 * found.steps[-1].standard_error_percent
    )


def test_no_chosen_network_is_a_twin_of_a_random_one() -> None:
    board = Board()
    found = measure_until(LOOKUP, board, error_percent=0.001, budget=200, seed=0)
    random = SPACE.sample(MOST_RANDOM, seed=0)
    chosen = [one for one in board.asked[-1] if one not in set(random)]
    assert len(board.asked[-1]) - len(chosen) == found.steps[-1].random
    assert board.asked[-1][: found.steps[-1].random] == random[: found.steps[-1].random]
    assert not {one.canonical() for one in chosen} & {one.canonical() for one in random}
    assert not {one.pruned() for one in chosen} & {one.pruned() for one in random}


def test_chosen_are_those_that_the_predictor_is_least_sure_of(monkeypatch: pytest.MonkeyPatch) -> None:
    operations = "nor_conv_3x3"

    def unsure_of_convolutions(_: Predictor, codes: np.ndarray) -> np.ndarray:
        return codes[:, [o for o, slot in enumerate(SPACE.slots) if _name(slot) == operations]].sum(axis=1)

    monkeypatch.setattr("chronas.predictors.adaptive.relative_width", unsure_of_convolutions)
    board = Board()
    found = measure_until(LOOKUP, board, error_percent=0.001, budget=60, seed=0)
    counts = [str(one).count(operations) for one in board.asked[-1]]
    random = found.steps[-1].random
    assert np.mean(counts[random:]) > 0.4 + np.mean(counts[:random])


def test_it_ends_at_the_noise_of_the_measurements(tmp_path: Path) -> None:
    journal = tmp_path / "journal.sqlite"
    noisy = Simulated(SimulatedConfig(noise=0.3))
    plan = Plan(rounds=4, max_rounds=4, reference_every=0, statistic="median", repeats=1)

    def measure(architectures: Sequence[Architecture]) -> CostTable:
        run_campaign(noisy, SIZE, architectures, plan, journal)
        return CostTable.from_journal(journal)

    found = measure_until(make_predictor("lookup", SPACE, SIZE), measure, error_percent=0.01, budget=600, seed=0)
    assert found.reason == "noise" and found.steps[-1].networks < 600
    assert found.steps[-1].noise_percent is not None
    assert 0.5 < found.steps[-1].error_percent / found.steps[-1].noise_percent <= 1.15
    begun = [SPACE.parse(text) for text in read_journal(journal).networks]
    again = measure_until(
        make_predictor("lookup", SPACE, SIZE), measure, error_percent=0.01, budget=600, seed=0, begun=begun
    )
    assert again.steps == (found.steps[-1],)


def test_a_budget_that_is_too_small_to_judge_is_refused() -> None:
    with pytest.raises(UsageError, match=f"needs {FIRST} networks, got a budget of 10"):
        measure_until(LOOKUP, Board(), error_percent=5, budget=10, seed=0)


def _name(slot: tuple[int, int]) -> str:
    decision, option = slot
    return SPACE.decisions[decision].options[option]
