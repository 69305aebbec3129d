from __future__ import annotations

import gc
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from chronas.cli import COMMANDS, listings
from chronas.cli.main import main
from chronas.devices import DEVICES
from chronas.measurement import SENSORS
from chronas.spaces import SPACES

Capture = pytest.CaptureFixture[str]


def test_help_names_every_command_and_imports_no_torch() -> None:
    script = "import sys; from chronas.cli.main import main; main(['--help']); assert 'torch' not in sys.modules"
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert all(f"\n  {name} " in answer.stdout for name in COMMANDS)


def test_a_query_imports_neither_torch_nor_devices_and_leaves_garbage_collection_on() -> None:
    script = (
        "import gc, sys; from chronas.cli.main import main; main(); "
        "assert gc.isenabled() and gc.get_freeze_count(); "
        "print(*{'torch', 'scipy', 'onnxruntime', 'chronas.devices', 'chronas.measurement'} & sys.modules.keys())"
    )
    words = ["table", "query", "nasbench201-cifar10-onnxruntime-cpu", "--index", "1462"]
    answer = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True, check=True)
    assert "latency_ms" in answer.stdout
    assert answer.stdout.endswith("\n\n"), "the last line names modules that a query does not need"


def test_a_caller_within_a_program_keeps_its_own_garbage_collection() -> None:
    before = gc.get_freeze_count()
    assert main(["spaces", "--json"]) == 0
    assert gc.isenabled()
    assert gc.get_freeze_count() == before


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_of_at_most_fifteen_flags(command: str, capsys: Capture) -> None:
    assert main([*command.split(), "--help"]) == 0
    text = capsys.readouterr().out
    assert f"usage: chronas {command}" in text
    assert COMMANDS[command].description.splitlines()[0] in text
    assert 1 <= len(re.findall(r"^  --", text, re.MULTILINE)) <= 15


def test_the_help_of_groups_says_when_they_depend_on_more(capsys: Capture) -> None:
    assert main(["retarget", "--help", "all"]) == 0
    text = capsys.readouterr().out
    assert "give RUN and --device as well" in text
    assert "--limit-ms" in text


@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "retarget"])
def test_every_command_tells_its_groups_and_all_flags(command: str, capsys: Capture) -> None:
    for topic in COMMANDS[command].groups:
        assert main([*command.split(), "--help", topic]) == 0
        assert f"--{topic}." in capsys.readouterr().out
    assert main([*command.split(), "--help", "all"]) == 0
    text = capsys.readouterr().out
    assert all(f"--{topic}." in text for topic in COMMANDS[command].groups)


@pytest.mark.parametrize("words", ["measure", "table", "table import", "measure --help", "table import --help"])
def test_a_command_that_is_several_lists_them(words: str, capsys: Capture) -> None:
    code = main(words.split())
    captured = capsys.readouterr()
    begun = words.removesuffix(" --help")
    wanted = [name.removeprefix(begun).split()[0] for name in COMMANDS if name.startswith(f"{begun} ")]
    assert code == (0 if "--help" in words else 2)
    assert all(word in captured.out + captured.err for word in wanted)


def test_python_m_chronas_is_the_command_line(tmp_path: Path) -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "chronas", "report", "none"], capture_output=True, text=True, cwd=tmp_path
    )
    assert answer.returncode == 2
    assert answer.stderr.startswith("chronas: error: cannot read none/run.json")


def test_the_help_of_a_run_imports_no_torch() -> None:
    script = "import sys; from chronas.cli.main import main; main(['run', '--help']); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion_knows_commands_and_flags(shell: str, capsys: Capture) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert all(word in script for word in ("retarget", "measure", "adaptive", "--limit-ms", "--recipe.epochs"))


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
def test_bash_completes(tmp_path: Path, capsys: Capture) -> None:
    assert main(["completion", "bash"]) == 0
    (tmp_path / "chronas.bash").write_text(capsys.readouterr().out)
    script = (
        "source chronas.bash; COMP_WORDS=(chronas measure adaptive --until); COMP_CWORD=3; "
        "$(complete -p chronas | sed 's/.*-F \\([^ ]*\\).*/\\1/'); echo ${COMPREPLY[@]}"
    )
    answer = subprocess.run(["bash", "-c", script], capture_output=True, text=True, cwd=tmp_path)
    assert answer.stdout.split() == ["--until-mape"], answer.stderr


