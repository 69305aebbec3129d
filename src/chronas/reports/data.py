"""What a report holds: plain frozen data that a run fills, with a JSON round trip; `page.py` makes a page of it."""

from __future__ import annotations

from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from chronas.errors import DataError
from chronas.files import read_json, write_json
from chronas.measurement import Latency
from chronas.predictors import PredictorReport

SCHEMA = "chronas.report/1"
STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)
Percent = Annotated[float, Field(ge=0, le=100)]
Role = Literal["weight-0", "latency-term", "limit", "random", "random-search"]
Source = Literal["measured", "table", "predicted"]


@dataclass(frozen=True, config=STRICT)
class Verdict:
    """The answer of a run in one sentence.

    Attributes:
        met: whether the limit is met; None where none was asked for.
        text: the sentence, with its numbers.
    """

    met: bool | None
    text: str


@dataclass(frozen=True, config=STRICT)
class NetworkCost:
    """One cost of one network, in the unit that its name tells.

    Attributes:
        predicted: before it was looked at; None where there was no predictor.
        value: what it is.
        low: lower end of the 95 % interval of `value`.
        high: upper end of it; a limit is kept if this is within.
    """

    predicted: float | None
    value: float
    low: float
    high: float


@dataclass(frozen=True, config=STRICT)
class JudgedCandidate:
    """A candidate that was judged before one was chosen.

    Attributes:
        architecture: text form.
        place: in the searcher's own order, from 1.
        accuracy_percent: by the supernet's shared weights; None where there are none.
        rank: mean of its ranks; the smallest was chosen.
        predicted: costs by name.
    """

    architecture: str
    place: int
    accuracy_percent: Percent | None
    rank: float
    predicted: dict[str, float]


@dataclass(frozen=True, config=STRICT)
class Scored:
    """One architecture by the shared weights of a supernet: accuracy on the search's validation images, and latency."""

    architecture: str
    accuracy_percent: Percent
    latency_ms: float


@dataclass(frozen=True, config=STRICT)
class SearchSummary:
    """One search and what it recorded.

    Attributes:
        name: for people, for example "accuracy alone".
        space: name of its space, by which the logits' rows and columns are named.
        history: one dict an epoch, as `Found.history`; a curve is drawn of each key that is there.
        scored: the found architecture first, then random ones; empty where there is no supernet.
        judged: the candidates that the network was chosen among, the chosen one first.
    """

    name: str
    space: str
    history: list[dict[str, Any]]
    scored: list[Scored] = field(default_factory=list)
    judged: list[JudgedCandidate] = field(default_factory=list)


@dataclass(frozen=True, config=STRICT)
class TrainedNetwork:
    """One network that was trained and measured.

    Attributes:
        name: for people, unique in the report.
        role: what it stands for; sets its mark in the figures.
        architecture: text form, in the space called `space`.
        accuracy_percent: on the test images.
        validation_accuracy_percent: of the kept checkpoint, on images that chose it.
        predicted_ms: by the predictor, before measuring; None where there was no predictor.
        measured: the network's latency with its interval, measured unless `source` says otherwise.
        macs: per image.
        parameters: without an auxiliary head.
        training_s: time that training from scratch took.
        others: costs beside the latency, by name.
        source: how the costs are known: measured, of the table of a device that is not here, or predicted for one.
    """

    name: str
    role: Role
    architecture: str
    space: str
    accuracy_percent: Percent
    validation_accuracy_percent: Percent | None
    predicted_ms: float | None
    measured: Latency
    macs: int
    parameters: int
    training_s: float
    others: dict[str, NetworkCost] = field(default_factory=dict)
    source: Source = "measured"

    @property
    def costs(self) -> dict[str, NetworkCost]:
        """All costs by name, the latency first."""
        latency = self.measured
        own = NetworkCost(self.predicted_ms, latency.value_ms, latency.low_ms, latency.high_ms)
        return {"latency_ms": own, **self.others}


@dataclass(frozen=True, config=STRICT)
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


@dataclass(frozen=True, config=STRICT)
class NetworkOnBoth:
    """A network that was found for one of two devices.

    Attributes:
        architecture: text form.
        accuracy_percent: on the test images; None where it was not trained.
        costs: by name, for each device.
        sources: how they are known, for each device.
    """

    architecture: str
    accuracy_percent: Percent | None
    costs: list[dict[str, NetworkCost]]
    sources: list[Source]


@dataclass(frozen=True, config=STRICT)
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


@dataclass(frozen=True, config=STRICT)
class FrontNetwork:
    """One network of a front.

    Attributes:
        architecture: text form.
        accuracy_percent: on the search's validation images, as the search sees it; it is not trained yet.
        latency: predicted, and as it was found.
        source: how that was found.
        dominated: whether one that the search holds for better was found to be at least as fast.
        missed: names of the costs that were found above the run's limits.
    """

    architecture: str
    accuracy_percent: Percent
    latency: NetworkCost
    source: Source
    dominated: bool
    missed: list[str] = field(default_factory=list)


@dataclass(frozen=True, config=STRICT)
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


@dataclass(frozen=True, config=STRICT)
class Report:
    """All that the page shows.

    Attributes:
        title: the page's heading.
        created: when, as ISO 8601.
        command: the command line that repeats the run.
        verdict: from `words.judge`, or one's own.
        limits: the limits that were asked for, by cost, in its unit.
        found: the name of the network that is the run's answer; None where the run ended without one.
        test_images: how many images the test accuracies are of; None where unknown.
        asked: what was asked, label -> value.
        device: the fingerprint.
        plan: of measuring.
        measured: how well it was measured, label -> text: interval, repeatability, drift, load, checks.
        predictor: quality on architectures that it was not fitted to, or None.
        searches: in the order to show.
        networks: all that were trained, the found one among them.
        files: file name -> what it is.
        timings: seconds by step, in the order of steps.
        notes: warnings and remarks of the run.
        versions: package -> version.
        two: beside another device, where the run searched over another run's supernet.
        front: where one was asked for, and is found.
    """

    title: str
    created: str
    command: str
    verdict: Verdict
    limits: dict[str, float]
    found: str | None
    test_images: int | None
    asked: dict[str, str]
    device: dict[str, str | int | float]
    plan: dict[str, str | int | float]
    measured: dict[str, str]
    predictor: PredictorReport | None
    searches: list[SearchSummary]
    networks: list[TrainedNetwork]
    files: dict[str, str]
    timings: dict[str, float]
    notes: list[str]
    versions: dict[str, str]
    two: TwoDevices | None = None
    front: Front | None = None

    def answer(self) -> TrainedNetwork | None:
        """The found network, or None where the run ended without one.

        Raises:
            DataError: no network of the report has the name in `found`.
        """
        if self.found is None:
            return None
        for network in self.networks:
            if network.name == self.found:
                return network
        names = ", ".join(network.name for network in self.networks) or "none"
        raise DataError(f"the report's found network {self.found!r} is not among its networks: {names}")


def save_report(path: Path, report: Report) -> None:
    """Write a report as JSON by one atomic rename; raises as `files.write_bytes`."""
    write_json(path, SCHEMA, TypeAdapter(Report).dump_python(report, mode="json"))


def load_report(path: Path) -> Report:
    """Read a report that `save_report` wrote.

    Raises:
        DataError: the file is missing, damaged, or no report of this version.
    """
    try:
        return TypeAdapter(Report).validate_python(read_json(path, SCHEMA))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise DataError(
            f"{path} is not a report: {where}: {first['msg']}; make it again with `chronas report`"
        ) from error
