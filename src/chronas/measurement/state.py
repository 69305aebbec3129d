"""What a journal says: whose campaign it is, its networks in blocks, and all samples of all rounds."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import numpy as np

from chronas import __version__
from chronas.devices import HIGH, NORMAL, REALTIME, Device, device_differences
from chronas.measurement.drift import Drift
from chronas.measurement.readings import Readings
from chronas.measurement.timing import Plan, in_round, stored_plan, summarise
from chronas.records import Estimate
from chronas.schemas import upgraded
from chronas.spaces import Architecture, NetworkSize, Space

SCHEMA = "chronas.journal/3"
BEFORE_RENAMING = "chronas.journal/2"  # with other names of some keys; still read, and gone on with
BEFORE_DRIFT = "chronas.journal/1"  # without a division by the reference's drift; still read, and gone on with
REFERENCE_SEED = (
    1_234_567  # gives a network of middling cost in each space, and hardly one that a campaign measures too
)

ROUND = ("warmup", "repeats", "statistic", "priority")  # what of a plan a round's latency depends on


@dataclass(frozen=True)
class Header:
    """Whose campaign a journal is.

    Attributes:
        space: its name.
        size: what the networks were built into.
        device: the device's fingerprint.
        plan: how the networks are measured.
        reference: the text form of the reference network.
        created: date and time (UTC, ISO 8601).
        version: of chronas.
        idle_reference_ms: the reference's latency on the machine at rest, as earlier campaigns saw it; None where none
            did.
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
        """The header of a campaign that begins now; its reference is the same network for all campaigns of a space.

        Args:
            space: of the networks.
            size: what they are built into.
            device: where they run.
            plan: how they are measured.
            earlier: campaigns that may know the machine at rest: those that timed the same reference alike do.
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
        """What makes `asked` another campaign than this one, one text a difference; empty where it can go on."""
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
        """The header that `texts` came from; raises `KeyError` or `ValueError` where it is incomplete."""
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
    """The network that shows drift: the same one in all campaigns of a space."""
    return space.sample(1, seed=REFERENCE_SEED)[0]


@dataclass(frozen=True)
class ReferenceRound:
    """One round of the reference network.

    Attributes:
        block: the number of the block.
        round: the number of the block's round.
        place: its number in that round, from 0.
        start_s: the device's clock at the start.
        end_s: the device's clock at the end.
        samples_ms: milliseconds of each timed run.
        background_cores: how many cores others used at that time; None where that is not known.
        priority: what the system granted: "real-time", "high" or "normal".
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
        """Block, round and place: there is one such round."""
        return (self.block, self.round, self.place)


@dataclass
class CampaignState:
    """All that a journal holds.

    Attributes:
        header: whose campaign it is.
        clock_s: the device's clock at the end of the last round.
        blocks: text forms of the networks that are measured together, in the order in which they were asked for.
        samples_ms: by network and number of the round.
        starts_s: the device's clock at the start of each round, likewise.
        references: rounds of the reference network, in the order of time.
        readings: of costs other than latency, by the cost's name.
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
        """All networks, in the order in which they were asked for."""
        return [text for block in self.blocks for text in block]

    def add_network(self, block: int, text: str) -> None:
        """Take up a row about a network; raises `ValueError` where blocks are not in order."""
        if block == len(self.blocks):
            self.blocks.append([])
        if block != len(self.blocks) - 1:
            raise ValueError(f"block {block} follows block {len(self.blocks) - 1}")
        self.blocks[block].append(text)

    def add_round(self, text: str, index: int, start_s: float, samples_ms: list[float]) -> None:
        """Take up a row about a round; raises `ValueError` where its samples are not those of the plan."""
        repeats = self.header.plan.repeats
        if not _sound(samples_ms) or len(samples_ms) != repeats:
            raise ValueError(f"a round should hold {repeats} samples above zero, got {samples_ms}")
        self.samples_ms.setdefault(text, {})[index] = samples_ms
        self.starts_s.setdefault(text, {})[index] = start_s

    def add_reference(self, reference: ReferenceRound) -> None:
        """Take up a row about the reference; raises `ValueError` where it has no samples or strange ones."""
        if not reference.samples_ms or not _sound(reference.samples_ms):
            raise ValueError(f"a round of the reference should hold samples above zero, got {reference.samples_ms}")
        self.references[reference.key] = reference

    def rounds_done(self, text: str, before: int | None = None) -> int:
        """How many rounds of a network are there, in all or of those with a number below `before`."""
        return sum(before is None or index < before for index in self.samples_ms.get(text, ()))

    def latency(self, text: str, before: int | None = None) -> Estimate:
        """The latency of a network from all rounds, or those with a number below `before`.

        Raises:
            UsageError: there are fewer than two of them.
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
        """The latency of each network that has all the rounds of the plan, in the order in which they were asked."""
        rounds = self.header.plan.rounds
        return {text: self.latency(text) for text in self.networks if self.rounds_done(text) >= rounds}

    def _drift(self) -> Drift:
        """The drift by all timings of the reference so far; worked out again only when there are new ones."""
        if self._known_drift is None or self._known_drift[0] != len(self.references):
            timings: dict[tuple[int, int], list[tuple[float, float]]] = {}
            for reference in self.references.values():
                latency_ms = in_round(reference.samples_ms, self.header.plan.statistic)
                timings.setdefault((reference.block, reference.round), []).append((reference.start_s, latency_ms))
            self._known_drift = (len(self.references), Drift(timings, self.header.idle_reference_ms))
        return self._known_drift[1]

    @property
    def idle_reference_ms(self) -> float | None:
        """The reference's latency on the machine at rest, as far as is known; None where it was never timed."""
        return self._drift().idle_reference_ms if self.references else self.header.idle_reference_ms

    def _block_of(self, text: str) -> int:
        """The number of a network's block."""
        if len(self._known_blocks) != len(self.networks):
            self._known_blocks = {text: number for number, block in enumerate(self.blocks) for text in block}
        return self._known_blocks[text]

    def drift_percent(self) -> float | None:
        """How far the reference network's latency moved: from its 5th to its 95th percentile, in percent of its median.

        None where it was not measured yet.
        """
        if not self.references:
            return None
        values = [in_round(reference.samples_ms, self.header.plan.statistic) for reference in self.references.values()]
        low, middle, high = np.percentile(values, [5, 50, 95])
        return float(100 * (high - low) / middle)

    def background_cores(self) -> float | None:
        """How many cores others used meanwhile, in the mean; None where that is not known."""
        known = [r.background_cores for r in self.references.values() if r.background_cores is not None]
        return float(np.mean(known)) if known else None

    def priority(self) -> str | None:
        """The lowest priority at which was timed: "real-time", "high" or "normal"; None before the first timing."""
        found = {reference.priority for reference in self.references.values()}
        return next((priority for priority in (NORMAL, HIGH, REALTIME) if priority in found), None)


def _sound(samples_ms: Sequence[float]) -> bool:
    return all(isinstance(sample, float) and math.isfinite(sample) and sample > 0 for sample in samples_ms)
