from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from chronas.errors import DataError, UsageError
from chronas.runs import Finder, Run, find, read_choice, read_choices
from chronas.runs.cost_model import saved_predictors
from chronas.search import Searcher
from chronas.search.blackbox.bayesian import BayesianConfig
from chronas.tables import CostTable


def finder_of(run: Run) -> Finder:
    return Finder(run, saved_predictors(run), CostTable.load(run.folder / "costs.parquet"))


def change_choice(run: Run, role: str, **changes: object) -> None:
    path = run.folder / "networks" / role / "choice.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize("wanted_ms", [0.001, 1.0, 1.17, 1.3, 99.0])
def test_the_random_network_is_the_nearest_of_the_table_by_measured_cost(wanted_ms: float, copied: Run) -> None:
    shutil.rmtree(copied.folder / "networks" / "random")
    costs = {"latency_ms": {"predicted": 50.0, "value": wanted_ms, "low": wanted_ms, "high": wanted_ms}}
    change_choice(copied, "latency-term", costs=costs)
    finder = finder_of(copied)
    architecture = finder.random()
    known_ms = finder.table.costs()
    nearest = int(np.abs(known_ms - wanted_ms).argmin())
    assert architecture == finder.table.architectures()[nearest]
    choice = read_choice(copied.folder / "networks" / "random")
    assert choice.latency_ms == known_ms[nearest]
    predictor = finder.predictors["latency_ms"]
    assert choice.predicted["latency_ms"] == pytest.approx(
        float(predictor.predict(copied.space.encode([architecture])).mean[0])
    )
    assert (choice.tried, choice.compared, choice.margin) == ((), (), None)


def test_the_random_network_is_another_than_the_found_one(copied: Run) -> None:
    shutil.rmtree(copied.folder / "networks" / "random")
    finder = finder_of(copied)
    known_ms, row = finder.table.costs(), 3
    found = finder.table.architectures()[row]
    value = {"value": float(known_ms[row]), "low": float(known_ms[row]), "high": float(known_ms[row])}
    change_choice(copied, "latency-term", architecture=str(found), costs={"latency_ms": value})
    architecture = finder.random()
    assert architecture != found
    others = np.delete(np.abs(known_ms - known_ms[row]), row)
    assert abs(read_choice(copied.folder / "networks" / "random").latency_ms - known_ms[row]) == others.min()


def test_a_choice_that_is_there_is_taken_as_it_is(copied: Run) -> None:
    other = copied.space.sample(1, 1234)[0]
    for role in ("latency-term", "weight-0", "random", "random-search"):
        change_choice(copied, role, architecture=str(other))
    before = {path: path.read_bytes() for path in copied.folder.rglob("*.json")}
    assert set(find(copied, finder_of(copied)).values()) == {other}
    assert {path: path.read_bytes() for path in copied.folder.rglob("*.json")} == before


def test_without_comparisons_only_the_runs_own_network_is_found(copied: Run) -> None:
    alone = Run(copied.folder, copied.config.model_copy(update={"baseline": False}), "x")
    assert list(find(alone, finder_of(alone))) == ["latency-term"]
    assert list(find(copied, finder_of(copied))) == ["latency-term", "weight-0", "random", "random-search"]


def test_random_search_has_as_many_processes_as_the_search_that_it_is_held_against(
    copied: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Equal wall-clock says nothing where one of the two has half of the processors."""
    had: list[object] = []

    def searched(*arguments: object, searcher: Searcher, **others: object) -> None:
        had.append(searcher.config.workers)  # type: ignore[attr-defined]
        raise KeyboardInterrupt

    monkeypatch.setattr("chronas.runs.selection.search", searched)
    (copied.folder / "networks" / "random-search" / "choice.json").unlink()
    for config in (copied.config.searcher_config, BayesianConfig(workers=3)):
        run = Run(copied.folder, copied.config.model_copy(update={"searcher_config": config}), "x")
        with pytest.raises(KeyboardInterrupt):
            finder_of(run).random_search()
    assert had == [1, 3]


def test_a_search_without_latency_is_not_compared_with_itself(copied: Run) -> None:
    plain = Run(copied.folder, copied.config.model_copy(update={"latency_weight": 0.0}), "x")
    assert list(find(plain, finder_of(plain))) == ["weight-0", "random", "random-search"]


def test_a_finished_search_is_chosen_from_again_without_searching(copied: Run) -> None:
    before = read_choice(copied.folder / "networks" / "latency-term")
    scored = (copied.folder / "search" / "latency-term" / "scored.json").read_bytes()
    shutil.rmtree(copied.folder / "networks" / "latency-term")
    told: list[str] = []
    finder = finder_of(copied)
    Finder(copied, finder.predictors, finder.table, lambda step, *_: told.append(step)).own()
    assert read_choice(copied.folder / "networks" / "latency-term") == before
    assert (copied.folder / "search" / "latency-term" / "scored.json").read_bytes() == scored
    assert not [step for step in told if step.startswith("search")]


def test_the_supernet_scores_the_found_network_first_and_then_those_of_the_table(finished: Run) -> None:
    rows = json.loads((finished.folder / "search" / "latency-term" / "scored.json").read_text())["rows"]
    table = CostTable.load(finished.folder / "costs.parquet")
    choice = read_choice(finished.folder / "networks" / "latency-term")
    assert [row["architecture"] for row in rows] == [choice.architecture, *table.frame["architecture"][:10]]
    assert [row["costs"]["latency_ms"] for row in rows] == [choice.latency_ms, *table.costs()[:10]]
    assert all(0 <= row["score"] <= 100 for row in rows)


def test_the_choices_of_a_run_are_read_by_role(finished: Run) -> None:
    choices = read_choices(finished)
    assert set(choices) == {"latency-term", "weight-0", "random", "random-search"}
    for role, architecture in choices.items():
        assert str(architecture) == read_choice(finished.folder / "networks" / role).architecture


def test_a_run_without_a_choice_says_which_step_comes_first(copied: Run) -> None:
    shutil.rmtree(copied.folder / "networks")
    with pytest.raises(UsageError, match=f"run `chronas search {copied.folder}` first"):
        read_choices(copied)


def test_a_choice_of_no_architecture_is_refused(copied: Run) -> None:
    change_choice(copied, "random", architecture="Genotype(")
    with pytest.raises(UsageError, match="expected Genotype"):
        read_choices(copied)


def test_a_choice_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"choice\.json: No such file"):
        read_choice(tmp_path)
