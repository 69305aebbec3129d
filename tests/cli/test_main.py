from __future__ import annotations

import gc
import json
import subprocess
import sys
from pathlib import Path

import pytest

from chronas.cli import COMMANDS, spaces
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


@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "table"])
def test_every_command_has_help(command: str, capsys: Capture) -> None:
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    assert end.value.code == 0
    assert f"usage: chronas {command}" in capsys.readouterr().out


def test_an_unknown_command_is_one_line_with_the_nearest_name(capsys: Capture) -> None:
    assert main(["serch"]) == 2
    assert capsys.readouterr().err.startswith("chronas: error: unknown command 'serch': did you mean search?")


def test_version(capsys: Capture) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("chronas 0.")


def test_a_fault_of_ours_is_one_line_and_exit_70(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    def broken(words: list[str]) -> int:
        raise RuntimeError("two\nlines")

    monkeypatch.setattr(spaces, "main", broken)
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
        ("run --predictor", "--predictor needs a name"),
        ("run --netwroks 3", "Unrecognized options: --netwroks"),
        ("run --networks few", "Error parsing --networks"),
        ("run --networks 3", "--networks: input should be greater than or equal to 10, got 3"),
        ("run --plan.rounds 0", "--plan.rounds: input should be greater than or equal to 2, got 0"),
        ("run --limit-ms -1", "--limit-ms: input should be greater than 0, got -1.0"),
        ("run --data nowhere/at-all --device simulated --out x", "nowhere/at-all"),
        ("run --resume", "expected `chronas run --resume FOLDER`"),
        ("run --resume nothing-here", "nothing-here/run.json"),
        ("fit nothing-here", "nothing-here/run.json"),
        ("fit --table nothing.parquet", "cannot read nothing.parquet"),
        ("table show nothing.parquet", "cannot read nothing.parquet"),
        ("table shwo x", "unknown table action 'shwo'"),
        ("report", "expected a run folder"),
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
