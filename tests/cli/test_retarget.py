"""`chronas retarget`: another simulated device over the supernet of a finished run, through the command line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from chronas.cli.flags import RetargetOptions
from chronas.cli.main import main
from chronas.files import temporary_prefix
from chronas.networks import load_state
from chronas.runs import FIELDS, Run, RunSettings, execute, read_choice
from chronas.search.blackbox.bayesian import BayesianConfig
from chronas.tables import CostTable, Provenance
from tiny_run import tiny_config

Capture = pytest.CaptureFixture[str]
Again = tuple[Run, dict[Path, bytes], dict[Path, bytes]]
HANG_S = 240
# On this device the launch of a kernel costs much and a MAC next to nothing; on the finished run's it is more even.
OTHER = ("--device", "simulated", "--device.overhead-us", "60", "--device.gigamacs-per-s", "1000")


def sources(network: dict[str, Any]) -> list[str]:
    """How the costs of a network are known, on each device."""
    return [costs["latency_ms"]["source"] for costs in network["costs"]]


def reuse(source: Run, out: Path, *flags: str) -> int:
    return main(["retarget", str(source.folder), *(flags or OTHER), "--out", str(out)])


def bytes_of(folder: Path) -> dict[Path, bytes]:
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run, smaller than the one that all tests share; tests must not change it."""
    run = Run.create(tmp_path_factory.mktemp("runs") / "tiny", tiny_config(baseline=False), command="chronas run")
    execute(run)
    return run


@pytest.fixture
def copied(finished: Run, tmp_path: Path) -> Run:
    """A copy of it, to change at will."""
    shutil.copytree(finished.folder, tmp_path / "copy", ignore=shutil.ignore_patterns(".*.*-*-*", "*-shm", "*-wal"))
    return Run.open(tmp_path / "copy")


@pytest.fixture(scope="module")
def again(finished: Run, tmp_path_factory: pytest.TempPathFactory) -> Again:
    """A finished run for the other device; and the files of the run that it reuses, before and after."""
    out, before = tmp_path_factory.mktemp("again") / "run", bytes_of(finished.folder)
    assert reuse(finished, out) == 0
    return Run.open(out), before, bytes_of(finished.folder)


def test_nothing_of_the_reused_run_is_changed(again: Again) -> None:
    _, before, after = again
    assert before == after


def test_the_new_run_needs_nothing_of_the_reused_one(again: Again, finished: Run) -> None:
    run, _, _ = again
    assert run.reused is not None
    assert run.reused.folder == run.folder / "reused"
    assert run.reused.config == finished.config
    for name in ("space", "data", "seed", "size", "recipe", "searcher"):
        assert getattr(run.config, name) == getattr(finished.config, name)
    assert (run.config.device, run.config.networks) == ("simulated", 40)
    assert run.config.searcher_config.epochs == 1  # type: ignore[attr-defined]
    assert (run.folder / "model.onnx").exists()


def test_the_search_began_with_the_reused_supernet(again: Again, finished: Run) -> None:
    run, _, _ = again
    assert run.reused is not None
    copied = run.reused.folder / "search" / "latency-term" / "search.safetensors"
    assert copied.read_bytes() == (finished.folder / "search" / "latency-term" / "search.safetensors").read_bytes()
    _, content = load_state(run.folder / "search" / "latency-term" / "search.safetensors")
    assert content["identity"]["warm_start"] == run.facts.reused
    assert len(content["history"]) == 1


def test_both_networks_stand_on_both_devices_with_their_true_costs(again: Again, capsys: Capture) -> None:
    run, _, _ = again
    assert run.reused is not None
    assert main(["report", str(run.folder), "--json"]) == 0
    two = json.loads(capsys.readouterr().out)["devices"]
    runs = (run.reused, run)
    assert [network["architecture"] for network in two["networks"]] == [
        read_choice(each.folder / "networks" / each.role).architecture for each in runs
    ]
    for network in two["networks"]:
        assert sources(network) == ["measured", "measured"]
        assert 0 <= network["accuracy_percent"] <= 100
        for each, costs in zip(runs, network["costs"], strict=True):
            architecture = each.space.parse(network["architecture"])
            true_ms = each.device.true_latency_ms(architecture, each.size)  # type: ignore[attr-defined]
            assert costs["latency_ms"]["value"] == pytest.approx(true_ms, rel=0.05)


