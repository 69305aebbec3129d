"""A user's own command as a device: small scripts in the place of a board."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chronas.cli.main import main
from chronas.devices import device_differences, make_device
from chronas.devices.command import Command, CommandConfig
from chronas.errors import DeviceError, UsageError
from chronas.measurement import Plan, read_journal, run_campaign
from chronas.spaces import NetworkSize, make_space
from chronas.tables import CostTable

SIZE = NetworkSize(input_shape=(3, 16, 16), outputs=7, width=4, depth=3)
NETWORK = make_space("nasbench201").sample(1, seed=3)[0]
REAL = f"""\
#!{sys.executable}
import json, sys, time
import numpy, onnxruntime
if sys.argv[1] == "--describe":
    print("noise before the answer")
    print(json.dumps({{"hardware": "my board", "runtime": "mine", "version": "1.2.3"}}))
    sys.exit()
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
images = numpy.zeros(session.get_inputs()[0].shape, numpy.float32)
samples = []
for run in range(int(sys.argv[2]) + int(sys.argv[3])):
    start = time.perf_counter()
    assert session.run(None, {{"images": images}})[0].shape == (images.shape[0], 7)
    samples.append(1000 * (time.perf_counter() - start))
print(json.dumps({{"samples_ms": samples[int(sys.argv[2]):]}}))
"""
AS_ASKED = """printf '{"samples_ms": [1.25'; for run in $(seq 2 $3); do printf ', 1.5'; done; echo ']}'"""


def script(folder: Path, text: str, name: str = "time.sh") -> str:
    path = folder / name
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def shell(folder: Path, lines: str, describe: str = "exit 1") -> str:
    return script(folder, f'#!/bin/sh\ncase "$*" in *--describe) {describe};; esac\n{lines}\n')


def device(command: str, **options: object) -> Command:
    return Command(CommandConfig(command=command, **options))  # type: ignore[arg-type]


def timed(command: str, repeats: int = 2, **options: object) -> list[float]:
    runner = device(command, **options).prepare(NETWORK, SIZE)
    try:
        return runner.round(0, 1, repeats)
    finally:
        runner.close()


def test_a_script_that_runs_the_file_is_a_device(tmp_path: Path) -> None:
    board = device(script(tmp_path, REAL), batch=2)
    assert board.hardware == "my board"
    before_s = board.now_s()
    runner = board.prepare(NETWORK, SIZE)
    samples_ms = runner.round(0, warmup=2, repeats=4)
    runner.close()
    assert runner.input_shape == (2, 3, 16, 16)
    assert len(samples_ms) == 4 and min(samples_ms) > 0
    assert board.now_s() - before_s >= sum(samples_ms) / 1000


def test_what_it_says_of_itself_is_its_fingerprint(tmp_path: Path) -> None:
    fingerprint = device(script(tmp_path, REAL)).fingerprint()
    assert fingerprint.keys() >= {"cores", "os", "threads", "dtype"}
    assert (fingerprint["hardware"], fingerprint["runtime"], fingerprint["version"]) == ("my board", "mine", "1.2.3")
    assert json.loads(json.dumps(fingerprint)) == fingerprint
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    moved = device(script(elsewhere, f"{REAL}# another text", "other.sh")).fingerprint()
    assert not device_differences(fingerprint, moved)


def test_a_command_that_says_nothing_of_itself_is_known_by_its_text_and_checksum(tmp_path: Path) -> None:
    command = shell(tmp_path, "echo '{\"samples_ms\": [1, 2]}'")
    first = device(command).fingerprint()
    assert "time.sh" in str(first["runtime"])
    assert str(tmp_path) not in json.dumps(first), "a folder may name a user"
    assert not device_differences(first, device(command).fingerprint())
    assert "runtime" in str(device_differences(first, device(f"{command} --fast").fingerprint()))
    argument = tmp_path / "settings.json"
    argument.write_text("1")
    with_file = device(f"{command} {argument}").fingerprint()
    argument.write_text("2")
    assert "version" in str(device_differences(with_file, device(f"{command} {argument}").fingerprint()))
    shell(tmp_path, "echo '{\"samples_ms\": [3, 4]}'")
    assert "version" in str(device_differences(first, device(command).fingerprint()))


def test_the_command_gets_the_file_the_warmup_and_the_repeats_and_no_shell(tmp_path: Path) -> None:
    got = tmp_path / "got"
    command = shell(tmp_path, f'echo "$@" > {got}\necho \'{{"samples_ms": [1, 2.5]}}\'')
    assert timed(f"{command} 'a b' $HOME;x") == [1.0, 2.5]
    *own, model, warmup, repeats = got.read_text().split(" ")
    assert own == ["a", "b", "$HOME;x"] and (warmup, repeats) == ("1", "2\n")
    assert model.endswith(".onnx") and not Path(model).exists(), "it is there until the runner is closed"


@pytest.mark.parametrize(
    ("lines", "word"),
    [
        ("echo adb: no device >&2; exit 3", "ended with exit code 3; it said last: 'adb: no device'"),
        ("echo pushed; echo warm >&2", "one JSON object as its last line, got 'pushed'; it said last: 'warm'"),
        ("true", "one JSON object as its last line, got ''"),
        ("echo '[1, 2]'", "one JSON object"),
        ("echo '{\"samples_ms\": [1, 2, 3]}'", "2 samples, got 3"),
        ("echo '{\"samples_ms\": []}'", "2 samples, got 0"),
        ("echo '{\"samples_ms\": [1, 0]}'", "above zero, got 0"),
        ("echo '{\"samples_ms\": [1, -2]}'", "above zero, got -2"),
        ("echo '{\"samples_ms\": [1, NaN]}'", "above zero, got NaN"),
        ("echo '{\"samples_ms\": [1, Infinity]}'", "above zero, got Infinity"),
        ("echo '{\"samples_ms\": [1, true]}'", "above zero, got true"),
        ('echo \'{"samples_ms": [1, "2"]}\'', "above zero, got '\"2\"'"),
        ("echo '{\"samples_ms\": 1}'", "alone, got"),
        ("echo '{\"samples_s\": [1, 2]}'", "alone, got"),
        ('echo \'{"samples_ms": [1, 2], "energy": 3}\'', "alone, got"),
        ("printf '\\377\\376'", "one JSON object"),
    ],
    ids=range(16),
)
def test_whatever_is_wrong_with_the_answer_is_one_line(lines: str, word: str, tmp_path: Path) -> None:
    with pytest.raises(DeviceError) as error:
        timed(shell(tmp_path, lines))
    message = str(error.value)
    assert word.replace("'", "") in message.replace("'", "").replace("\\", "")
    assert message.startswith("time.sh ") and "\n" not in message


@settings(deadline=None, max_examples=15)
@given(out=st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=30))
def test_any_output_is_samples_or_a_refusal(out: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("any")
    (folder / "out").write_text(out)
    with pytest.raises(DeviceError, match=r"time\.sh should"):
        timed(shell(folder, f"cat {folder / 'out'}"))


def test_a_command_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    command = shell(tmp_path, f"echo waiting for the phone >&2\nsleep 600 & echo $! > {tmp_path / 'child'}; wait")
    with pytest.raises(DeviceError, match=r"did not end within 1 s, it said last: 'waiting for the phone'.*timeout-s"):
        timed(command, timeout_s=1)
    child = int((tmp_path / "child").read_text())
    assert not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize(
    ("describe", "word"),
    [
        ('echo \'{"hardware": "board"}\'; exit 0', "hardware, runtime, version, or end with"),
        ("echo '{\"samples_ms\": [1]}'; exit 0", "exit code above zero, got"),
        ('echo \'{"hardware": "", "runtime": "r", "version": "1"}\'; exit 0', "the texts hardware"),
        ('echo \'{"hardware": "h", "runtime": "r", "version": 1}\'; exit 0', "the texts hardware"),
        ('echo \'{"hardware": "h", "runtime": "r", "version": "1", "host": "x"}\'; exit 0', "the texts hardware"),
        ("exit 0", "got ''"),
    ],
    ids=range(6),
)
def test_a_description_of_another_form_is_refused(describe: str, word: str, tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match=r"time\.sh --describe should print") as error:
        device(shell(tmp_path, "exit 1", describe))
    assert word in str(error.value)


@pytest.mark.parametrize(
    ("command", "word"),
    [
        ("", "--device command:./time.sh"),
        ("  ", "--device command:./time.sh"),
        ("./no-such-command", "is not found"),
        ("'half", "close the quotation"),
    ],
)
def test_a_command_that_cannot_be_run_is_refused(command: str, word: str) -> None:
    with pytest.raises(DeviceError, match="device command is not available") as error:
        make_device("command", CommandConfig(command=command))
    assert word in str(error.value)


def test_a_file_that_may_not_be_run_or_is_no_program_is_refused(tmp_path: Path) -> None:
    path = Path(shell(tmp_path, "exit 1"))
    path.chmod(0o644)
    with pytest.raises(DeviceError, match="chmod"):
        device(str(path))
    with pytest.raises(DeviceError, match=r"cannot run nothing\.sh: .*#!/bin/sh"):
        device(script(tmp_path, "\0\0", "nothing.sh"))


def test_a_round_without_warmup_is_refused(tmp_path: Path) -> None:
    runner = device(shell(tmp_path, "exit 1")).prepare(NETWORK, SIZE)
    with pytest.raises(UsageError, match="at least one warm-up"):
        runner.round(0, 0, 3)
    runner.close()


def test_a_campaign_on_a_command_goes_on_and_refuses_a_changed_one(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    networks, plan = make_space("nasbench201").sample(3, seed=0), Plan(rounds=2, max_rounds=2, repeats=2)
    command = shell(tmp_path, f'set -e\ntest -s "$1"\n{AS_ASKED}')
    run_campaign(device(command), SIZE, networks[:1], plan, path)
    run_campaign(device(command), SIZE, networks, plan, path)
    assert {latency.value for latency in read_journal(path).latencies().values()} == {1.25}


def test_the_command_line_measures_with_a_command_and_the_table_fits(tmp_path: Path, capsys) -> None:
    size = ["--size.input-shape", "1", "8", "8", "--size.width", "4", "--size.depth", "3"]
    few = ["--networks", "2", "--plan.rounds", "2", "--plan.max-rounds", "2", "--plan.repeats", "2"]
    command = shell(tmp_path, AS_ASKED)
    out = tmp_path / "costs.parquet"
    assert main(["measure", "run", "--device", f"command:{command}", *size, *few, "--out", str(out)]) == 0
    assert "command on what time.sh times" in capsys.readouterr().out
    assert set(CostTable.load(out).costs()) == {1.25}
    failing = shell(tmp_path, "echo broken >&2; exit 4")
    assert (
        main(["measure", "run", "--device", f"command:{failing}", *size, *few, "--out", str(tmp_path / "b.parquet")])
        == 2
    )
    (line,) = (text for text in capsys.readouterr().err.splitlines() if text.startswith("chronas: "))
    assert "exit code 4; it said last: 'broken'" in line


def test_nothing_of_an_interrupted_call_is_left(tmp_path: Path) -> None:
    child = tmp_path / "child"
    command = shell(tmp_path, "sleep 600", f"echo $$ > {child}; sleep 600")
    code = f"from chronas.devices.command import *; Command(CommandConfig(command={command!r}))"
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE) as process:
        until = time.monotonic() + 120
        while not (child.exists() and child.read_text()):
            assert process.poll() is None and time.monotonic() < until
            time.sleep(0.02)
        time.sleep(1)  # the command may run before the call that started it returns
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=120)
    pid = int(child.read_text())
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def documented(kind: str) -> str:
    """A script of the page about own devices."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "own-device.md").read_text()
    (found,) = re.findall(rf"```{kind}\n(.*?)```", page, re.DOTALL)
    return str(found)


def test_the_documented_python_script_is_a_device(tmp_path: Path) -> None:
    text = documented("py").replace("#!/usr/bin/env python3", f"#!{sys.executable}")
    assert min(timed(script(tmp_path, text, "time.py"), repeats=3)) > 0


def test_the_documented_script_for_a_phone_pushes_once_and_answers(tmp_path: Path, monkeypatch) -> None:
    pushed = tmp_path / "pushed"
    phone = f"""case "$1 $2" in "shell test") test -f {pushed};; push*) echo "$2" >> {pushed};; *) seq 1 $8;; esac"""
    script(tmp_path, f"#!/bin/sh\n{phone}\n", "adb")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    runner = device(script(tmp_path, documented("sh"))).prepare(NETWORK, SIZE)
    assert [runner.round(0, 1, 4), runner.round(1, 1, 2)] == [[1.0, 2.0, 3.0, 4.0], [1.0, 2.0]]
    runner.close()
    assert len(pushed.read_text().splitlines()) == 1
