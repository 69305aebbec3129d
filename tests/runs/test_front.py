"""A front of measured networks: hypervolume, reference point, and what the measurement shows to be beaten."""

from __future__ import annotations

from pathlib import Path

import pytest

from chronas.errors import UsageError
from chronas.predictors import Lookup
from chronas.records import Estimate, Trial
from chronas.reports import front_table
from chronas.reports.front import front_figure
from chronas.runs import Run, search_front
from chronas.runs.front import front_of
from chronas.runs.network_costs import NetworkCosts
from chronas.spaces import make_space
from chronas.tables import CostTable
from tiny_run import tiny_config

NETWORKS = make_space("nasbench201").sample(4, 0)


def costs(ms: float) -> NetworkCosts:
    return {"latency_ms": Estimate(ms, ms - 0.1, ms + 0.1, "ms")}


def test_the_hypervolume_and_the_marks_are_of_what_was_measured() -> None:
    """The third is predicted slower than the second and measured faster, so it beats it; the last is below guessing."""
    known = [(1.0, 40.0, 1.0), (2.0, 50.0, 4.0), (3.0, 60.0, 3.0), (5.0, 5.0, 5.0)]
    chosen = [
        Trial(network, {"latency_ms": predicted}, score=accuracy, quality=quality)
        for quality, (network, (predicted, accuracy, _)) in enumerate(zip(NETWORKS, known, strict=True))
    ]
    measured = {str(network): costs(ms) for network, (_, _, ms) in zip(NETWORKS, known, strict=True)}
    front = front_of(chosen, measured, 10.0, 10.0, {})
    assert not any(each.missed for each in front.networks)
    assert [each.dominated for each in front.networks] == [False, True, False, False]
    assert front.hypervolume == pytest.approx((10 - 1) * (40 - 10) + (10 - 3) * (60 - 40))
    assert front.share == pytest.approx(front.hypervolume / (10 * 90))
    assert [each.latency.predicted for each in front.networks] == [1.0, 2.0, 3.0, 5.0]
    assert front.networks[1].latency.high == pytest.approx(4.1)


def test_a_network_that_was_found_over_a_limit_is_told_of_and_beats_nothing() -> None:
    """Each `costs` is 0.1 wide to either side: the second's upper end is above 4 ms, though it is better and faster."""
    known = [(1.0, 40.0, 1.0), (2.0, 60.0, 3.95), (3.0, 50.0, 3.0), (3.5, 55.0, 3.8)]
    chosen = [
        Trial(network, {"latency_ms": predicted}, score=accuracy, quality=quality)
        for quality, (network, (predicted, accuracy, _)) in enumerate(zip(NETWORKS, known, strict=True))
    ]
    measured = {str(network): costs(ms) for network, (_, _, ms) in zip(NETWORKS, known, strict=True)}
    front = front_of(chosen, measured, 10.0, 10.0, {"latency_ms": 4.0})
    assert [each.missed for each in front.networks] == [[], ["latency_ms"], [], []]
    assert [each.dominated for each in front.networks] == [False, False, False, False]
    assert front.hypervolume == pytest.approx((10 - 1) * (40 - 10) + (10 - 3) * (50 - 40) + (10 - 3.8) * (55 - 50))
    assert [row[5] for row in front_table(front)[1]] == ["kept", "over the latency limit", "kept", "kept"]
    names = [trace["name"] for trace in front_figure(front).data]
    assert names == ["predicted", "on the front", "over a limit"]
    nothing = front_of(chosen, measured, 10.0, 10.0, {"latency_ms": 0.5})
    assert nothing.hypervolume == 0.0
    assert all(each.missed for each in nothing.networks)


class Rigid(Lookup):
    """A predictor of one's own that no search can descend on."""

    name = "rigid"
    differentiable = False


def test_a_predictor_without_a_gradient_is_refused_before_anything_is_searched(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", tiny_config(front=3, latency_weight=0.0), command="x")
    architectures = run.space.sample(20, 0)
    rows = [(each, 1.0 + 0.1 * number) for number, each in enumerate(architectures)]
    table = CostTable.from_rows(run.space, run.size, run.device, rows)
    with pytest.raises(
        UsageError, match="rigid is not differentiable, and searcher darts is gradient-based: .* with a front"
    ):
        search_front(run, {"latency_ms": Rigid(run.space, run.size)}, table)
    assert not (run.folder / "search").exists()
