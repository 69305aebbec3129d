"""The data of a report: plain frozen objects that a run fills and `page.py` shows."""

from __future__ import annotations

from dataclasses import field
from typing import Any

from pydantic.dataclasses import dataclass

from chronas.errors import DataError
from chronas.predictors import PredictorReport
from chronas.records import STRICT, Front, GivenResult, TrainedNetwork, TrialRecord, TwoDevices


@dataclass(frozen=True, config=STRICT)
class Verdict:
    """The result of a run in one sentence.

    Attributes:
        met: whether the limit is met; None without a limit.
        text: the sentence, with its numbers.
        warnings: reasons not to trust the network yet, each with what to do.
    """

    met: bool | None
    text: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, config=STRICT)
class SearchSummary:
    """One search and its records.

    Attributes:
        name: for people, for example "accuracy alone".
        space: name of its space, which names the rows and columns of alphas.
        history: one dict for each epoch, as `SearchResult.history`; each key gets a curve.
        scored: the found architecture first, then random ones; empty without a supernet.
        compared: the candidates of the choice, the chosen one first.
    """

    name: str
    space: str
    history: list[dict[str, Any]]
    scored: list[TrialRecord] = field(default_factory=list)
    compared: list[TrialRecord] = field(default_factory=list)


@dataclass(frozen=True, config=STRICT)
class Report:
    """Everything that the page shows.

    Attributes:
        title: the page's heading.
        created: date and time, ISO 8601.
        command: the command line that repeats the run.
        verdict: from `verdict_on`, or another sentence.
        limits: the limits by cost, in its unit.
        found: name of the network that is the run's result; None without one.
        test_images: number of test images; None if unknown.
        asked: the user's request, label -> value.
        device: fingerprint of the device.
        plan: settings of the measurement.
        measured: quality of the measurement, label -> text: interval, repeatability, drift, load, checks.
        predictor: quality of the predictor on unseen architectures, or None.
        searches: the searches, in the order of display.
        networks: all trained networks, including the found one.
        files: file name -> description.
        timings: seconds by step, in the order of steps.
        notes: warnings and remarks of the run.
        versions: package -> version.
        two: comparison with another device, if the run reuses another run.
        front: the Pareto front, if it was asked for and found.
        beside: the found network and the user's own, measured side by side; empty if none were given.
        examples: a picture of some training images of each class, PNG in base64, or None.
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
    beside: tuple[GivenResult, ...] = ()
    examples: str | None = None

    @property
    def in_float32(self) -> bool:
        """Whether no network was quantised to int8."""
        return all(network.float32_accuracy_percent is None for network in self.networks)

    def answer(self) -> TrainedNetwork | None:
        """The found network, or None without one.

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
