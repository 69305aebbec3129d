"""Brief trainings in processes of their own: they end with the search, whatever ends it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

SCRIPT = """
import sys
from pathlib import Path
import torch
from chronas.data import Normalisation, load_dataset, split
from chronas.search import SearchImages, ObjectiveConfig, Task, make_searcher, searcher_class
from chronas.spaces import NetworkSize, make_space

if __name__ == "__main__":
    images = load_dataset("digits").train
    train, validation = split(images, 0.5, seed=0)
    task = Task(
        space=make_space("nasbench201"),
        size=NetworkSize(input_shape=(1, 8, 8), outputs=10, width=4, depth=1),
        images=SearchImages(train, validation, Normalisation.of(images)),
        costs={}, objective=ObjectiveConfig(), folder=Path(sys.argv[1]), seed=0,
    )
    config = searcher_class("random").Config(architectures=100000, epochs=1, workers=2)
    make_searcher("random", config).search(task, lambda *each: print(each, flush=True))
"""
HANG_S = 120


def test_processes_do_not_outlive_a_search_that_was_killed(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    search = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path / "search")], stdout=subprocess.PIPE, text=True
    )
    assert search.stdout is not None
    assert "search" in search.stdout.readline(), "a network was trained"
    workers = [
        each for each in psutil.Process(search.pid).children(recursive=True) if "spawn_main" in str(each.cmdline())
    ]
    assert workers
    search.send_signal(signal.SIGKILL)
    search.wait(HANG_S)
    search.stdout.close()
    start_s = time.monotonic()
    while any(each.is_running() and each.status() != psutil.STATUS_ZOMBIE for each in workers):
        assert time.monotonic() - start_s < HANG_S
        time.sleep(0.1)
