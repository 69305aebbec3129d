"""The content of a journal: the campaign's settings, its networks in blocks, and all samples of all rounds."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from chronas import __version__
from chronas.devices import HIGH, NORMAL, REALTIME, Device, device_differences
from chronas.files import upgraded
from chronas.measurement.drift import Drift
from chronas.measurement.meter import COSTS, Reading
from chronas.measurement.rows import SCHEMA
from chronas.measurement.timing import Plan, in_round, median_interval, stored_plan, summarise
from chronas.records import Estimate
from chronas.spaces import Architecture, NetworkSize, Space
from chronas.units import unit_of

REFERENCE_SEED = 1_234_567  # gives a network of medium cost in each space, which campaigns hardly ever measure too

ROUND = ("warmup", "repeats", "statistic", "priority")  # settings of a plan that a round's latency depends on


@dataclass(frozen=True)
class Header:
    """Campaign metadata.

    Attributes:
        space: name of the space.
        size: size of the networks.
        device: the device's fingerprint.
        plan: settings of the measurement.
        reference: the text form of the reference network.
        created: date and time (UTC, ISO 8601).
        version: version of chronas.
        idle_reference_ms: the reference's latency in ms on the machine at rest, from earlier campaigns; None without
            them.
    """

    space: str
    size: NetworkSize
    device: Mapping[str, str | int | float]
    plan: Plan
    reference: str
    created: str
    version: str
    idle_reference_ms: float | None = None

    @classmethod
    def of(
        cls, space: Space, size: NetworkSize, device: Device, plan: Plan, earlier: Sequence[CampaignState] = ()
    ) -> Header:
        """The header of a new campaign; the reference is the same network for all campaigns of a space.

        Args:
            space: space of the networks.
            size: size of the networks.
            device: the device that runs them.
            plan: settings of the measurement.
            earlier: earlier campaigns; those that timed the same reference in the same way give the latency at rest.
        """
        reference = str(reference_of(space))
        created = datetime.now(UTC).isoformat(timespec="seconds")
        header = cls(space.name, size, device.fingerprint(), plan, reference, created, __version__)
        known_ms = [each.idle_reference_ms for each in earlier if each.header.times_like(header)]
        return replace(
            header,
            idle_reference_ms=min(
                (idle_reference_ms for idle_reference_ms in known_ms if idle_reference_ms is not None), default=None
            ),
        )

    def times_like(self, other: Header) -> bool:
        """Whether both campaigns time the same reference on the same device in the same way."""
        same_network = (self.space, self.size, self.reference) == (other.space, other.size, other.reference)
        same_way = all(getattr(self.plan, key) == getattr(other.plan, key) for key in ROUND)
        return same_network and same_way and not device_differences(self.device, other.device)

    def differences(self, asked: Header) -> list[str]:
        """The differences that make `asked` another campaign, one text each; empty if this one can continue."""
        found = [] if self.space == asked.space else [f"space is {self.space} there, {asked.space} here"]
        if self.size != asked.size:
            found.append(f"size is {self.size} there, {asked.size} here")
        found.extend(f"device: {text}" for text in device_differences(asked.device, self.device))
        there, here = self.plan.model_dump(), asked.plan.model_dump()
        found.extend(f"plan: {key} is {there[key]} there, {here[key]} here" for key in there if there[key] != here[key])
        return found

    def texts(self) -> dict[str, str]:
        """The header as texts by name, with the journal's schema."""
        return {
            "schema": SCHEMA,
            "space": self.space,
            "size": self.size.model_dump_json(),
            "device": json.dumps(dict(self.device)),
            "plan": self.plan.model_dump_json(),
            "reference": self.reference,
            "created": self.created,
            "version": self.version,
            **({} if self.idle_reference_ms is None else {"idle_reference_ms": repr(self.idle_reference_ms)}),
        }

    @classmethod
    def from_texts(cls, texts: Mapping[str, str]) -> Header:
        """The header from `texts`; raises `KeyError` or `ValueError` if they are incomplete."""
        texts = upgraded(dict(texts))
        return cls(
            space=texts["space"],
            size=NetworkSize.model_validate(upgraded(json.loads(texts["size"]))),
            device=json.loads(texts["device"]),
            plan=stored_plan(json.loads(texts["plan"])),
            reference=texts["reference"],
            created=texts["created"],
            version=texts["version"],
            idle_reference_ms=float(texts["idle_reference_ms"]) if "idle_reference_ms" in texts else None,
        )