def test_an_unknown_command_is_one_line_with_the_nearest_name(capsys: Capture) -> None:
    assert main(["serch"]) == 2
    assert capsys.readouterr().err.startswith("chronas: error: unknown command 'serch': did you mean search?")


def test_version(capsys: Capture) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("chronas 0.")


def test_a_fault_of_ours_is_one_line_and_exit_70(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    def broken(call: object) -> int:
        raise RuntimeError("two\nlines")

    monkeypatch.setattr(listings, "spaces", broken)
    assert main(["spaces"]) == 70
    assert capsys.readouterr().err.count("\n") == 1
    assert main(["spaces", "--debug"]) == 70
    assert "Traceback" in capsys.readouterr().err


def test_spaces_and_devices_list_every_name(capsys: Capture) -> None:
    assert main(["spaces", "--json"]) == 0
    assert [row["space"] for row in json.loads(capsys.readouterr().out)] == list(SPACES)
    assert main(["devices", "--json"]) == 0
    assert [row["device"] for row in json.loads(capsys.readouterr().out)] == list(DEVICES)
    assert main(["devices"]) == 0
    assert "onnxruntime-cpu" in capsys.readouterr().out
    assert main(["devices", "--sensors", "--json"]) == 0
    sensors = json.loads(capsys.readouterr().out)
    assert [row["sensor"] for row in sensors] == list(SENSORS)
    assert all(row["here"] == "yes" or len(row["here"]) > 20 for row in sensors)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("run --space drats", "unknown space 'drats': did you mean darts?"),
        ("run --device=onnx-cpu", "unknown device 'onnx-cpu': did you mean openvino-cpu or onnxruntime-cpu"),
        ("run --preset cifar", "unknown preset 'cifar': did you mean cifar10-cpu"),
        ("run --searcher dart", "unknown searcher 'dart': did you mean darts or pc-darts or gdas?"),
        ("run --predictor", "argument --predictor: expected one argument"),
        ("run --netwroks 3", "there is no option --netwroks: did you mean --networks?"),
        ("run --networks few", "--networks: input should be a valid integer"),
        ("run --networks 3", "--networks: input should be greater than or equal to 10, got 3"),
        ("run --plan.rounds 0", "--plan.rounds: input should be greater than or equal to 2, got 0"),
        ("run --limit-ms -1", "--limit-ms: input should be greater than 0, got -1"),
        ("run --data nowhere/at-all --device simulated --out x", "nowhere/at-all"),
        ("resume", "RUN is needed: folder of a run that was stopped"),
        ("resume nothing-here", "nothing-here/run.json"),
        ("run --resume x", "`chronas run --resume` is now: chronas resume FOLDER"),
        ("run --reuse=x --device fpga", "`chronas run --reuse` is now: chronas retarget RUN"),
        ("measure --lookup", "`chronas measure --lookup` is now: chronas measure lookup"),
        ("measure --check x", "`chronas measure --check` is now: chronas measure check TABLE"),
        ("measure --until-mape 4", "is now: chronas measure adaptive --until-mape PERCENT"),
        ("measure --bundle x", "is now: chronas measure bundle --out FOLDER"),
        ("measure --networks 5", "`chronas measure` of earlier versions is `chronas measure run`"),
        ("measure runs/mine", "`chronas measure` of earlier versions is `chronas measure run`"),
        ("table import costs.csv", "`chronas table import csv FILE`"),
        ("train --preset digits-small", "is now: chronas train --recipe NAME"),
        ("measure bundel", "unknown command of `chronas measure` 'bundel': did you mean bundle?"),
        ("fit nothing-here", "nothing-here/run.json"),
        ("fit --table nothing.parquet", "cannot read nothing.parquet"),
        ("table show nothing.parquet", "cannot read nothing.parquet"),
        ("table shwo x", "unknown command of `chronas table` 'shwo': did you mean show?"),
        ("report", "RUN is needed: folder of a run"),
        ("train --architecture Genotype(normal=[])", "Genotype"),
        (
            "export --network nothing-here --out y",
            "nothing-here holds no trained network: train one with `chronas train` first",
        ),
    ],
)
def test_bad_input_is_one_clear_line_and_exit_2(
    words: str, expected: str, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words.split()) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    error = captured.err.splitlines()[-1]
    assert error.startswith("chronas: error: ")
    assert expected in error
    assert len([line for line in captured.err.splitlines() if line.startswith("chronas:")]) == 1
