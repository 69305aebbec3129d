"""The report: plain frozen data that a run fills; `page.py` makes a page of it."""

from __future__ import annotations

from dataclasses import field
from typing import Any

from pydantic.dataclasses import dataclass

from chronas.errors import DataError
from chronas.predictors import PredictorReport
from chronas.records import STRICT, Front, TrainedNetwork, TrialRecord, TwoDevices


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
class SearchSummary:
    """One search and what it recorded.

    Attributes:
        name: for people, for example "accuracy alone".
        space: name of its space, by which the logits' rows and columns are named.
        history: one dict an epoch, as `Found.history`; a curve is drawn of each key that is there.
        scored: the found architecture first, then random ones; empty where there is no supernet.
        compared: the candidates that the network was chosen among, the chosen one first.
    """

    name: str
    space: str
    history: list[dict[str, Any]]
    scored: list[TrialRecord] = field(default_factory=list)
    compared: list[TrialRecord] = field(default_factory=list)


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
