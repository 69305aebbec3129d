"""The program of a bundle: it measures as a campaign does, goes on after anything, and needs no chronas."""

from __future__ import annotations

import ast
import json
import os
import runpy
import shutil
import signal
import subprocess
import sys
import time
import venv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chronas.devices import Runner, make_device
from chronas.devices.simulated import Simulated, SimulatedConfig
from chronas.measurement import Results, read_journal, run_campaign, summarise
from chronas.measurement.bundle.runner import run
from chronas.measurement.bundle.runner.lines import Line, sealed
from chronas.measurement.bundle.runner.schedule import half_width_percent, in_round
from chronas.measurement.bundle.runner.timer import Timer
from chronas.measurement.bundle.write import program
from chronas.tables import CostTable
from tiny_bundle import NETWORKS, PLAN, SIZE, write_tiny

Capture = pytest.CaptureFixture[str]
HANG_S = 240


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written") / "bundle"
    write_tiny(folder)
    return folder


@pytest.fixture(scope="module")
def measured(written: Path) -> Path:
    """A bundle with its results; tests must not change it."""
    folder = written.with_name("measured")
    shutil.copytree(written, folder)
    assert run.main([], folder) == 0
    return folder


@pytest.fixture
def bundle(measured: Path, tmp_path: Path) -> Path:
    """A copy of a measured bundle, to change at will."""
    shutil.copytree(measured, tmp_path / "bundle")
    return tmp_path / "bundle"


def lines(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]


def keys(folder: Path) -> Counter:
    """How often each round of each network, and of the reference, is there."""
    wanted = ("network", "block", "round", "place")
    return Counter(tuple(line.get(key) for key in wanted) for line in lines(folder)[1:])


def refused(folder: Path, capsys: Capture, *words: str) -> str:
    before = (folder / "results.jsonl").read_bytes() if (folder / "results.jsonl").exists() else None
    assert run.main([*words], folder) == 2
    assert before is None or (folder / "results.jsonl").read_bytes() == before
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("run.py: error: ")
    return line


class Script:
    """Samples of each network's calls on a machine that drifts, the order of calls, and a clock."""

    def __init__(self) -> None:
        self.order: list[tuple[str, int, int]] = []
        self.now_s = 0.0

    def samples_ms(self, text: str, warmup: int, repeats: int) -> list[float]:
        self.order.append((text, warmup, repeats))
        self.now_s += 1.0
        random = np.random.default_rng([len(text), ord(text[5]), self.order.count((text, warmup, repeats))])
        return [float(x) for x in (1 + 0.05 * random.random(repeats)) * (1 + 0.3 * np.sin(self.now_s / 20))]


class ScriptedRunner(Runner):
    def __init__(self, script: Script, text: str) -> None:
        self.script, self.text = script, text

    def _round(self, index: int, warmup: int, repeats: int) -> list[float]:
        return self.script.samples_ms(self.text, warmup, repeats)

    def close(self) -> None:
        pass


@pytest.mark.parametrize("statistic", ["minimum", "median"])
@pytest.mark.parametrize("every", [0, 1, 2])
def test_it_measures_what_a_campaign_measures_in_the_same_order(
    every: int, statistic: str, tmp_path: Path, monkeypatch
) -> None:
    update = {"statistic": statistic, "max_rounds": 6, "reference_every": every, "warmup": 2}
    update["interval_percent"] = 2.0 if every else 25.0  # what a drift leaves that is not divided by
    plan = PLAN.model_copy(update=update)
    here, there = Script(), Script()
    monkeypatch.setattr(Simulated, "prepare", lambda _, network, *a, **o: ScriptedRunner(here, str(network)))
    monkeypatch.setattr(Simulated, "now_s", lambda _: here.now_s)
    run_campaign(Simulated(SimulatedConfig()), SIZE, NETWORKS, plan, tmp_path / "journal.sqlite")
    monkeypatch.setattr("tiny_bundle.PLAN", plan)
    manifest = write_tiny(tmp_path / "bundle")
    texts = {network.file: network.architecture for network in [manifest.reference, *manifest.networks]}

    def timed(timer: Timer, file: str, warmup: int, repeats: int) -> tuple[Line, str]:
        start_s, samples_ms = there.now_s, there.samples_ms(texts[file], warmup, repeats)
        return {"start_s": start_s, "end_s": there.now_s, "samples_ms": samples_ms}, "normal"

    monkeypatch.setattr(Timer, "_session", lambda timer, file: file)
    monkeypatch.setattr(Timer, "time", timed)
    assert run.main([], tmp_path / "bundle") == 0
    assert there.order == here.order
    assert len(set(Counter(here.order).values())) > 1, "some networks should need more rounds than others"
    Results(tmp_path / "bundle" / "results.jsonl").write_journal(tmp_path / "imported.sqlite")
    brought, own = read_journal(tmp_path / "imported.sqlite"), read_journal(tmp_path / "journal.sqlite")
    assert brought.latencies() == own.latencies()
    assert (brought.drift_percent(), brought.clock_s) == (own.drift_percent(), own.clock_s)
    assert list(brought.references) == list(own.references)