def test_the_network_found_for_a_device_is_the_faster_one_there(again: Again, capsys: Capture) -> None:
    run, _, _ = again
    main(["report", str(run.folder), "--json"])
    for_first, for_second = json.loads(capsys.readouterr().out)["devices"]["networks"]
    assert for_first["architecture"] != for_second["architecture"]
    assert for_second["costs"][1]["latency_ms"]["value"] < for_first["costs"][1]["latency_ms"]["value"]


def test_the_share_of_pairs_is_that_of_the_two_tables(again: Again, finished: Run, capsys: Capture) -> None:
    run, _, _ = again
    main(["report", str(run.folder), "--json"])
    two = json.loads(capsys.readouterr().out)["devices"]
    first, second = (
        dict(zip(table.frame["architecture"], table.costs(), strict=True))
        for table in (CostTable.load(each.folder / "costs.parquet") for each in (finished, run))
    )
    assert first.keys() == second.keys()
    texts = list(first)
    same = [(first[a] - first[b]) * (second[a] - second[b]) > 0 for n, a in enumerate(texts) for b in texts[n + 1 :]]
    assert two["architectures"] == 40
    assert two["pairs_percent"] == pytest.approx(100 * np.mean(same))
    assert two["kendall"] == pytest.approx(2 * np.mean(same) - 1)


def test_page_and_answer_tell_of_both_devices(again: Again, capsys: Capture) -> None:
    run, _, _ = again
    assert main(["resume", str(run.folder)]) == 0
    answer = capsys.readouterr().out
    page = (run.folder / "report.html").read_text()
    for text in ("simulated (gigamacs_per_s 20.0, overhead_us 10.0)", "simulated (gigamacs_per_s 1000.0, overhead_us"):
        assert text in answer
        assert text in page
    assert "random networks the same way" in answer
    assert page.count("Found for simulated") == 2
    assert page.split('id="devices"')[1].split("</section>")[0].count("<svg") == 4


def test_the_same_command_goes_on_with_the_run_and_another_source_does_not(
    again: Again, finished: Run, copied: Run, capsys: Capture
) -> None:
    run, _, _ = again
    before = {path: path.stat().st_mtime_ns for path in run.folder.rglob("*.safetensors")}
    assert reuse(finished, run.folder) == 0
    assert {path: path.stat().st_mtime_ns for path in run.folder.rglob("*.safetensors")} == before
    path = copied.folder / "search" / "latency-term" / "search.safetensors"
    path.write_bytes(path.read_bytes() + b" ")
    capsys.readouterr()
    assert reuse(copied, run.folder) == 2
    assert "holds a run that reuses another one" in capsys.readouterr().err


def test_a_run_killed_in_its_search_goes_on_to_the_same_bits(again: Again, finished: Run, tmp_path: Path) -> None:
    run, _, _ = again
    shutil.copytree(finished.folder, tmp_path / "source", ignore=shutil.ignore_patterns(".*.*-*-*", "*-shm", "*-wal"))
    words = ["retarget", str(tmp_path / "source"), *OTHER, "--out", str(tmp_path / "run")]
    command = [sys.executable, "-m", "chronas", *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment)
    until = time.monotonic() + HANG_S
    while not (tmp_path / "run" / "predictor" / "report.json").exists():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < until, "the search never began"
        time.sleep(0.02)
    process.kill()
    process.communicate(timeout=HANG_S)
    shutil.rmtree(tmp_path / "source")
    assert main(["resume", str(tmp_path / "run")]) == 0
    for name in ("model.safetensors", "predictor/predictor.safetensors"):
        assert (tmp_path / "run" / name).read_bytes() == (run.folder / name).read_bytes(), name
    resumed, whole = (json.loads((folder / "devices.json").read_text()) for folder in (tmp_path / "run", run.folder))
    assert resumed["networks"] == whole["networks"]


def table_of(run: Run, path: Path, *, leave_out: int = 0, **device: str | int | float) -> Path:
    """A table of a device that is not here: the run's own latencies turned around, so that the slowest is fastest."""
    frame = CostTable.load(run.folder / "costs.parquet").frame.select("architecture", "latency_ms")
    frame = frame.with_columns(latency_ms=pl.lit(3.0) - pl.col("latency_ms")).tail(len(frame) - leave_out)
    fingerprint = {"name": "board", "hardware": "A Board", "threads": 1, "batch": 1, "dtype": "float32", **device}
    CostTable.from_values(frame, Provenance(run.space.name, run.size, fingerprint, source="its maker")).save(path)
    return path


