from __future__ import annotations

import json
from pathlib import Path

import pytest

from chronas.cli import listings
from chronas.cli.main import main
from chronas.explore import Settings
from explored import latencies, write_table

Capture = pytest.CaptureFixture[str]


def served(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """What would be served; the address is told as if it were."""
    asked: list[tuple[object, ...]] = []

    def serve(settings: Settings, files: tuple[Path, ...], accuracies: Path | None, announce: object) -> None:
        asked.append((settings, files, accuracies))
        announce("http://127.0.0.1:8501")  # type: ignore[operator]

    monkeypatch.setattr(listings, "serve", serve)
    return asked


def test_every_option_arrives_and_the_address_is_the_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    asked, table = served(monkeypatch), write_table(tmp_path / "a.parquet", latencies(5))
    assert main(["explore", str(table), "--host", "::1", "--port", "0", "--browser"]) == 0
    assert asked == [(Settings(host="::1", port=0, browser=True), (table,), None)]
    captured = capsys.readouterr()
    assert captured.out == "http://127.0.0.1:8501\n" and "Ctrl-C ends it" in captured.err
    assert main(["explore", str(table), "--json"]) == 0
    assert asked[1] == (Settings(), (table,), None)
    assert json.loads(capsys.readouterr().out) == {"url": "http://127.0.0.1:8501"}


def test_a_bad_file_is_one_line_and_nothing_is_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    asked = served(monkeypatch)
    assert main(["explore", str(tmp_path / "none.parquet")]) == 2
    assert main(["explore", str(write_table(tmp_path / "a.parquet", [1.0])), "--accuracies", str(tmp_path)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 and all(line.startswith("chronas: error: cannot read") for line in lines)
    assert asked == []


def test_a_port_that_cannot_be_is_refused(capsys: Capture) -> None:
    assert main(["explore", "--port", "70000"]) == 2
    assert "--port: input should be less than or equal to 65535, got 70000" in capsys.readouterr().err
