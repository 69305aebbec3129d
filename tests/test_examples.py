from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
SAYS = {"search_within_a_limit": r"^Limit of 0\.8\d* ms met"}  # what an answer must have
RUN = {"test_my_space": ("-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", ".")}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_without_a_warning(path: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", *RUN.get(path.stem, ()), str(path)]
    answer = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert re.search(SAYS.get(path.stem, r"\S"), answer.stdout, re.DOTALL)


def test_python_blocks_of_the_docs_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = [
        block
        for page in sorted((ROOT / "docs").glob("*.md"))
        for block in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    ]
    assert blocks
    for block in blocks:
        exec(compile(block, "block", "exec"), {})