def test_a_device_that_is_known_by_a_table_alone(finished: Run, tmp_path: Path, capsys: Capture) -> None:
    table = table_of(finished, tmp_path / "board.parquet")
    out = tmp_path / "run"
    assert reuse(finished, out, "--table", str(table), "--json") == 0
    two = json.loads(capsys.readouterr().out)["devices"]
    assert [device["name"] for device in two["devices"]] == ["simulated", "board (A Board)"]
    known = dict(CostTable.load(table).frame.select("architecture", "latency_ms").iter_rows())
    for network in two["networks"]:
        assert sources(network)[0] == "measured"
        text = network["architecture"]
        assert sources(network)[1] == ("table" if text in known else "predicted")
        if text in known:
            assert network["costs"][1]["latency_ms"]["value"] == known[text]
    assert (two["pairs_percent"], two["kendall"]) == (0, pytest.approx(-1))
    assert "not on this machine" in (out / "report.html").read_text()


def test_a_source_whose_device_is_gone_is_told_from_its_table(again: Again, tmp_path: Path, capsys: Capture) -> None:
    shutil.copytree(again[0].folder, tmp_path / "run")
    path = tmp_path / "run" / "reused" / "run.json"
    content = json.loads(path.read_text())
    content["device"]["hardware"] = "another machine"
    path.write_text(json.dumps(content))
    (tmp_path / "run" / "devices.json").unlink()
    assert main(["resume", str(tmp_path / "run"), "--json"]) == 0
    two = json.loads(capsys.readouterr().out)["devices"]
    table = set(CostTable.load(again[0].folder / "reused" / "costs.parquet").frame["architecture"])
    for network in two["networks"]:
        first = "table" if network["architecture"] in table else "predicted"
        assert sources(network) == [first, "measured"]


def refused(words: list[str], out: Path, capsys: Capture, expected: str, *, written: bool = False) -> None:
    assert main(["retarget", *words, "--out", str(out)]) == 2
    error = capsys.readouterr().err
    assert expected in error
    assert len(error.strip().splitlines()) == 1
    assert out.exists() is written


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ((), "give --device, one of"),
        (("--device", "simulated"), "searched for this very device already"),
        (("--device", "abacus"), "unknown device 'abacus'"),
        ((*OTHER, "--size.width", "8"), "--size.width cannot be given to `chronas retarget`"),
        ((*OTHER, "--data=digits"), "--data cannot be given to `chronas retarget`"),
        ((*OTHER, "--searcher", "gdas"), "--searcher cannot be given to `chronas retarget`"),
        ((*OTHER, "--preset", "cifar10-cpu"), "--preset cannot be given to `chronas retarget`"),
        ((*OTHER, "--latency-weight", "0"), "without a limit, a weight or a front the device has no part"),
        ((*OTHER, "--searcher.width", "8"), "config.width = 4, but 8 is asked for"),
        ((*OTHER, "--searcher.depth", "4"), "config.depth = 3, but 4 is asked for"),
        ((*OTHER, "--table", "nowhere.parquet"), "nowhere.parquet"),
        ((*OTHER, "--nonsense", "1"), "--nonsense"),
    ],
    ids=lambda value: " ".join(value[-2:]) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_reused_is_one_line_and_nothing_is_written(
    flags: tuple[str, ...], expected: str, finished: Run, tmp_path: Path, capsys: Capture
) -> None:
    refused([str(finished.folder), *flags], tmp_path / "run", capsys, expected)


def test_reuse_without_a_folder_or_of_no_run_is_one_line(tmp_path: Path, capsys: Capture) -> None:
    refused([], tmp_path / "run", capsys, "RUN is needed: folder of a finished run")
    refused([str(tmp_path / "none"), *OTHER], tmp_path / "run", capsys, "run.json: No such file")


def test_a_run_without_a_network_or_without_its_checkpoint_is_one_line(
    copied: Run, tmp_path: Path, capsys: Capture
) -> None:
    (copied.folder / "search" / "latency-term" / "search.safetensors").unlink()
    words = [str(copied.folder), *OTHER]
    refused(words, tmp_path / "run", capsys, "has found no network yet")


def test_a_run_of_a_searcher_without_a_supernet_is_one_line(copied: Run, tmp_path: Path, capsys: Capture) -> None:
    path = copied.folder / "run.json"
    content = json.loads(path.read_text())
    content["config"] |= {"searcher": "random", "searcher_config": {}}
    path.write_text(json.dumps(content))
    words = [str(copied.folder), *OTHER]
    refused(words, tmp_path / "run", capsys, "was searched by random, which does not support a warm start")


