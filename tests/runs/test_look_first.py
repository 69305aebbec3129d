"""Whether a limit can be reached is looked at first, with a few cheap networks."""

from __future__ import annotations

from pathlib import Path

import pytest

from chronas.errors import LimitMissedError
from chronas.measurement import read_journal
from chronas.runs import Run, execute
from tiny_run import tiny_config


def test_a_limit_far_out_of_reach_ends_the_run_before_it_measures(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", tiny_config(limit_ms=1e-4, latency_weight=0.0), command="chronas run")
    with pytest.raises(LimitMissedError, match=r"out of reach: the fastest of 20 networks .* takes .* ms") as caught:
        execute(run)
    for flag in ("--size.width, now", "--size.depth, now", "--image-size, now 8", "--size.stem", "--limit-ms"):
        assert flag in str(caught.value)
    assert len(read_journal(run.folder / "feasible.sqlite").latencies()) == 20
    assert not (run.folder / "journal.sqlite").exists()
    assert "out of reach" in (run.folder / "report.html").read_text()


def test_without_a_limit_nothing_is_looked_at_first(finished: Run) -> None:
    assert not (finished.folder / "feasible.sqlite").exists()
