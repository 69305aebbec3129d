"""Plain data that every part of chronas shares: estimates, trials, networks, fronts.

Records that are kept in files hold architectures as text; a `Trial` holds the `Architecture` object.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as checked

from chronas.progress import Displayed
from chronas.units import LATENCY, amount_text

if TYPE_CHECKING:
    from chronas.spaces import Architecture

STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)
Percent = Annotated[float, Field(ge=0, le=100)]
Role = Literal["weight-0", "latency-term", "limit", "random", "random-search"]
Source = Literal["measured", "table", "predicted"]


@dataclass(frozen=True, repr=False)
class Estimate(Displayed):
    """A cost of a network with its 95 % interval, in `unit`.

    Attributes:
        value: the value that tables, predictors and limits use; for measurements, the median over rounds.
        low: lower end of the 95 % interval of `value`.
        high: upper end of it; a limit counts as kept if this end is within it.
        unit: ms, mJ, MiB, or for a user's own cost the last part of its name.
        rounds: the value of each round, if rounds are known; latencies are divided by the drift if the plan says so.
        source: "measured" on this machine, from the "table" of a device that is not here, or "predicted".
        predicted: the predictor's value before the measurement; None without a predictor.
        median: median of all single runs; None if they are not known.
        p95: 95th percentile of all single runs; None if they are not known.
        beside: the median over rounds of each additional reading, by name.
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

    def __repr__(self) -> str:
        return f"Estimate({self}, {self.source})"


@dataclass(frozen=True)
class Trial(Displayed):
    """An architecture that a search proposed, with everything known about it.

    Attributes:
        architecture: an architecture of the searched space.
        costs: each cost that the search can predict, by name, in its unit.
        score: accuracy in percent on the search's validation images, or another score where higher is better; nan if
            the architecture was not evaluated.
        origin: name of the searcher.
        log_probability: natural logarithm of its probability under the searcher's distribution.
        quality: estimated quality without costs, comparable among the trials of one search; higher is better; nan if
            the search has no estimate.
        value: the value that a black-box search minimises: the share of wrong images plus weight * predicted cost /
            median for each cost; nan if the architecture was not evaluated.
        penalty: the part of `value` that comes from costs.
        losses: training loss and validation loss, if they are known.
        place: position in the searcher's own order of the candidates compared at the end, from 1; 0 without a
            comparison.
        rank: mean of its ranks in that comparison, from 1; the smallest was chosen.
        margin: the number of standard deviations by which it had to stay below the limits; 0 if no compared candidate
            did.
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
        """Predicted relative violations, summed over the limits; 0 if all limits are kept."""
        return violation(self.costs, limits)

    def __repr__(self) -> str:
        score = [] if math.isnan(self.score) else [f"score {self.score:.2f}"]
        costs = [f"{name} {cost:.4g}" for name, cost in self.costs.items()]
        return f"Trial({', '.join([str(self.architecture), *score, *costs])})"


def violation(costs: Mapping[str, float], limits: Mapping[str, float]) -> float:
    """Relative violations of limits, summed; 0 if all are kept. Costs and limits by name, in the same unit."""
    return sum((max(costs[name] - limit, 0.0) / limit for name, limit in limits.items()), 0.0)


def amounts_text(costs: Mapping[str, float]) -> str:
    """Costs by name in words: `12 ms and 30 mJ`."""
    return " and ".join(amount_text(name, value) for name, value in costs.items())


@checked(frozen=True, config=STRICT)
class TrialRecord:
    """A trial as stored in files.

    Attributes:
        architecture: text form.
        score: accuracy in percent in the search; None if the architecture was not evaluated.
        costs: costs by name.
        place: as in `Trial`.
        rank: as in `Trial`.
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
class Confusion:
    """The classes that a network names for the test images of each class.

    Attributes:
        class_names: the K classes.
        counts: counts[i][j] images of class i were named class j; K x K.
    """

    class_names: tuple[str, ...]
    counts: list[list[int]]

    @property
    def images(self) -> list[int]:
        """The number of test images of each class."""
        return [sum(row) for row in self.counts]

    @property
    def accuracy_percent(self) -> float:
        """The share of images that were named rightly, in percent."""
        return 100.0 * sum(row[k] for k, row in enumerate(self.counts)) / sum(self.images)

    @property
    def class_accuracies_percent(self) -> list[float | None]:
        """The accuracy on the images of each class, in percent; None for a class without test images."""
        return [100.0 * row[k] / total if (total := sum(row)) else None for k, row in enumerate(self.counts)]

    @property
    def balanced_accuracy_percent(self) -> float:
        """The mean accuracy of the classes, in percent: what guessing cannot raise by naming frequent classes."""
        known = [accuracy for accuracy in self.class_accuracies_percent if accuracy is not None]
        return sum(known) / len(known)

    @property
    def largest_class_percent(self) -> float:
        """The share of the largest class, in percent: the accuracy of always naming it."""
        return 100.0 * max(self.images) / sum(self.images)


