from __future__ import annotations

from pathlib import Path

import pytest

from chronas.cli.main import main
from chronas.runs import Run
from tiny_run import FLAGS

SMALL = [flag for flag in FLAGS if flag not in {"--latency-weight", "2.0"}]


@pytest.mark.parametrize(
    ("flags", "role", "weight"),
    [
        (["--limit-ms", "1.25"], "limit", 0.0),
        (["--limit-ms=1.25", "--latency-weight", "0.3"], "limit", 0.3),
        ([], "latency-term", 1.2),
    ],
)
def test_a_limit_takes_the_place_of_the_presets_weight(
    flags: list[str], role: str, weight: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "--preset", "digits-cpu", *SMALL, *flags, "--no-baseline", "--out", str(tmp_path / "run")]) == 0
    run = Run.open(tmp_path / "run")
    assert (run.role, run.config.latency_weight) == (role, weight)
    assert ("Limit of 1.25 ms met" in capsys.readouterr().out) is (role == "limit")