@given(
    rounds=st.lists(st.lists(st.floats(0.01, 100), min_size=2, max_size=4), min_size=2, max_size=6),
    statistic=st.sampled_from(["minimum", "median"]),
)
def test_the_interval_is_that_of_chronas(rounds: list[list[float]], statistic: str, written: Path) -> None:
    quantiles = [12.706204736174694, 4.302652729749462, 3.1824463052837078, 2.7764451051977934, 2.5705818356363146]
    manifest = json.loads((written / "manifest.json").read_text())
    assert manifest["quantiles"] == pytest.approx(quantiles[: PLAN.max_rounds - 1])
    expected = summarise(rounds, statistic).half_width_percent  # type: ignore[arg-type]
    assert half_width_percent([in_round(x, statistic) for x in rounds], quantiles) == pytest.approx(expected)


def test_it_tells_its_device_as_chronas_does(measured: Path) -> None:
    assert lines(measured)[0]["device"] == make_device("onnxruntime-cpu").fingerprint()


def test_all_rounds_are_there_once_with_samples_above_zero(measured: Path) -> None:
    found = keys(measured)
    assert set(found.values()) == {1}
    assert {(network, None, index, None) for network in range(5) for index in range(2)} <= set(found)
    places = {(None, 0, index, place) for index in range(2) for place in range(4)}
    places |= {(None, 1, index, place) for index in range(2) for place in range(3)}
    assert places <= set(found)
    rounds = lines(measured)[1:]
    assert all(len(line["samples_ms"]) == (3 if "network" in line else 2) for line in rounds)
    assert all(0 < min(line["samples_ms"]) / 1000 <= line["end_s"] - line["start_s"] for line in rounds)
    beside = [line for line in rounds if "block" in line]
    assert {line["priority"] for line in beside} <= {"real-time", "high", "normal"}
    assert all(line["background_cores"] is None or line["background_cores"] >= 0 for line in beside)


def test_a_batch_is_what_is_fed(tmp_path: Path) -> None:
    write_tiny(tmp_path / "bundle", batch=3)
    assert run.main([], tmp_path / "bundle") == 0
    assert lines(tmp_path / "bundle")[0]["device"]["batch"] == 3


@settings(deadline=None, max_examples=6)
@given(data=st.data())
def test_it_goes_on_after_a_cut_at_any_byte(data: st.DataObject, measured: Path, tmp_path_factory) -> None:
    folder = tmp_path_factory.mktemp("cut") / "bundle"
    shutil.copytree(measured, folder)
    whole = (folder / "results.jsonl").read_bytes()
    cut = data.draw(st.integers(0, len(whole)))
    (folder / "results.jsonl").write_bytes(whole[:cut])
    kept = whole[: whole[:cut].rfind(b"\n") + 1]
    assert run.main([], folder) == 0
    assert (folder / "results.jsonl").read_bytes().startswith(kept)
    assert set(keys(folder).values()) == {1}
    assert len(imported(folder)) == 5


def imported(folder: Path) -> CostTable:
    journal = folder / "journal.sqlite"
    Results(folder / "results.jsonl").write_journal(journal)
    return CostTable.from_journal(journal)


def test_a_finished_bundle_is_not_measured_again(bundle: Path, monkeypatch) -> None:
    before = (bundle / "results.jsonl").read_bytes()
    monkeypatch.setattr(Timer, "time", lambda *given: pytest.fail("measured again"))
    assert run.main([], bundle) == 0
    assert (bundle / "results.jsonl").read_bytes() == before


