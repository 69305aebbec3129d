"""An installed package brings a space, an evaluator and a predictor, known to Python, command line and workers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

THEIRS = """
from outside_space import PatchSpace


class Theirs(PatchSpace):
    name = "theirs"


def best(architectures):
    return [float(str(each).count("pool")) for each in architectures]
"""
ENTRY_POINTS = """
[chronas.spaces]
theirs = their_package:Theirs

[chronas.evaluators]
their-best = their_package:best
"""
SEARCH = """
import chronas

if __name__ == "__main__":
    data = chronas.load_data("digits", limit=120, progress=False)
    settings = dict(architectures=3, initial_random=2, epochs=1, workers=2)
    print(chronas.search("theirs", data, progress=False, **settings).best.architecture.space)
    found = chronas.search("theirs", evaluate="their-best", searcher="random", progress=False, architectures=9)
    print(found.best.score)
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a package and its metadata, as pip leaves them."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "their_package.py").write_text(THEIRS)
    info = folder / "their_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-package\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    return folder


def python(installed: Path, *words: str, cwd: Path) -> str:
    paths = [str(installed), str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    answer = subprocess.run([sys.executable, *words], capture_output=True, text=True, env=environment, cwd=cwd)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def test_the_command_line_knows_what_a_package_brings(installed: Path, tmp_path: Path) -> None:
    spaces = json.loads(python(installed, "-m", "chronas", "spaces", "--json", cwd=tmp_path))
    assert "theirs" in [row["space"] for row in spaces]
    words = ["--space", "theirs", "--device", "simulated", "--networks", "8", "--out", "costs.parquet"]
    assert "theirs" in python(installed, "-m", "chronas", "measure", "run", *words, cwd=tmp_path)
    assert "theirs" in python(installed, "-m", "chronas", "table", "show", "costs.parquet", cwd=tmp_path)


def test_worker_processes_and_python_know_it_too(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "search.py").write_text(SEARCH)
    space, score = python(installed, "search.py", cwd=tmp_path).splitlines()
    assert "theirs" in space
    assert float(score) >= 0
