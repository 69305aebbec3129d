from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from chronas.errors import DataError, LimitMissedError, MismatchError, UsageError
from chronas.measurement import Plan
from chronas.networks import build
from chronas.runs import Run, execute, measure, read_choice, read_trained, show
from chronas.search import RerankConfig
from chronas.tables import CostTable
from chronas.training import load_best
from tiny_run import tiny_config

ROLES = {"latency-term", "weight-0", "random", "random-search"}


def stop_at(step: str) -> object:
    def progress(told: str, done: int, total: int, note: str) -> None:
        if told == step:
            raise KeyboardInterrupt

    return progress


def test_a_run_leaves_everything_that_the_design_promises(finished: Run) -> None:
    names = ("run.json", "journal.sqlite", "costs.parquet", "predictor/predictor.safetensors", "search/latency-term")
    exported = ("architecture.json", "model.safetensors", "model.onnx", "model.py", "report.html")
    for name in (*names, *exported):
        assert (finished.folder / name).exists(), name
    assert {path.name for path in (finished.folder / "networks").iterdir()} == ROLES


def test_the_report_tells_what_the_files_say(finished: Run) -> None:
    report = show(finished)
    assert {network.role for network in report.networks} == ROLES
    for network in report.networks:
        trained = read_trained(finished.folder / "networks" / network.role)
        assert network.accuracy_percent == trained.accuracy_percent
        choice = read_choice(finished.folder / "networks" / network.role)
        assert network.architecture == choice.architecture
        assert network.latency.predicted == choice.predicted["latency_ms"]
        assert network.latency.low <= network.latency.value <= network.latency.high
    assert report.predictor is not None
    assert len(report.predictor.measured) == 40
    assert len(report.searches[0].scored) == 11


def test_the_latency_term_lowers_latency_against_the_same_search_without_it(finished: Run) -> None:
    device = finished.device
    latency = {
        role: device.true_latency_ms(  # type: ignore[attr-defined]
            read_trained(finished.folder / "networks" / role).architecture, finished.size
        )
        for role in ("latency-term", "weight-0")
    }
    assert latency["latency-term"] < latency["weight-0"]


def test_the_random_network_has_about_the_found_ones_cost(finished: Run) -> None:
    wanted = read_choice(finished.folder / "networks" / "latency-term").latency_ms
    got = read_choice(finished.folder / "networks" / "random").latency_ms
    costs = CostTable.load(finished.folder / "costs.parquet").costs()
    assert abs(got - wanted) == pytest.approx(np.abs(costs - wanted).min())


def test_random_search_stays_within_the_found_networks_latency(finished: Run) -> None:
    own = read_choice(finished.folder / "networks" / "latency-term")
    found = read_choice(finished.folder / "networks" / "random-search")
    fastest_tenth_ms = np.quantile(CostTable.load(finished.folder / "costs.parquet").costs(), 0.1)
    assert found.predicted["latency_ms"] <= max(own.predicted["latency_ms"], own.latency_ms, fastest_tenth_ms) + 1e-9


