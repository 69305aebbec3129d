"""A short seeded part of `benchmarks/robustness.py`: damaged and hostile files for every reader, and kills of steps."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "robustness.py"


@pytest.mark.parametrize(
    "part",
    [["--mutations", "60", "--hostile", "34", "--kills", "0"], ["--mutations", "0", "--hostile", "0", "--kills", "2"]],
    ids=["files", "kills"],
)
def test_nothing_ends_in_another_way_than_it_should(part: list[str]) -> None:
    command = [sys.executable, str(SCRIPT), *part, "--seed", "1"]
    answer = subprocess.run(command, check=False, capture_output=True, text=True, timeout=900)
    found = json.loads(answer.stdout.splitlines()[-1])
    assert found["met"], answer.stdout
    assert sum(found["mutations"].values()) == int(part[1]) and sum(found["hostile"].values()) == int(part[3])
