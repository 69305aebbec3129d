"""The order of a bundle's measurements, from its plan and the results so far; the same as in a campaign of chronas."""

from __future__ import annotations

import math
import sys
import time
from typing import Any

import numpy as np

from chronas.measurement.bundle.runner.lines import Results
from chronas.measurement.bundle.runner.timer import Load, Timer
from chronas.measurement.drift import Drift

TOLD_EVERY_S = 5.0


def in_round(samples_ms: list[float], statistic: str) -> float:
    """The statistic of one round's samples, in ms."""
    return float(np.min(samples_ms) if statistic == "minimum" else np.median(samples_ms))


def half_width_percent(rounds_ms: list[float], quantiles: list[float]) -> float:
    """Half the 95 % interval over rounds, in percent of the value; it decides on further rounds.

    Args:
        rounds_ms: the statistic of each round, divided by the drift.
        quantiles: 97.5 % quantiles of Student's t with 1, 2, ... degrees of freedom.
    """
    half_ms = quantiles[len(rounds_ms) - 2] * float(np.std(rounds_ms, ddof=1)) / math.sqrt(len(rounds_ms))
    return 100 * half_ms / float(np.median(rounds_ms))


class Campaign:
    """A campaign of a bundle: the next measurement follows from the plan and the results so far."""

    def __init__(self, manifest: dict[str, Any], results: Results, timer: Timer) -> None:
        self.manifest, self.plan, self.results, self.timer = manifest, manifest["plan"], results, timer
        self.files = [network["file"] for network in manifest["networks"]]
        self.load = Load()
        done = [len(results.rounds.get(network, {})) for network in range(len(self.files))]
        self.done, self.done_before = sum(done), sum(done)
        self.total = sum(max(self.plan["rounds"], count) for count in done)
        self.began_s, self.told_s = time.monotonic(), -math.inf

    def run(self) -> None:
        """Measure all missing rounds, block after block."""
        size = self.plan["block"]
        for block, first in enumerate(range(0, len(self.files), size)):
            networks = list(range(first, min(first + size, len(self.files))))
            for index in range(self.plan["max_rounds"]):
                wanted = {network for network in networks if self._wanted(network, index)}
                if not wanted:
                    break
                if self.plan["rebuild_every"] and index % self.plan["rebuild_every"] == 0:
                    self.timer.sessions.clear()
                self._round(block, index, networks, wanted)
            self.timer.sessions.clear()

    def _wanted(self, network: int, index: int) -> bool:
        lines = [line for number, line in sorted(self.results.rounds.get(network, {}).items()) if number < index]
        if len(lines) < index or index < self.plan["rounds"]:
            return len(lines) == index
        block, every, statistic = network // self.plan["block"], self.plan["reference_every"], self.plan["statistic"]
        drift = self._drift(block) if every else None
        rounds_ms = [
            in_round(line["samples_ms"], statistic)
            / (drift.factor(block, line["round"], line["start_s"]) if drift else 1.0)
            for line in lines
        ]
        return half_width_percent(rounds_ms, self.manifest["quantiles"]) > float(self.plan["interval_percent"])

    def _drift(self, wanted: int) -> Drift:
        timings: dict[tuple[int, int], list[tuple[float, float]]] = {}
        for (block, index, _), line in self.results.references.items():
            if block == wanted:
                latency_ms = in_round(line["samples_ms"], self.plan["statistic"])
                timings.setdefault((block, index), []).append((line["start_s"], latency_ms))
        return Drift(timings)

    def _round(self, block: int, index: int, networks: list[int], wanted: set[int]) -> None:
        order = np.random.default_rng([self.plan["seed"], block, index]).permutation(len(networks))
        ordered = [networks[place] for place in order if networks[place] in wanted]
        missing = [network for network in ordered if index not in self.results.rounds.get(network, {})]
        self.total += len(missing) if index >= self.plan["rounds"] else 0
        for network in missing:
            self.timer.prepare(self.files[network])
            self._notify("loading networks")
        every = self.plan["reference_every"]
        for number, network in enumerate(ordered):
            if every and number % every == 0:
                self._reference(block, index, number // every)
            if network in missing:
                session = self.timer.prepare(self.files[network])
                timed, _ = self.timer.time(session, self.plan["warmup"], self.plan["repeats"])
                self.results.add({"network": network, "round": index, **timed})
                self.done += 1
                self._notify("measuring")
        if every:
            self._reference(block, index, -(-len(ordered) // every))

    def _reference(self, block: int, index: int, place: int) -> None:
        if (block, index, place) not in self.results.references:
            warmup, repeats = (self.plan["warmup"] + 1) // 2, (self.plan["repeats"] + 1) // 2
            session = self.timer.reference(self.manifest["reference"]["file"], place)
            timed, priority = self.timer.time(session, warmup, repeats)
            beside = {"background_cores": self.load.cores(), "priority": priority}
            self.results.add({"block": block, "round": index, "place": place, **timed, **beside})

    def _notify(self, what: str) -> None:
        now = time.monotonic()
        if now - self.told_s < TOLD_EVERY_S and self.done < self.total:
            return
        self.told_s, new = now, self.done - self.done_before
        left = f", {(now - self.began_s) / new * (self.total - self.done) / 60:.1f} min left" if new else ""
        sys.stderr.write(f"{what}: {self.done}/{self.total} rounds{left}\n")
