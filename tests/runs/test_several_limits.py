"""Whole runs with limits on several costs at once: all are measured, kept, and told."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from chronas.devices import make_device
from chronas.errors import DataError, DeviceError, LimitMissedError, OutOfReachError
from chronas.measurement import read_journal
from chronas.reports import Report
from chronas.runs import LIMITS, Run, RunConfig, execute, make_preset, measure, read_choice, show
from chronas.spaces import NetworkScale
from chronas.tables import CostTable
from chronas.units import COST_UNITS
from tiny_run import tiny_config

COSTS = {"eyeriss": ("latency_ms", "energy_mj"), "simulated": ("latency_ms", "energy_mj", "peak_memory_mib")}
SHARE = 0.35  # of random networks that each limit leaves
TIGHT = 1e-9


def config_for(device: str, **changes: object) -> RunConfig:
    """A tiny run on a device whose costs are exact, or nearly."""
    names = {"space": "nasbench201", "device": device}
    device_config = make_preset("digits-cpu", names).device_config
    searcher_config = tiny_config().searcher_config.model_copy(update={"depth": 1})
    plain = {"latency_weight": 0.0, "baseline": False, "networks": 60, "size": NetworkScale(width=4, depth=1)}
    configs = {"device_config": device_config, "searcher_config": searcher_config}
    return tiny_config(**{**names, **configs, **plain, **changes})


@pytest.fixture(scope="module", params=COSTS)
def limited(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Report]:
    """A finished run with a limit on each cost that the device tells, by a table of the same networks."""
    device, folder = str(request.param), tmp_path_factory.mktemp(str(request.param))
    loose = config_for(device, **{LIMITS[cost]: 1e9 for cost in COSTS[device]})
    table = measure(Run.create(folder / "table", loose, command="x"))
    fields = {LIMITS[cost]: float(np.quantile(table.of(cost).costs(), SHARE)) for cost in COSTS[device]}
    config = config_for(device, baseline=device == "eyeriss", **fields)
    run = Run.create(folder / "run", config, command="x", table=table)
    return run, execute(run)


def test_every_limit_holds_for_the_measured_network(limited: tuple[Run, Report]) -> None:
    run, report = limited
    network = report.networks[0]
    assert report.verdict.met is True
    assert set(run.config.limits) == set(network.costs) == set(COSTS[run.config.device])
    contents = read_journal(run.folder / "final.sqlite")
    for cost, limit in run.config.limits.items():
        assert network.costs[cost].high <= limit, cost
        assert network.costs[cost].predicted is not None
        assert COST_UNITS[cost] in report.verdict.text
    for cost, found in list(network.costs.items())[1:]:
        assert found.value == contents.readings[cost].estimates()[network.architecture].value


def test_the_report_shows_each_cost_of_each_network_with_its_limit(limited: tuple[Run, Report]) -> None:
    run, report = limited
    page = (run.folder / "report.html").read_text(encoding="utf-8")
    assert "Each cost of each network" in page
    assert "What was chosen among" in page
    for word in ("energy", "latency"):
        assert f"Measured {word}" in page
    assert all(set(network.costs) == set(run.config.limits) for network in report.networks)
    assert show(run) == report


def test_the_choice_keeps_what_it_was_made_among(limited: tuple[Run, Report]) -> None:
    run, _ = limited
    choice = read_choice(run.folder / "networks" / "limit")
    assert choice.costs["latency_ms"].source == "measured"
    assert 1 < len(choice.compared) <= run.config.rerank.candidates
    assert choice.compared[0].architecture == choice.architecture
    ranks = [each.rank for each in choice.compared]
    assert ranks == sorted(ranks)
    for each in choice.compared:
        assert each.score is not None
        assert all(each.costs[cost] <= limit for cost, limit in run.config.limits.items())


def test_each_cost_has_a_predictor_with_a_report_and_a_multiplier(limited: tuple[Run, Report]) -> None:
    run, _ = limited
    for cost in run.config.limits:
        folder = run.folder / "predictor" / ("" if cost == "latency_ms" else cost)
        assert json.loads((folder / "report.json").read_text())["cost"] == cost
        assert (folder / "predictor.safetensors").exists()
    history = json.loads((run.folder / "search" / "limit" / "history.json").read_text())["epochs"]
    assert {f"multiplier.{cost}" for cost in run.config.limits} <= set(history[-1])


def test_random_search_stays_within_all_limits_widened_alike(limited: tuple[Run, Report]) -> None:
    run, report = limited
    if not run.config.baseline:
        assert [network.role for network in report.networks] == ["limit"]
        return
    table = CostTable.load(run.folder / "costs.parquet")
    found = read_choice(run.folder / "networks" / "random-search")
    over = np.max([table.of(cost).costs() / limit for cost, limit in run.config.limits.items()], axis=0)
    wider = max(1.0, float(np.quantile(over, 0.1)))
    assert all(found.predicted[cost] <= wider * limit * (1 + 1e-6) for cost, limit in run.config.limits.items())


def test_limits_that_no_network_keeps_say_what_is_nearest_and_choose_none(
    limited: tuple[Run, Report], tmp_path: Path
) -> None:
    run, _ = limited
    table = CostTable.load(run.folder / "costs.parquet")
    config = config_for(run.config.device, limit_ms=1e6, limit_energy_mj=TIGHT)
    tight = Run.create(tmp_path / "run", config, command="x", table=table)
    with pytest.raises(OutOfReachError, match=r"within 1e\+06 ms and 1e-09 mJ; the nearest .* mJ: give limits above"):
        execute(tight)
    assert not (tight.folder / "networks").exists()


def test_an_energy_above_what_the_table_said_is_named_and_told(
    limited: tuple[Run, Report], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The device takes far more energy for found networks than its table said, and no more time."""
    if limited[0].config.device != "eyeriss":
        pytest.skip("costs of the estimating device are changed")
    shutil.copytree(limited[0].folder, tmp_path / "run")
    run = Run.open(tmp_path / "run")
    shutil.rmtree(run.folder / "networks")
    (run.folder / "choose limit.sqlite").unlink()
    kind = type(make_device("eyeriss"))
    costs = kind.costs
    monkeypatch.setattr(kind, "costs", lambda *args: {**(found := costs(*args)), "energy_mj": 50 * found["energy_mj"]})
    with pytest.raises(LimitMissedError, match=r"no architecture within .* ms and .* mJ: energy predicted .* mJ, meas"):
        execute(run)
    assert "energy predicted" in (run.folder / "report.html").read_text(encoding="utf-8")


def test_a_cost_that_the_device_does_not_tell_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="peak_memory_mib cannot be measured on device eyeriss"):
        Run.create(tmp_path / "run", config_for("eyeriss", limit_peak_memory_mib=3.0), command="x")
    assert not (tmp_path / "run").exists()


def test_a_table_without_a_limited_cost_is_refused_before_anything_is_written(finished: Run, tmp_path: Path) -> None:
    table = CostTable.load(finished.folder / "costs.parquet")
    with pytest.raises(DataError, match="the table has no cost energy_mj, only latency_ms: measure with --costs"):
        Run.create(tmp_path / "run", tiny_config(limit_energy_mj=3.0), command="x", table=table)
    assert not (tmp_path / "run").exists()
