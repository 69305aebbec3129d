"""What chronas finds out, as plain data that every part of it shares: estimates, trials, networks, fronts.

Texts stand for architectures where records are kept in files; a `Trial` has the architecture itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as checked

from chronas.units import LATENCY, amount_text

if TYPE_CHECKING:
    from chronas.spaces import Architecture

STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)
Percent = Annotated[float, Field(ge=0, le=100)]
Role = Literal["weight-0", "latency-term", "limit", "random", "random-search"]
Source = Literal["measured", "table", "predicted"]


@dataclass(frozen=True)
class Estimate:
    """A cost of a network with its 95 % interval, in `unit`.

    Attributes:
        value: what tables, predictors and limits use; of measurements the median over rounds.
        low: lower end of the 95 % interval of `value`.
        high: upper end of it; a limit is kept if this is within.
        unit: ms, mJ, MiB, or the end of the name of a cost of one's own.
        rounds: the value of each round, as far as rounds are known; of latencies divided by the drift where the plan
            says so.
        source: "measured" here, of the "table" of a device that is not here, or "predicted" for one.
        predicted: by a predictor, before it was looked at; None where there was none.
        median: of all single runs; None where they are not known.
        p95: the 95th percentile of all single runs; None where they are not known.
        beside: the median over rounds of what was noted beside, by name.
    """

    value: float
    low: float
    high: float
    unit: str = ""
    rounds: tuple[float, ...] = ()
    source: Source = "measured"
    predicted: float | None = None
    median: float | None = None
    p95: float | None = None
    beside: Mapping[str, float] = field(default_factory=dict)

    @property
    def half_width_percent(self) -> float:
        """Half the interval's width, in percent of the value."""
        return 100 * (self.high - self.low) / 2 / self.value

    def __str__(self) -> str:
        return f"{self.value:.4g} {self.unit} ({self.low:.4g} to {self.high:.4g})"


@dataclass(frozen=True)
class Trial:
    """An architecture that a search proposed, and what became known of it.

    Attributes:
        architecture: of the searched space.
        costs: each cost that the search can predict, by name, in its unit.
        score: accuracy in percent on the search's validation images, or whatever else is better the higher it is; nan
            where it was not looked at.
        origin: name of the searcher.
        log_probability: natural logarithm of its probability under the searcher's distribution.
        quality: how good it should be, costs aside; the higher the better, among the trials of one search; nan where
            the search does not say.
        value: what a search by samples minimises: the share of wrong images, plus each weight * predicted cost /
            median; nan where it was not looked at.
        penalty: the second part of it.
        losses: of training and of validation, where they are known.
        place: in the searcher's own order of those that were compared at the end, from 1; 0 where none were.
        rank: mean of its ranks in that comparison, from 1; the smallest was chosen.
        margin: the standard deviations that it was asked to stay below the limits; 0 where none of the compared did.
    """

    architecture: Architecture
    costs: Mapping[str, float] = field(default_factory=dict)
    score: float = math.nan
    origin: str = ""
    log_probability: float = -math.inf
    quality: float = math.nan
    value: float = math.nan
    penalty: float = 0.0
    losses: tuple[float, ...] = ()
    place: int = 0
    rank: float = 0.0
    margin: float = 0.0

    def violation(self, limits: Mapping[str, float]) -> float:
        """How far it is predicted outside: relative violations summed over the limits, 0 where it keeps them all."""
        return violation(self.costs, limits)

    def __repr__(self) -> str:
        score = [] if math.isnan(self.score) else [f"score {self.score:.2f}"]
        costs = [f"{name} {cost:.4g}" for name, cost in self.costs.items()]
        return f"Trial({', '.join([str(self.architecture), *score, *costs])})"


def violation(costs: Mapping[str, float], limits: Mapping[str, float]) -> float:
    """Relative violations of limits, summed; 0 where all are kept. Costs and limits by name, in the same unit."""
    return sum((max(costs[name] - limit, 0.0) / limit for name, limit in limits.items()), 0.0)


def amounts_text(costs: Mapping[str, float]) -> str:
    """Costs by name in words: `12 ms and 30 mJ`."""
    return " and ".join(amount_text(name, value) for name, value in costs.items())


