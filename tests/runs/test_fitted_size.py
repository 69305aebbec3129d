"""The size of a run's networks fits its limit, and is chosen once."""

from __future__ import annotations

from pathlib import Path

import pytest

from chronas.cli.main import main
from chronas.devices.simulated import Simulated, SimulatedConfig
from chronas.runs import Run, make_preset, read_fitted_size
from chronas.runs.fitted_size import MOST, ROOM, fit_size, ladder
from chronas.spaces import SPACES, make_space


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("pixels", [8, 80, 224])
def test_a_ladder_has_some_sizes_of_each_stem_that_leaves_four_pixels(name: str, pixels: int) -> None:
    space = make_space(name)
    sizes = ladder(space, (3, pixels, pixels), 5)
    assert 4 <= len(sizes) <= MOST
    assert len({(size.stem, size.width, size.depth) for size in sizes}) == len(sizes)
    stems = {size.stem for size in sizes}
    large = {"imagenet"} if pixels < 128 else set()
    assert stems == set(space.topology.stems) - large - ({"small"} if pixels < 64 else set())


def a_run(folder: Path, limit_ms: float | None, **settings: object) -> Run:
    config = make_preset(
        "photos-cpu",
        {"device": "simulated", "space": "nasbench201", "searcher": "random", "limit_ms": limit_ms, **settings},
    )
    return Run.create(folder, config, command="chronas run")


def test_a_looser_limit_gives_larger_networks_and_room_below_it(tmp_path: Path) -> None:
    macs = []
    for limit_ms in (2.0, 6.0):
        run = a_run(tmp_path / f"{limit_ms:g}", limit_ms, train_minutes=None)
        before = run.size
        fit_size(run)
        fitted = read_fitted_size(run)
        assert fitted is not None
        assert run.size == before.model_copy(update=fitted.size.model_dump())
        [chosen] = [each for each in fitted.tried if each.size == fitted.size]
        assert chosen.latency_ms <= ROOM * limit_ms
        assert all(each.macs <= chosen.macs for each in fitted.tried if each.latency_ms <= ROOM * limit_ms)
        assert f"of {limit_ms:g} ms" in fitted.text
        macs.append(chosen.macs)
    assert macs[0] < macs[1]


def test_little_time_for_training_gives_a_smaller_network(tmp_path: Path) -> None:
    sizes = []
    for minutes in (0.01, 1e5):
        run = a_run(tmp_path / f"{minutes:g}", None, train_minutes=minutes)
        fit_size(run)
        fitted = read_fitted_size(run)
        assert fitted is not None
        sizes.append(next(each.macs for each in fitted.tried if each.size == fitted.size))
    assert sizes[0] < sizes[1]


def test_it_is_chosen_once_and_stays_on_resume(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", 1.5, train_minutes=None)
    fit_size(run)
    size, content = run.size, (run.folder / "size.json").read_bytes()
    again = Run.open(run.folder)
    again.__dict__["device"] = Simulated(SimulatedConfig(base_ms=0.001))
    fit_size(again)
    assert again.size == size
    assert (run.folder / "size.json").read_bytes() == content


@pytest.mark.parametrize("settings", [{"fit_size": False}, {"limit_ms": None, "train_minutes": None}])
def test_without_a_reason_the_configs_size_stays(tmp_path: Path, settings: dict[str, object]) -> None:
    run = a_run(tmp_path / "run", **{"limit_ms": 1.5, **settings})
    fit_size(run)
    assert read_fitted_size(run) is None
    assert run.size.width == run.config.size.width


RUN = (
    "run --preset photos-cpu --data digits --data-limit 100 --space nasbench201 --device simulated --limit-ms 2 "
    "--networks 45 --plan.rounds 2 --searcher random --searcher.architectures 1 --searcher.epochs 1 --train-steps 3"
)


def test_the_command_says_the_size_and_a_given_size_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*RUN.split(), "--out", "fitted"]) == 0
    assert "a typical network takes" in capsys.readouterr().err
    assert main([*RUN.split(), "--size.width", "6", "--size.depth", "1", "--out", "given"]) in (0, 1)
    given = Run.open(Path("given"))
    assert read_fitted_size(given) is None
    assert (given.size.width, given.size.depth) == (6, 1)