def reference_of(space: Space) -> Architecture:
    """The reference network that shows drift, the same in all campaigns of a space."""
    return space.sample(1, seed=REFERENCE_SEED)[0]


@dataclass(frozen=True)
class ReferenceRound:
    """One round of the reference network.

    Attributes:
        block: the index of the block.
        round: the index of the block's round.
        place: its index in that round, from 0.
        start_s: the device's clock at the start.
        end_s: the device's clock at the end.
        samples_ms: milliseconds of each timed run.
        background_cores: mean number of cores used by others; None if unknown.
        priority: the granted priority: "real-time", "high" or "normal".
    """

    block: int
    round: int
    place: int
    start_s: float
    end_s: float
    samples_ms: tuple[float, ...]
    background_cores: float | None = None
    priority: str = "normal"

    @property
    def key(self) -> tuple[int, int, int]:
        """Block, round and place, which identify the round."""
        return (self.block, self.round, self.place)


@dataclass
class CampaignState:
    """The whole content of a journal.

    Attributes:
        header: metadata of the campaign.
        clock_s: the device's clock at the end of the last round.
        blocks: text forms of the networks of each block, in the order of requests.
        samples_ms: network -> index of the round -> samples.
        starts_s: network -> index of the round -> the device's clock at its start.
        references: rounds of the reference network, in temporal order.
        readings: readings of other costs than latency, by name of the cost.
    """

    header: Header
    clock_s: float = 0.0
    blocks: list[list[str]] = field(default_factory=list)
    samples_ms: dict[str, dict[int, list[float]]] = field(default_factory=dict)
    starts_s: dict[str, dict[int, float]] = field(default_factory=dict)
    references: dict[tuple[int, int, int], ReferenceRound] = field(default_factory=dict)
    readings: dict[str, Readings] = field(default_factory=dict)
    _known_drift: tuple[int, Drift] | None = field(default=None, repr=False, compare=False)
    _known_blocks: dict[str, int] = field(default_factory=dict, repr=False, compare=False)

    @property
    def networks(self) -> list[str]:
        """All networks, in the order of requests."""
        return [text for block in self.blocks for text in block]

    def add_network(self, block: int, text: str) -> None:
        """Add a network's row; raises `ValueError` if blocks are out of order."""
        if block == len(self.blocks):
            self.blocks.append([])
        if block != len(self.blocks) - 1:
            raise ValueError(f"block {block} follows block {len(self.blocks) - 1}")
        self.blocks[block].append(text)

    def add_round(self, text: str, index: int, start_s: float, samples_ms: list[float]) -> None:
        """Add a round's row; raises `ValueError` if its samples do not fit the plan."""
        repeats = self.header.plan.repeats
        if not _sound(samples_ms) or len(samples_ms) != repeats:
            raise ValueError(f"a round should hold {repeats} samples above zero, got {samples_ms}")
        self.samples_ms.setdefault(text, {})[index] = samples_ms
        self.starts_s.setdefault(text, {})[index] = start_s

    def add_reference(self, reference: ReferenceRound) -> None:
        """Add a row of the reference; raises `ValueError` if it has no samples or invalid ones."""
        if not reference.samples_ms or not _sound(reference.samples_ms):
            raise ValueError(f"a round of the reference should hold samples above zero, got {reference.samples_ms}")
        self.references[reference.key] = reference

    def rounds_done(self, text: str, before: int | None = None) -> int:
        """The number of a network's rounds; with `before`, only rounds with a smaller index."""
        return sum(before is None or index < before for index in self.samples_ms.get(text, ()))

    def latency(self, text: str, before: int | None = None) -> Estimate:
        """The latency of a network from all rounds, or from those with an index below `before`.

        Raises:
            UsageError: there are fewer than two rounds.
        """
        plan, starts_s = self.header.plan, self.starts_s.get(text, {})
        indices = [index for index in sorted(starts_s) if before is None or index < before]
        samples_ms = [self.samples_ms[text][index] for index in indices]
        if not plan.reference_every:
            return summarise(samples_ms, plan.statistic)
        drift, block = self._drift(), self._block_of(text)
        factors = [drift.factor(block, index, starts_s[index]) for index in indices]
        return summarise(samples_ms, plan.statistic, factors)

    def latencies(self) -> dict[str, Estimate]:
        """The latency of each network that has all rounds of the plan, in the order of requests."""
        rounds = self.header.plan.rounds
        return {text: self.latency(text) for text in self.networks if self.rounds_done(text) >= rounds}

    def _drift(self) -> Drift:
        """The drift from all timings of the reference so far; recomputed only after new ones."""
        if self._known_drift is None or self._known_drift[0] != len(self.references):
            timings: dict[tuple[int, int], list[tuple[float, float]]] = {}
            for reference in self.references.values():
                latency_ms = in_round(reference.samples_ms, self.header.plan.statistic)
                timings.setdefault((reference.block, reference.round), []).append((reference.start_s, latency_ms))
            self._known_drift = (len(self.references), Drift(timings, self.header.idle_reference_ms))
        return self._known_drift[1]

    @property
    def idle_reference_ms(self) -> float | None:
        """The reference's latency in ms on the machine at rest; None if unknown."""
        return self._drift().idle_reference_ms if self.references else self.header.idle_reference_ms

    def _block_of(self, text: str) -> int:
        """The index of a network's block."""
        if len(self._known_blocks) != len(self.networks):
            self._known_blocks = {text: number for number, block in enumerate(self.blocks) for text in block}
        return self._known_blocks[text]

    def drift_percent(self) -> float | None:
        """The spread of the reference's latency: from its 5th to its 95th percentile, in percent of its median.

        None if it has not been measured.
        """
        if not self.references:
            return None
        values = [in_round(reference.samples_ms, self.header.plan.statistic) for reference in self.references.values()]
        low, middle, high = np.percentile(values, [5, 50, 95])
        return float(100 * (high - low) / middle)

    def background_cores(self) -> float | None:
        """The mean number of cores used by others; None if unknown."""
        known = [r.background_cores for r in self.references.values() if r.background_cores is not None]
        return float(np.mean(known)) if known else None

    def priority(self) -> str | None:
        """The lowest priority of all timings: "real-time", "high" or "normal"; None before the first timing."""
        found = {reference.priority for reference in self.references.values()}
        return next((priority for priority in (NORMAL, HIGH, REALTIME) if priority in found), None)