def test_the_exported_model_is_the_trained_one(finished: Run) -> None:
    trained = read_trained(finished.folder / "networks" / "latency-term")
    network = build(trained.architecture, trained.size)
    load_best(network, finished.folder / "networks" / "latency-term" / "training")
    images = torch.randn(1, *trained.size.input_shape, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = network.eval()(images).numpy()
    session = onnxruntime.InferenceSession(str(finished.folder / "model.onnx"), providers=["CPUExecutionProvider"])
    got = session.run(None, {session.get_inputs()[0].name: images.numpy()})[0]
    assert np.abs(got - expected).max() <= 1e-4 * np.abs(expected).max()


def test_run_json_names_no_host_and_no_user(finished: Run) -> None:
    import getpass
    import socket

    text = (finished.folder / "run.json").read_text()
    assert socket.gethostname() not in json.loads(text)["device"].values()
    assert getpass.getuser() not in json.loads(text)["device"].values()


def test_a_finished_run_does_nothing_again(copied: Run) -> None:
    before = {path: path.stat().st_mtime_ns for path in copied.folder.rglob("*.safetensors")}
    execute(copied)
    assert {path: path.stat().st_mtime_ns for path in copied.folder.rglob("*.safetensors")} == before


def test_a_folder_with_other_settings_is_not_written_to(copied: Run) -> None:
    other = tiny_config(networks=41)
    with pytest.raises(UsageError, match="networks 40 -> 41"):
        Run.create(copied.folder, other, command="x")
    assert Run.open(copied.folder).config == copied.config


def test_a_folder_with_other_files_is_not_written_to(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("all of it")
    with pytest.raises(UsageError, match="holds no run"):
        Run.create(tmp_path, tiny_config(), command="x")


def test_two_processes_do_not_work_in_one_folder(copied: Run) -> None:
    words = "import sys; from pathlib import Path; from chronas.runs import Run; run = Run.open(Path(sys.argv[1]))"
    script = f"{words}\nwith run.working(): print('locked', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", script, str(copied.folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        with pytest.raises(UsageError, match="another process"), copied.working():
            pass
        other.communicate("")


def test_a_run_that_is_interrupted_three_times_goes_on_to_the_same_bits(finished: Run, tmp_path: Path) -> None:
    Run.create(tmp_path / "run", finished.config, command="x")
    for step in ("measure", "search weight-0", "train random"):
        with pytest.raises(KeyboardInterrupt):
            execute(Run.open(tmp_path / "run"), stop_at(step))  # type: ignore[arg-type]
    again = Run.open(tmp_path / "run")
    execute(again)
    assert CostTable.load(again.folder / "costs.parquet").frame.equals(
        CostTable.load(finished.folder / "costs.parquet").frame
    )
    for name in ("model.safetensors", "model.onnx", "model.py", "predictor/predictor.safetensors"):
        assert (again.folder / name).read_bytes() == (finished.folder / name).read_bytes(), name


def test_a_step_can_be_done_anew_and_the_old_result_is_kept(copied: Run) -> None:
    old = (copied.folder / "costs.parquet").read_bytes()
    copied.set_aside("costs.parquet", "journal.sqlite")
    copied.set_aside("costs.parquet")
    measure(copied)
    copied.set_aside("costs.parquet")
    assert (copied.folder / "costs.parquet.old-1").read_bytes() == old
    assert (copied.folder / "costs.parquet.old-2").exists()


def test_a_table_of_another_network_size_is_refused(copied: Run, tmp_path: Path) -> None:
    deeper = copied.config.size.model_copy(update={"depth": 4})
    other = Run.create(tmp_path / "other", tiny_config(size=deeper), command="x")
    (other.folder / "costs.parquet").write_bytes((copied.folder / "costs.parquet").read_bytes())
    with pytest.raises(MismatchError, match="depth 3"):
        measure(other)


def test_a_damaged_run_json_is_one_clear_line(copied: Run) -> None:
    path = copied.folder / "run.json"
    path.write_text(path.read_text()[:100])
    with pytest.raises(DataError, match=r"run\.json is not valid JSON"):
        Run.open(copied.folder)


def test_a_run_json_with_a_value_out_of_range_names_the_field(copied: Run) -> None:
    path = copied.folder / "run.json"
    content = json.loads(path.read_text())
    content["config"]["validation_share"] = 2
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match="validation_share"):
        Run.open(copied.folder)


def test_a_limit_is_kept_by_what_is_measured(finished: Run, tmp_path: Path) -> None:
    limit_ms = float(np.quantile(CostTable.load(finished.folder / "costs.parquet").costs(), 0.25))
    run = Run.create(tmp_path / "run", tiny_config(latency_weight=0.0, limit_ms=limit_ms, baseline=False), command="x")
    report = execute(run)
    assert report.verdict.met is True
    assert report.networks[0].latency.high <= limit_ms


def test_a_limit_below_anything_says_what_is_reachable(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", tiny_config(latency_weight=0.0, limit_ms=1e-6, baseline=False), command="x")
    with pytest.raises(LimitMissedError, match=r"the fastest of 20 networks .* takes \d"):
        execute(run)


def test_a_limit_that_noise_breaks_ends_in_a_report_that_says_so(finished: Run, tmp_path: Path) -> None:
    noisy = finished.config.device_config.model_copy(update={"noise": 0.5})
    plan = Plan(rounds=2, max_rounds=2, statistic="median")
    choice = RerankConfig(candidates=1, margin=0.0)  # with a margin a network is found that keeps it
    changes = {"latency_weight": 0.0, "limit_ms": 1.12, "baseline": False, "choice": choice}
    config = tiny_config(**changes, device_config=noisy, plan=plan)
    run = Run.create(tmp_path / "run", config, command="x")
    with pytest.raises(LimitMissedError, match="measured up to"):
        execute(run)
    report = show(run)
    assert report.verdict.met is False
    assert "measured up to" in report.verdict.text