@pytest.mark.parametrize("file", ["networks/00001.onnx", "networks/weights.bin", "networks/reference.onnx"])
def test_a_damaged_file_is_refused(file: str, bundle: Path, capsys: Capture) -> None:
    content = bytearray((bundle / file).read_bytes())
    content[len(content) // 2] ^= 1
    (bundle / file).write_bytes(content)
    assert f"{file} is damaged" in refused(bundle, capsys)


@pytest.mark.parametrize("file", ["manifest.json", "networks/00001.onnx", "networks/weights.bin"])
def test_a_bundle_that_lacks_a_file_is_refused(file: str, bundle: Path, capsys: Capture) -> None:
    (bundle / file).unlink()
    assert "copy the whole folder again" in refused(bundle, capsys)


def test_a_manifest_of_another_kind_is_refused(bundle: Path, capsys: Capture) -> None:
    (bundle / "manifest.json").write_text('{"schema": "chronas.bundle/9"}')
    assert "chronas.bundle/9" in refused(bundle, capsys)
    (bundle / "manifest.json").write_text("[1")
    assert "not complete" in refused(bundle, capsys)


def test_results_of_another_bundle_are_refused(bundle: Path, tmp_path: Path, capsys: Capture, monkeypatch) -> None:
    monkeypatch.setattr("tiny_bundle.PLAN", PLAN.model_copy(update={"seed": 1}))
    write_tiny(tmp_path / "other")
    shutil.copy(bundle / "results.jsonl", tmp_path / "other")
    assert "the results of another bundle" in refused(tmp_path / "other", capsys)


def test_results_of_another_setting_are_refused(bundle: Path, capsys: Capture, monkeypatch) -> None:
    monkeypatch.setattr(run, "usable_cores", lambda: 8)
    assert "threads 1 there, 2 here" in refused(bundle, capsys, "--threads", "2")


def test_a_damaged_line_and_lines_of_another_run_are_refused(bundle: Path, capsys: Capture) -> None:
    path = bundle / "results.jsonl"
    first, second, *rest = path.read_text().splitlines(keepends=True)
    path.write_text(first + second.replace("0.", "1.", 1) + "".join(rest))
    assert "line 2 of" in refused(bundle, capsys)
    foreign = json.loads(second) | {"run": "another"}
    del foreign["check"]
    path.write_text(first + sealed(foreign) + "".join(rest))
    assert "several runs" in refused(bundle, capsys)


def test_what_this_machine_does_not_have_is_refused(bundle: Path, capsys: Capture) -> None:
    assert "--threads should be 1 to" in refused(bundle, capsys, "--threads", "5000")
    assert "has no NoSuchProvider, it has" in refused(bundle, capsys, "--provider", "NoSuchProvider")


def test_two_programs_do_not_write_the_same_results(bundle: Path, capsys: Capture) -> None:
    fcntl = pytest.importorskip("fcntl")
    with (bundle / "results.jsonl").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert "another process is writing" in refused(bundle, capsys)


def test_another_provider_is_another_device() -> None:
    other = run.device("XnnpackExecutionProvider", 2, 1)
    assert other["name"] == "onnxruntime-xnnpack"
    assert "XnnpackExecutionProvider" in other["runtime"] and other["threads"] == 2


def test_a_network_that_gives_other_numbers_is_refused(written: Path, tmp_path: Path, capsys: Capture) -> None:
    shutil.copytree(written, tmp_path / "bundle")
    manifest = json.loads((tmp_path / "bundle" / "manifest.json").read_text())
    manifest["size"]["outputs"] = 6
    (tmp_path / "bundle" / "manifest.json").write_text(json.dumps(manifest))
    assert run.main([], tmp_path / "bundle") == 2
    assert "should give (1, 6) finite numbers, gave (1, 5)" in capsys.readouterr().err


def test_without_onnxruntime_it_says_what_to_install(written: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.syspath_prepend(str(written))
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(written / "run.py"))
    assert end.value.code == "run.py: error: onnxruntime is not installed: pip install numpy onnxruntime"


@pytest.mark.parametrize("name", sorted(program()))
def test_the_program_is_python_3_9_and_imports_no_chronas(name: str) -> None:
    tree = ast.parse(program()[name], feature_version=(3, 9))
    modules = {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    modules |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    beside = {path.removesuffix(".py").replace("/", ".") for path in program()}
    assert modules <= {*sys.stdlib_module_names, "collections.abc", "numpy", "numpy.typing", "onnxruntime", *beside}


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that has numpy and onnxruntime, and no chronas."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, with_pip=True)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    install = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", "numpy", "onnxruntime"]
    if subprocess.run(install, capture_output=True, check=False).returncode != 0:
        pytest.skip("pip cannot install numpy and onnxruntime here")
    return python


def killed_after(process: subprocess.Popen, path: Path, count: int) -> None:
    until = time.monotonic() + HANG_S
    while not path.exists() or path.read_bytes().count(b"\n") < count:
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=HANG_S)


def started(python: Path, folder: Path) -> subprocess.Popen:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    return subprocess.Popen([python, str(folder / "run.py")], cwd=folder.parent, env=clean, stderr=subprocess.PIPE)


def test_without_chronas_killed_and_resumed_nothing_is_lost_or_doubled(bare: Path, written: Path, tmp_path) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(written, folder)
    killed_after(started(bare, folder), folder / "results.jsonl", 6)
    left = (folder / "results.jsonl").read_bytes()
    left = left[: left.rfind(b"\n") + 1]
    process = started(bare, folder)
    _, err = process.communicate(timeout=HANG_S)
    assert process.returncode == 0, err
    assert (folder / "results.jsonl").read_bytes().startswith(left)
    assert set(keys(folder).values()) == {1}
    table = imported(folder)
    run_campaign(make_device("onnxruntime-cpu"), SIZE, NETWORKS, PLAN, tmp_path / "own.sqlite")
    own = CostTable.from_journal(tmp_path / "own.sqlite")
    assert table.frame.schema == own.frame.schema
    assert table.architectures() == own.architectures()
    assert (table.provenance.plan, table.provenance.size) == (own.provenance.plan, own.provenance.size)
    assert table.provenance.device.keys() == own.provenance.device.keys()
    assert table.drift_percent is not None and table.repeatability().kendall is not None