@checked(frozen=True, config=STRICT)
class TrialRecord:
    """A trial as files have it.

    Attributes:
        architecture: text form.
        score: accuracy in percent by the search; None where it was not looked at.
        costs: by name.
        place: as of a `Trial`.
        rank: as of a `Trial`.
    """

    architecture: str
    score: float | None = None
    costs: dict[str, float] = field(default_factory=dict)
    place: int = 0
    rank: float = 0.0

    @classmethod
    def of(cls, trial: Trial) -> TrialRecord:
        """The record of a trial."""
        score = None if math.isnan(trial.score) else trial.score
        return cls(str(trial.architecture), score, dict(trial.costs), trial.place, trial.rank)


@checked(frozen=True, config=STRICT)
class TrainedNetwork:
    """One network that was trained and measured.

    Attributes:
        name: for people, unique in a report.
        role: what it stands for; sets its mark in the figures.
        architecture: text form, in the space called `space`.
        accuracy_percent: on the test images.
        validation_accuracy_percent: of the kept checkpoint, on images that chose it.
        costs: by name, the latency first.
        macs: per image.
        parameters: without an auxiliary head.
        training_s: time that training from scratch took.
    """

    name: str
    role: Role
    architecture: str
    space: str
    accuracy_percent: Percent
    validation_accuracy_percent: Percent | None
    costs: dict[str, Estimate]
    macs: int
    parameters: int
    training_s: float

    @property
    def latency(self) -> Estimate:
        """The latency; `predicted` is None where there was no predictor."""
        return self.costs[LATENCY]

    @property
    def source(self) -> Source:
        """How the costs are known."""
        return self.latency.source


@checked(frozen=True, config=STRICT)
class FrontNetwork:
    """One network of a front.

    Attributes:
        architecture: text form.
        accuracy_percent: on the search's validation images, as the search sees it; it is not trained yet.
        latency: predicted, and as it was found.
        dominated: whether one that the search holds for better was found to be at least as fast.
        missed: names of the costs that were found above the run's limits.
    """

    architecture: str
    accuracy_percent: Percent
    latency: Estimate
    dominated: bool
    missed: list[str] = field(default_factory=list)


@checked(frozen=True, config=STRICT)
class Front:
    """Networks from fast to accurate that one search found.

    Attributes:
        networks: by rising predicted latency, each better than the one before, as the search sees it; those that miss a
            limit count for nothing.
        reference_ms: latency of the reference point: of the slowest network of the table.
        reference_percent: accuracy of the reference point: that of guessing.
        hypervolume: the area that the networks beat, up to the reference point, in ms times percent.
        share: the same, of all that there is between no latency, 100 % and the reference point.
    """

    networks: list[FrontNetwork]
    reference_ms: float
    reference_percent: Percent
    hypervolume: float
    share: float


@checked(frozen=True, config=STRICT)
class SearchedDevice:
    """One of two devices that a supernet was searched for.

    Attributes:
        name: for people; the two names differ.
        limits: of its search, by cost, in its unit.
        search_s: time that its search took; None where unknown.
        kendall_again: how well its table's first rounds rank like its last ones; None where that is not known.
    """

    name: str
    limits: dict[str, float]
    search_s: float | None
    kendall_again: float | None


@checked(frozen=True, config=STRICT)
class NetworkOnBoth:
    """A network that was found for one of two devices.

    Attributes:
        architecture: text form.
        accuracy_percent: on the test images; None where it was not trained.
        costs: by name, for each device.
    """

    architecture: str
    accuracy_percent: Percent | None
    costs: list[dict[str, Estimate]]

    @property
    def sources(self) -> list[Source]:
        """How the costs are known, for each device."""
        return [each[LATENCY].source for each in self.costs]


@checked(frozen=True, config=STRICT)
class TwoDevices:
    """What was found for two devices over one supernet, the one it was trained for first.

    Attributes:
        space: of the networks.
        devices: both.
        networks: what was found for each of them.
        architectures: how many random architectures the tables of both devices hold.
        pairs_percent: of their pairs, how many both devices rank the same way; None where there are none.
        kendall: rank correlation of the two devices; None where it is not defined.
    """

    space: str
    devices: list[SearchedDevice]
    networks: list[NetworkOnBoth]
    architectures: int
    pairs_percent: Percent | None
    kendall: float | None