@checked(frozen=True, config=STRICT)
class GivenResult:
    """A network that was measured and tested beside others.

    Attributes:
        name: its file or function, or that the run found it.
        accuracy_percent: on the test images.
        balanced_accuracy_percent: the mean accuracy of the classes.
        latency: measured in the same rounds as the others.
        macs: for one example; None if they are not known.
        parameters: numbers in its weights.
    """

    name: str
    accuracy_percent: Percent
    balanced_accuracy_percent: Percent
    latency: Estimate
    macs: int | None
    parameters: int


@checked(frozen=True, config=STRICT)
class BesideNetworks:
    """The network that a run found, and networks of the user.

    Attributes:
        networks: the found one first.
    """

    networks: tuple[GivenResult, ...]


@checked(frozen=True, config=STRICT)
class TrainedNetwork:
    """One network that was trained and measured.

    Attributes:
        name: for people, unique in a report.
        role: its role in the comparison; sets its mark in the figures.
        architecture: text form, in the space called `space`.
        accuracy_percent: on the test images; in int8, that of the int8 file.
        validation_accuracy_percent: of the kept checkpoint, on the images used to choose that checkpoint.
        costs: costs by name, latency first.
        macs: per image.
        parameters: number of weights, without an auxiliary head.
        training_s: time that training from scratch took.
        confusion: what it says about each class; None for networks of earlier versions.
        still_learning: whether its training ended while its loss was still falling fast.
        float32_accuracy_percent: in int8, its accuracy on the test images before it was quantised; None otherwise.
        int8_latency_share: in int8, its latency as a share of that in float32 in the same rounds; None if unknown.
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
    confusion: Confusion | None = None
    still_learning: bool = False
    float32_accuracy_percent: Percent | None = None
    int8_latency_share: float | None = None

    @property
    def int8_loss(self) -> float | None:
        """The points of accuracy that int8 costs, below zero for a gain; None if it does not compute in int8."""
        known = self.float32_accuracy_percent
        return None if known is None else known - self.accuracy_percent

    @property
    def latency(self) -> Estimate:
        """The latency; `predicted` is None without a predictor."""
        return self.costs[LATENCY]

    @property
    def source(self) -> Source:
        """The source of the costs: measured, a table, or predicted."""
        return self.latency.source


@checked(frozen=True, config=STRICT)
class FrontNetwork:
    """One network of a front.

    Attributes:
        architecture: text form.
        accuracy_percent: on the search's validation images, with the search's weights; the network is not trained yet.
        latency: predicted, and then measured or looked up.
        dominated: whether a network with higher accuracy in the search is at least as fast.
        missed: names of the costs that exceed the run's limits.
        folder: the folder below the run's with its weights and files; None if the search gives no weights.
        test_percent: accuracy on the test images with these weights.
    """

    architecture: str
    accuracy_percent: Percent
    latency: Estimate
    dominated: bool
    missed: list[str] = field(default_factory=list)
    folder: str | None = None
    test_percent: Percent | None = None


@checked(frozen=True, config=STRICT)
class Front:
    """Networks from fast to accurate that one search found.

    Attributes:
        networks: networks by rising predicted latency and rising accuracy in the search; networks that miss a limit do
            not count for the hypervolume.
        reference_ms: latency of the reference point: the slowest network of the table.
        reference_percent: accuracy of the reference point: random guessing.
        hypervolume: the area that the networks dominate, up to the reference point, in ms times percent.
        share: hypervolume as a share of the whole area between the reference point and zero latency at 100 %.
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
        limits: limits of its search, by cost, in the unit of the cost.
        search_s: time that its search took; None where unknown.
        kendall_again: rank correlation of the first and the last rounds of its table; None if unknown.
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
        accuracy_percent: on the test images; None if it was not trained.
        costs: costs by name, for each device.
    """

    architecture: str
    accuracy_percent: Percent | None
    costs: list[dict[str, Estimate]]

    @property
    def sources(self) -> list[Source]:
        """The source of the costs, for each device."""
        return [each[LATENCY].source for each in self.costs]


@checked(frozen=True, config=STRICT)
class TwoDevices:
    """Results of searching one supernet for two devices; the device it was trained for comes first.

    Attributes:
        space: name of the networks' space.
        devices: the two devices.
        networks: the networks found for each device.
        architectures: number of random architectures in the tables of both devices.
        pairs_percent: share of their pairs that both devices rank the same way; None without pairs.
        kendall: rank correlation of the two devices; None if it is not defined.
    """

    space: str
    devices: list[SearchedDevice]
    networks: list[NetworkOnBoth]
    architectures: int
    pairs_percent: Percent | None
    kendall: float | None