def test_trained_networks_are_reused_as_a_supernet_is(tmp_path: Path, capsys: Capture) -> None:
    searcher = BayesianConfig(architectures=6, initial_random=3, epochs=1, batch=64, width=4, depth=1, images=200)
    config = tiny_config(baseline=False, searcher="bayesian", searcher_config=searcher)
    run = Run.create(tmp_path / "first", config, command="chronas run")
    execute(run)
    assert reuse(run, tmp_path / "second", *OTHER, "--json") == 0
    assert len(json.loads(capsys.readouterr().out)["devices"]["networks"]) == 2
    second = Run.open(tmp_path / "second")
    journal = json.loads((second.folder / "search" / second.role / "search.json").read_text())
    assert len(journal["history"]) == 2
    assert second.facts.reused == journal["identity"]["warm_start"]
    assert reuse(second, tmp_path / "third", "--device", "simulated", "--device.overhead-us", "30") == 0
    third = Run.open(tmp_path / "third")
    journal = json.loads((third.folder / "search" / third.role / "search.json").read_text())
    assert (len(journal["known"]), len(journal["history"])) == (8, 2), "as many again, knowing all before"


def test_a_front_alone_gives_another_device_its_part(finished: Run, tmp_path: Path) -> None:
    words = (*OTHER, "--latency-weight", "0", "--front", "3")
    assert reuse(finished, tmp_path / "run", *words) == 0
    assert (tmp_path / "run" / "front.json").exists()


def test_a_run_killed_while_it_took_along_what_it_needs_can_be_begun_again(finished: Run, tmp_path: Path) -> None:
    out = tmp_path / "run"
    begun = tmp_path / f"{temporary_prefix('run').replace(f'-{os.getpid()}-', '-999999-')}abc"  # its process is gone
    (begun / "reused").mkdir(parents=True)
    (begun / "reused" / "costs.parquet").write_bytes(b"half a tab")
    assert reuse(finished, out) == 0
    assert (out / "report.html").exists() and not begun.exists()
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "notes.txt").write_text("keep")
    assert reuse(finished, mine) == 2
    assert (mine / "notes.txt").read_text() == "keep"


def test_a_checkpoint_of_other_images_is_one_line(copied: Run, tmp_path: Path, capsys: Capture) -> None:
    path = copied.folder / "run.json"
    content = json.loads(path.read_text())
    content["config"]["seed"] = 5
    path.write_text(json.dumps(content))
    refused([str(copied.folder), *OTHER], tmp_path / "run", capsys, "search_train")


def test_a_damaged_checkpoint_is_one_line(copied: Run, tmp_path: Path, capsys: Capture) -> None:
    path = copied.folder / "search" / "latency-term" / "search.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    refused([str(copied.folder), *OTHER], tmp_path / "run", capsys, "cut off")


def test_a_table_of_another_network_size_is_one_line(finished: Run, tmp_path: Path, capsys: Capture) -> None:
    table = CostTable.load(finished.folder / "costs.parquet")
    deeper = finished.size.model_copy(update={"depth": 9})
    fingerprint = {"name": "board", "hardware": "A Board"}
    frame = table.frame.select("architecture", "latency_ms")
    CostTable.from_values(frame, Provenance(finished.space.name, deeper, fingerprint)).save(tmp_path / "deep.parquet")
    words = [str(finished.folder), "--table", str(tmp_path / "deep.parquet")]
    refused(words, tmp_path / "run", capsys, "size")


def test_a_reused_folder_that_was_lost_is_one_line(again: Again, tmp_path: Path, capsys: Capture) -> None:
    run, _, _ = again
    shutil.copytree(run.folder, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "reused")
    assert main(["resume", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "reused/run.json" in error


def test_flags_that_cannot_change_are_hidden() -> None:
    single = {name for name in FIELDS if name in RunSettings.model_fields}
    assert set(RetargetOptions.HIDDEN) == {*single, "preset", "recipe"}


def test_the_help_lists_what_can_change_and_nothing_that_cannot(finished: Run, capsys: Capture) -> None:
    assert main(["retarget", str(finished.folder), "--device", "eager-cpu", "--help", "all"]) == 0
    told = capsys.readouterr().out
    assert "--limit-ms" in told
    assert "--table" in told
    assert "--device.threads" in told
    assert "--size" not in told
    assert "--data-limit" not in told
