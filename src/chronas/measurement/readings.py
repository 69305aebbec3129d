"""Readings of costs other than latency in a journal: three rounds of each network, apart in time."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from chronas.measurement.meter import COSTS, Reading
from chronas.measurement.timing import median_interval
from chronas.records import Estimate
from chronas.units import unit_of

ROUNDS = 3  # a reading covers a second of runs or has little noise, so it needs fewer rounds than a latency
TABLES = """
CREATE TABLE IF NOT EXISTS meter (cost TEXT PRIMARY KEY, source TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS reading (
    cost TEXT NOT NULL, architecture TEXT NOT NULL, round INTEGER NOT NULL,
    start_s REAL NOT NULL, end_s REAL NOT NULL, value REAL NOT NULL, beside TEXT NOT NULL,
    PRIMARY KEY (cost, architecture, round)
);
"""
ROWS = "SELECT cost, architecture, round, value, beside FROM reading"


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


def readings_of(
    meters: Iterable[tuple[str, str]], rows: Iterable[tuple[str, str, int, float, str]]
) -> dict[str, Readings]:
    """The readings of a journal's rows, by cost; raises `ValueError`, `KeyError` or `TypeError` if they are invalid.

    Args:
        meters: cost and source of each meter.
        rows: rows that `ROWS` selects.
    """
    found = {cost: Readings(cost, source) for cost, source in meters}
    if not found.keys() <= COSTS.keys():
        raise ValueError(f"costs should be of {', '.join(COSTS)}, got {', '.join(found)}")
    for cost, text, index, value, beside in rows:
        found[cost].add(text, index, Reading(value, dict(json.loads(beside))))
    return found
