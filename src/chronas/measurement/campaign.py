"""A campaign: many networks of one space and size on one device, in rounds apart in time, resumable at any moment.

Networks are taken in blocks that fit into memory. A block's networks are measured in `plan.rounds` rounds, each in a
new random order. Networks are rebuilt after half of the rounds, because the place of a network in memory changes its
latency by about 1 %. Networks whose interval is still too wide then get further rounds. The next step follows only from
the plan's seed and the journal, so an interrupted campaign always resumes where it ended.

Costs other than latency are measured once all latencies are known, also in rounds apart in time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path

import numpy as np

from chronas.arguments import checked, path_of
from chronas.devices import NORMAL, Device, Runner, hardware_lock
from chronas.errors import UsageError
from chronas.measurement.journal import Journal, read_journal
from chronas.measurement.meter import Meter, make_meter
from chronas.measurement.state import ROUNDS, Header, ReferenceRound
from chronas.measurement.timing import Plan
from chronas.progress import Progress, silent
from chronas.spaces import Architecture, NetworkSize

STREAM = 1  # separate from the random orders of the latency rounds


class CostCampaign:
    """Measures the readings of other costs that a journal still lacks."""

    def __init__(
        self, journal: Journal, meters: Sequence[Meter], asked: Mapping[str, Architecture], progress: Progress
    ) -> None:
        """Store the source of each cost in the journal.

        Raises:
            MismatchError: the journal's readings come from another source.
        """
        self.journal = journal
        self.meters = meters
        self.asked = asked
        self.progress = progress
        for meter in meters:
            journal.measure_by(meter.cost, meter.source)
        self.total = len(meters) * len(asked) * ROUNDS
        self.done = self.total - sum(
            not journal.state.readings[meter.cost].done(text, index)
            for meter in meters
            for text in asked
            for index in range(ROUNDS)
        )

    def run(self) -> None:
        """Measure all missing readings, block after block, one cost after the other."""
        for number, block in enumerate(self.journal.state.blocks):
            for meter in self.meters:
                try:
                    for index in range(ROUNDS):
                        self._round(meter, number, index, block)
                finally:
                    meter.close()

    def _round(self, meter: Meter, block: int, index: int, texts: Sequence[str]) -> None:
        seed = self.journal.state.header.plan.seed
        readings = self.journal.state.readings[meter.cost]
        for place in np.random.default_rng([seed, block, index, STREAM]).permutation(len(texts)):
            text = texts[place]
            if text in self.asked and not readings.done(text, index):
                self._measure(meter, text, index)
                self.done += 1
                self._notify(meter.cost)

    def _measure(self, meter: Meter, text: str, index: int) -> None:
        device = meter.device
        waiting = f"waiting: another process is timing on {device.hardware}"
        with hardware_lock(device.hardware, lambda: self._notify(waiting)):
            start_s = device.now_s()
            reading = meter.read(self.asked[text], index)
            self.journal.add_reading(meter.cost, text, index, start_s, device.now_s(), reading)

    def _notify(self, note: str) -> None:
        self.progress("costs", self.done, self.total, note)


COPIES = 3  # copies of the reference, used in turn: their different places in memory average out


@checked
def run_campaign(
    device: Device,
    size: NetworkSize,
    architectures: Sequence[Architecture],
    plan: Plan,
    journal_path: Path,
    progress: Progress = silent,
    *,
    weights: Mapping[Architecture, Path] | None = None,
    costs: Sequence[str] = (),
    earlier: Sequence[Path] = (),
) -> None:
    """Measure architectures into a journal, or resume one; existing measurements are not repeated.

    Duplicate architectures are measured once. New architectures are added to the journal; other architectures in the
    journal stay unchanged.

    Args:
        device: the device to measure on.
        size: size of the networks.
        architectures: architectures of one space.
        plan: rounds, repeats, and the wanted width of intervals.
        journal_path: an SQLite file on a local disk; it is created if it does not exist.
        progress: called after each round of a network ("measure") and while networks are built ("prepare").
        weights: files for architectures with trained weights, as `Device.prepare` takes them; the others have random
            weights.
        costs: names in `COSTS` to measure too, once all latencies are known. They can be added to a journal later.
        earlier: recent journals of the same machine. If the reference was faster in one of them, the machine was less
            busy then, and drift is relative to that. An existing journal keeps its own value.

    Raises:
        UsageError: there is no architecture, there are several spaces, or another process writes the journal.
        MismatchError: the journal belongs to another space, size, device or plan, or its costs to another sensor.
        DataError: the journal is damaged, or the disk is full.
        DeviceError: a network's output is not finite, a duration is not above zero, or a cost cannot be measured here.
    """
    journal_path = path_of(journal_path, "journal_path")
    asked = {str(architecture): architecture for architecture in architectures}
    spaces = {architecture.space.name: architecture.space for architecture in architectures}
    if len(spaces) != 1:
        raise UsageError(f"a campaign measures architectures of one space, got {len(asked)} of {sorted(spaces)}")
    (space,) = spaces.values()
    meters = [make_meter(cost, device, size, weights) for cost in dict.fromkeys(costs)]
    known = [] if journal_path.exists() else [read_journal(path) for path in earlier if path != journal_path]
    with Journal(journal_path, Header.of(space, size, device, plan, known)) as journal:
        journal.ask(list(asked))
        device.resume_at(journal.state.clock_s)
        reference = space.parse(journal.state.header.reference)
        others = CostCampaign(journal, meters, asked, progress)
        _Campaign(device, size, journal, asked, reference, progress, weights or {}).run()
        others.run()


class _Campaign:
    """The networks in memory, and the progress of the campaign."""

    def __init__(
        self,
        device: Device,
        size: NetworkSize,
        journal: Journal,
        asked: dict[str, Architecture],
        reference: Architecture,
        progress: Progress,
        weights: Mapping[Architecture, Path],
    ) -> None:
        self.device = device
        self.size = size
        self.journal = journal
        self.state = journal.state
        self.plan = journal.state.header.plan
        self.asked = asked
        self.reference = reference
        self.progress = progress
        self.weights = weights
        self.runners: dict[Architecture, Runner] = {}
        self.references: list[Runner] = []
        self.done = sum(self.state.rounds_done(text) for text in asked)
        self.total = sum(max(self.plan.rounds, self.state.rounds_done(text)) for text in asked)
        self.done_before, self.began_s = self.done, time.monotonic()

    def run(self) -> None:
        """Measure all missing rounds, block after block."""
        try:
            for number, block in enumerate(self.state.blocks):
                for index in range(self.plan.max_rounds):
                    wanted = [text for text in block if self._wanted(text, index)]
                    if not wanted:
                        break
                    if self.plan.rebuild_every and index % self.plan.rebuild_every == 0:
                        self._close()
                    self._block_round(number, index, block, frozenset(wanted))
                self._close()
        finally:
            self._close()
            for runner in self.references:
                runner.close()

    def _close(self) -> None:
        for runner in self.runners.values():
            runner.close()
        self.runners.clear()

    def _wanted(self, text: str, index: int) -> bool:
        """Whether a network takes part in a round, according to earlier rounds; also true if it already did."""
        if text not in self.asked or self.state.rounds_done(text, index) < index:
            return False
        if index < self.plan.rounds:
            return True
        return self.state.latency(text, index).half_width_percent > self.plan.interval_percent

    def _block_round(self, block: int, index: int, texts: list[str], wanted: frozenset[str]) -> None:
        """Time the wanted networks in a new order, with the reference (half as many runs) in between and at the end."""
        order = np.random.default_rng([self.plan.seed, block, index]).permutation(len(texts))
        ordered = [texts[i] for i in order if texts[i] in wanted]
        missing = [text for text in ordered if index not in self.state.samples_ms.get(text, {})]
        self.total += len(missing) if index >= self.plan.rounds else 0
        self._prepare(missing)
        every = self.plan.reference_every
        for number, text in enumerate(ordered):
            if every and number % every == 0:
                self._reference_round(block, index, number // every)
            if index not in self.state.samples_ms.get(text, {}):
                timed = self._timed(self._runner(self.asked[text]), index, self.plan.warmup, self.plan.repeats)
                self.journal.add(text, index, *timed[:3])
                self.done += 1
                self._notify(self._rate())
        if every:
            self._reference_round(block, index, -(-len(ordered) // every))

    def _reference_round(self, block: int, index: int, place: int) -> None:
        if (block, index, place) not in self.state.references:
            number = (block * self.plan.max_rounds + index) * (self.plan.block + 1) + place
            warmup, repeats = (self.plan.warmup + 1) // 2, (self.plan.repeats + 1) // 2
            if len(self.references) < COPIES:
                self.references.append(self.device.prepare(self.reference, self.size))
            runner = self.references[place % len(self.references)]
            start_s, end_s, samples_ms, priority = self._timed(runner, number, warmup, repeats)
            cores = self.device.background_cores()
            row = ReferenceRound(block, index, place, start_s, end_s, tuple(samples_ms), cores, priority)
            self.journal.add_reference(row)

    def _prepare(self, texts: list[str]) -> None:
        """Build all networks of a round before it begins, so that no building happens between two timings."""
        new = [self.asked[text] for text in texts if self.asked[text] not in self.runners]
        for number, architecture in enumerate(new):
            self._runner(architecture)
            self.progress("prepare", number + 1, len(new), "building networks")

    def _runner(self, architecture: Architecture) -> Runner:
        if architecture not in self.runners:
            self.runners[architecture] = self.device.prepare(
                architecture, self.size, weights=self.weights.get(architecture)
            )
        return self.runners[architecture]

    def _timed(self, runner: Runner, index: int, warmup: int, repeats: int) -> tuple[float, float, list[float], str]:
        return timed_round(self.device, self.plan, runner, index, (warmup, repeats), self._notify)

    def _rate(self) -> str:
        """Rounds per second since the start of this call."""
        return f"{(self.done - self.done_before) / max(time.monotonic() - self.began_s, 1e-9):.1f} rounds/s"

    def _notify(self, note: str) -> None:
        self.progress("measure", self.done, self.total, note)


def timed_round(
    device: Device, plan: Plan, runner: Runner, index: int, runs: tuple[int, int], notify: Callable[[str], None]
) -> tuple[float, float, list[float], str]:
    """The device's clock before and after one round, its samples in ms, and the priority of the timing.

    No other process is timing on the hardware in the meantime.

    Args:
        device: the device of the runner.
        plan: says whether real-time priority is wanted.
        runner: the network.
        index: number of the round.
        runs: numbers of untimed and timed runs.
        notify: called while another process has to be waited for.
    """
    waiting = f"waiting: another process is timing on {device.hardware}"
    with (
        hardware_lock(device.hardware, lambda: notify(waiting)),
        device.realtime_priority() if plan.priority == "high" else nullcontext(NORMAL) as priority,
    ):
        start_s = device.now_s()
        samples_ms = runner.round(index, *runs)
        return start_s, device.now_s(), samples_ms, priority
