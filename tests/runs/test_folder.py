from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from chronas.errors import DataError, MismatchError, UsageError
from chronas.runs import Run, make_preset
from chronas.tables import CostTable
from tiny_run import tiny_config


def refused_before_anything_is_written(folder: Path, expected: str, **changes: object) -> None:
    with pytest.raises((UsageError, DataError), match=expected):
        Run.create(folder, tiny_config(**changes), command="x")
    assert not folder.exists()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"data": "nowhere"}, "unknown data set 'nowhere'"),
        ({"data": "nowhere/at-all"}, "there is no data set nowhere/at-all"),
        ({"data": ""}, "the data set should be a path"),
        ({"data_limit": 25}, "too few for a split"),
        ({"validation_share": 0.001}, "too few for a split"),
        (
            {"space": "nasbench201", "size": {"width": 4, "depth": 3, "stem": "imagenet"}},
            "has the stems cifar, got 'imagenet'",
        ),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_written(
    changes: dict[str, object], expected: str, tmp_path: Path
) -> None:
    if "size" in changes:
        changes["size"] = tiny_config().size.model_copy(update=changes["size"])
    refused_before_anything_is_written(tmp_path / "run", expected, **changes)


def test_a_warm_up_that_leaves_no_epoch_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    searcher = tiny_config().searcher_config.model_copy(update={"warmup_epochs": 2})
    refused_before_anything_is_written(tmp_path / "run", "leaves none of 2 for the alphas", searcher_config=searcher)


def test_a_device_that_is_not_here_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    config = make_preset("digits-cpu", {"device": "eager-cuda"})
    with pytest.raises(Exception, match="eager-cuda is not available"):
        Run.create(tmp_path / "run", config, command="x")
    assert not (tmp_path / "run").exists()


def test_a_file_in_the_place_of_the_folder_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "thesis").write_text("all of it")
    with pytest.raises(UsageError, match="is a file, a run needs a folder: choose another --out"):
        Run.create(tmp_path / "thesis", tiny_config(), command="x")
    assert (tmp_path / "thesis").read_text() == "all of it"


def test_an_empty_folder_becomes_a_run_that_opens_again(tmp_path: Path) -> None:
    run = Run.create(tmp_path, tiny_config(), command="chronas run --out here")
    again = Run.open(tmp_path)
    assert (again.config, again.command) == (run.config, "chronas run --out here")
    assert again.facts.device == run.device.fingerprint()
    assert again.data_facts == run.data_facts
    assert again.size == run.size
    assert again.timings == {}


