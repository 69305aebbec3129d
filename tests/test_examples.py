from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_without_a_warning(path: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", str(path)]
    answer = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.strip()


def test_the_search_example_keeps_its_limit(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "examples" / "search_within_a_limit.py")]
    answer = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=True)
    assert "Limit of 0.8" in answer.stdout
    assert "met" in answer.stdout.splitlines()[0]


def test_python_blocks_of_the_readme_and_the_docs_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    blocks = [block for page in pages for block in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)]
    assert blocks
    for block in blocks:
        exec(compile(block, "block", "exec"), {})


def test_commands_that_the_readme_and_the_docs_show_exist() -> None:
    from chronas.cli import COMMANDS

    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    blocks = [block for page in pages for block in re.findall(r"```\n(.*?)```", page.read_text(), re.DOTALL)]
    shown = {word for block in blocks for word in re.findall(r"^chronas ([a-z]+)", block, re.MULTILINE)}
    assert {"run", "measure", "fit", "search", "train", "export", "report", "table"} <= shown
    assert shown <= COMMANDS.keys()