def _sound(samples_ms: Sequence[float]) -> bool:
    return all(isinstance(sample, float) and math.isfinite(sample) and sample > 0 for sample in samples_ms)


# ----
# Readings of costs other than latency in a journal: three rounds of each network, apart in time.

ROUNDS = 3  # a reading covers a second of runs or has little noise, so it needs fewer rounds than a latency


def estimate_of(cost: str, readings: Iterable[Reading]) -> Estimate:
    """The estimate of a cost from at least two readings of a network, in the order of rounds."""
    kept = list(readings)
    rounds = tuple(reading.value for reading in kept)
    names = kept[0].beside
    beside = {name: float(np.median([reading.beside[name] for reading in kept])) for name in names}
    return Estimate(*median_interval(rounds), unit_of(cost), rounds, beside=beside)


@dataclass
class Readings:
    """All readings of one cost in a journal.

    Attributes:
        cost: its name.
        source: source of the readings.
        by_network: network -> index of the round -> reading.
    """

    cost: str
    source: str
    by_network: dict[str, dict[int, Reading]] = field(default_factory=dict)

    def add(self, text: str, index: int, reading: Reading) -> None:
        """Add a reading; raises `ValueError` if it is not above zero."""
        numbers = (reading.value, *reading.beside.values())
        if not all(isinstance(number, float) and math.isfinite(number) for number in numbers) or reading.value <= 0:
            raise ValueError(f"a reading should be above zero with finite numbers beside it, got {reading}")
        self.by_network.setdefault(text, {})[index] = reading

    def done(self, text: str, index: int) -> bool:
        """Whether a round of a network exists."""
        return index in self.by_network.get(text, {})

    def estimates(self) -> dict[str, Estimate]:
        """The cost of each network that has all rounds."""
        return {
            text: estimate_of(self.cost, (rounds[index] for index in sorted(rounds)))
            for text, rounds in self.by_network.items()
            if len(rounds) >= ROUNDS
        }


def readings_of(meters: Iterable[tuple[str, ...]], rows: Iterable[tuple[Any, ...]]) -> dict[str, Readings]:
    """The readings of a journal's rows, by cost; raises `ValueError`, `KeyError` or `TypeError` if they are invalid.

    Args:
        meters: rows of `meter`.
        rows: rows of `reading`.
    """
    found = {cost: Readings(cost, source) for cost, source in meters}
    if not found.keys() <= COSTS.keys():
        raise ValueError(f"costs should be of {', '.join(COSTS)}, got {', '.join(found)}")
    for cost, text, index, _, _, value, beside in rows:
        found[cost].add(text, index, Reading(value, dict(json.loads(beside))))
    return found
