"""Where the time of a campaign goes: DARTS networks of 20 cells (C=36) on ONNX Runtime, one thread.

    python benchmarks/campaign.py --networks 100

Bars: >= 8,000 network-rounds an hour, >= 35 % of the wall time in warm-up and timed runs. Prints a table, what the
campaign left on the disk and, last, one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import onnxruntime

import chronas.devices.onnxruntime as device_module
from chronas import networks
from chronas.devices import Runner, make_device
from chronas.devices.host import HostTimedRunner
from chronas.measurement import Plan, read_journal, run_campaign
from chronas.spaces import make_space

RATE, SHARE = 8000, 0.35


class Clock:
    """Seconds by part; what runs inside another part counts for itself alone."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.open: list[str] = []
        self.last = time.perf_counter()

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        self._switch()
        self.open.append(name)
        try:
            yield
        finally:
            self._switch()
            self.open.pop()

    def wrap(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **options: Any) -> Any:
            with self.part(name):
                return function(*args, **options)

        return timed

    def _switch(self) -> None:
        now = time.perf_counter()
        self.seconds[self.open[-1] if self.open else "the rest"] += now - self.last
        self.last = now


def campaign(count: int, folder: Path) -> Clock:
    space, device, clock = make_space("darts"), make_device("onnxruntime-cpu"), Clock()
    prepare = device.prepare

    def watched(*args: Any, **options: Any) -> Runner:
        with clock.part("other preparing"):
            runner = prepare(*args, **options)
        assert isinstance(runner, HostTimedRunner)
        runner._run = clock.wrap("runs", runner._run)  # type: ignore[method-assign]
        runner.round = clock.wrap("rounds around runs", runner.round)  # type: ignore[method-assign]
        return runner

    with (
        mock.patch.object(device, "prepare", watched),
        mock.patch.object(device_module, "onnx_model", clock.wrap("write ONNX", device_module.onnx_model)),
        mock.patch.object(networks, "build", clock.wrap("build network", networks.build)),
        mock.patch.object(onnxruntime, "InferenceSession", clock.wrap("start session", onnxruntime.InferenceSession)),
        mock.patch("chronas.measurement.journal.Journal.add", _wrapped(clock, "add")),
        mock.patch("chronas.measurement.journal.Journal.add_reference", _wrapped(clock, "add_reference")),
        clock.part("the rest"),
    ):
        run_campaign(device, space.sizes["cifar10"], space.sample(count, 0), Plan(), folder / "journal.sqlite")
    return clock


def _wrapped(clock: Clock, name: str) -> Callable[..., Any]:
    from chronas.measurement import Journal

    return clock.wrap("journal", getattr(Journal, name))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, default=100)
    networks = parser.parse_args().networks
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clock = campaign(networks, folder)
        contents = read_journal(folder / "journal.sqlite")
        disk_mb = sum(path.stat().st_size for path in folder.iterdir()) / 1e6
    total = sum(clock.seconds.values())
    for part, seconds in sorted(clock.seconds.items(), key=lambda each: -each[1]):
        print(f"{part:24} {seconds:8.1f} s  {100 * seconds / total:5.1f} %")
    rounds = sum(len(samples) for samples in contents.samples_ms.values())
    references, plan = len(contents.references), contents.header.plan
    per_round, per_reference = plan.warmup + plan.repeats, (plan.warmup + 1) // 2 + (plan.repeats + 1) // 2
    print(
        f"{rounds} rounds of {per_round} runs, {references} of the reference of {per_reference}; disk {disk_mb:.1f} MB"
    )
    print(f"others used {contents.background_cores()} cores, priority {contents.priority()}")
    share, rate = clock.seconds["runs"] / total, 3600 * rounds / total
    answer = {"benchmark": "campaign", "met": rate >= RATE and share >= SHARE, "rounds_per_hour": round(rate)}
    print(json.dumps(answer | {"share_of_runs": round(share, 3), "disk_mb": round(disk_mb, 1)}))


if __name__ == "__main__":
    main()