def test_what_data_json_says_is_known_without_decoding(finished: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chronas.runs.run.load_dataset", None)
    facts = Run.open(finished.folder).data_facts
    assert (facts.name, facts.shape, facts.classes, facts.train) == ("digits", (1, 8, 8), 10, 200)


def test_a_run_without_data_json_looks_at_the_data_and_writes_nothing(copied: Run) -> None:
    (copied.folder / "data.json").unlink()
    assert Run.open(copied.folder).size == copied.size
    assert not (copied.folder / "data.json").exists()


def test_other_settings_are_told_one_by_one_up_to_three(copied: Run) -> None:
    recipe = copied.config.recipe.model_copy(update={"epochs": 3})
    with pytest.raises(UsageError) as error:
        Run.create(copied.folder, tiny_config(networks=41, recipe=recipe), command="x")
    assert "(networks 40 -> 41, recipe.epochs 2 -> 3)" in str(error.value)
    assert f"chronas resume {copied.folder}" in str(error.value)
    many = tiny_config(networks=41, recipe=recipe, seed=5, threads=2, latency_weight=1.0)
    with pytest.raises(UsageError, match="and 2 more"):
        Run.create(copied.folder, many, command="x")


def test_a_given_table_becomes_the_runs_own(finished: Run, tmp_path: Path) -> None:
    table = CostTable.load(finished.folder / "costs.parquet")
    run = Run.create(tmp_path / "run", finished.config, command="x", table=table)
    assert CostTable.load(run.folder / "costs.parquet").frame.equals(table.frame)
    assert Run.create(run.folder, finished.config, command="x", table=table).folder == run.folder


def test_another_table_than_the_runs_own_is_refused(copied: Run) -> None:
    table = CostTable.load(copied.folder / "costs.parquet")
    other = CostTable(table.frame.head(30), table.provenance)
    with pytest.raises(UsageError, match="with another table than the given one"):
        Run.create(copied.folder, copied.config, command="x", table=other)
    assert len(CostTable.load(copied.folder / "costs.parquet")) == 40


def test_a_table_of_another_size_is_refused_before_anything_is_written(finished: Run, tmp_path: Path) -> None:
    table = CostTable.load(finished.folder / "costs.parquet")
    config = tiny_config(size=finished.config.size.model_copy(update={"width": 5}))
    with pytest.raises(MismatchError, match="width 4.* there.*width 5.* here"):
        Run.create(tmp_path / "run", config, command="x", table=table)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("limit_ms", "weight", "role"),
    [(None, 0.0, "weight-0"), (None, 0.1, "latency-term"), (2.0, 0.0, "limit"), (2.0, 0.1, "limit")],
)
def test_the_role_says_what_part_latency_plays(limit_ms: float | None, weight: float, role: str) -> None:
    run = Run(Path("nowhere"), tiny_config(limit_ms=limit_ms, latency_weight=weight), "x")
    assert run.role == role


def test_timings_add_up_over_attempts_also_where_one_fails(tmp_path: Path) -> None:
    run = Run(tmp_path, tiny_config(), "x")
    with run.timed("measure"):
        pass
    first = run.timings["measure"]
    with pytest.raises(KeyboardInterrupt), run.timed("measure"):
        raise KeyboardInterrupt
    with run.timed("fit"):
        pass
    assert run.timings["measure"] >= first
    assert list(run.timings) == ["measure", "fit"]


def test_a_killed_process_leaves_the_time_up_to_its_last_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chronas.runs.folder.KEPT_S", 0.0)
    run, shown = Run(tmp_path, tiny_config(), "x"), []
    with run.timed("measure"):
        pass
    first = run.timings["measure"]
    with run.timed("measure", lambda *report: shown.append(report)) as told:
        assert run.timings["measure"] == first
        told("measure", 1, 2, "half")
        left = run.timings["measure"]  # what another process would find if this one died here
        assert left > first
        assert run.timings["measure"] == left
    assert shown == [("measure", 1, 2, "half")]
    assert run.timings["measure"] >= left


def test_setting_aside_numbers_what_was_there_and_passes_over_what_was_not(tmp_path: Path) -> None:
    run = Run(tmp_path, tiny_config(), "x")
    for text in ("first", "second"):
        (tmp_path / "search").mkdir()
        (tmp_path / "search" / "history.json").write_text(text)
        run.set_aside("search", "predictor")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["search.old-1", "search.old-2"]
    assert (tmp_path / "search.old-2" / "history.json").read_text() == "second"


def test_work_uses_the_configs_threads_and_gives_them_back(tmp_path: Path) -> None:
    run = Run(tmp_path, tiny_config(threads=2), "x")
    before = torch.get_num_threads()
    with run.working():
        assert torch.get_num_threads() == 2
    assert torch.get_num_threads() == before
    with run.working():
        pass


@pytest.mark.parametrize("field", ["command", "created", "versions", "device", "config"])
@pytest.mark.parametrize("value", [None, ["x"]])
def test_a_run_json_with_a_field_of_another_type_names_it(field: str, value: object, copied: Run) -> None:
    path = copied.folder / "run.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, field: value}))
    with pytest.raises(DataError, match=rf"run\.json is damaged \({field}"):
        Run.open(copied.folder)
    del content[field]
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=rf"run\.json is damaged \({field}: field required"):
        Run.open(copied.folder)
