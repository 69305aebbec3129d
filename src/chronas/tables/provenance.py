"""How well measurements agree with themselves: no predictor can be expected to do better.

The first and the last rounds of a campaign share its process and its hour, though networks are built anew in between; a
check measures a sample again in new rounds.

Where the numbers of a table come from; kept in the file's metadata.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from pydantic import ValidationError

from chronas.errors import DataError
from chronas.schemas import upgraded
from chronas.spaces import NetworkSize

FEWEST = 3


@dataclass(frozen=True)
class Repeatability:
    """Two measurements of the same networks against each other.

    Attributes:
        kendall: rank correlation tau-b; None where it is not defined (too few networks, or all equal).
        spearman: rank correlation; None likewise.
        median_difference_percent: the median over networks of their difference, in percent of their mean; None where
            no network was measured twice.
        networks: how many were.
    """

    kendall: float | None
    spearman: float | None
    median_difference_percent: float | None
    networks: int

    @classmethod
    def between(cls, first_ms: ArrayLike, second_ms: ArrayLike) -> Repeatability:
        """How well two latencies of each network [N] agree."""
        first, second = np.asarray(first_ms, dtype=np.float64), np.asarray(second_ms, dtype=np.float64)
        if not len(first):
            return cls(None, None, None, 0)
        difference = float(np.median(200 * np.abs(first - second) / (first + second)))
        if len(first) < FEWEST or np.ptp(first) == 0 or np.ptp(second) == 0:
            return cls(None, None, difference, len(first))
        from scipy.stats import kendalltau, spearmanr  # a second of imports, which a query of a table can do without

        kendall, spearman = float(kendalltau(first, second).statistic), float(spearmanr(first, second).statistic)
        return cls(kendall, spearman, difference, len(first))

    @classmethod
    def of(cls, rounds: Sequence[Sequence[float]]) -> Repeatability:
        """The first half of the rounds against the last, from one list of in-round latencies for each network.

        Networks with one round are left out.
        """
        repeated = [latencies for latencies in rounds if len(latencies) >= 2]
        first = [np.median(latencies[: len(latencies) // 2]) for latencies in repeated]
        last = [np.median(latencies[len(latencies) // 2 :]) for latencies in repeated]
        return cls.between(first, last)

    def __str__(self) -> str:
        if self.median_difference_percent is None:
            return "unknown"
        kendall = "undefined" if self.kendall is None else f"{self.kendall:.3f}"
        return f"Kendall {kendall}, {self.median_difference_percent:.2g} % apart"


# what tables of chronas 0.1.0 do not have yet
LATER = frozenset(
    {"background_cores", "priority", "checks", "sources", "missing", "runs", "additivity", "space_source"}
)


@dataclass(frozen=True)
class Check:
    """A sample of a table's networks measured again in new rounds, in another process.

    Attributes:
        created: date and time (UTC, ISO 8601) at its end.
        hours_after: since the table's campaign began.
        agreement: of the table with the new measurement.
        level_percent: how much slower the machine was now, in the median.
        background_cores: how many cores others used meanwhile; None where that is not known.
    """

    created: str
    hours_after: float
    agreement: Repeatability
    level_percent: float
    background_cores: float | None

    @classmethod
    def of_json(cls, content: Mapping[str, Any]) -> Check:
        """The check that `asdict` gave `content` of; TypeError or KeyError where that is not so."""
        return cls(**{**content, "agreement": Repeatability(**content["agreement"])})

    def __str__(self) -> str:
        text = f"{self.agreement}, level {self.level_percent:+.2g} %, "
        return f"{text}{self.agreement.networks} networks after {self.hours_after:.1f} h"


@dataclass(frozen=True)
class Additivity:
    """How well costs of single blocks add up to the costs of whole networks.

    Attributes:
        agreement: of sums with measurements.
        error_percent: the mean absolute error of a sum, in percent of what was measured.
        level_percent: how much more sums are than measurements, in the median.
    """

    agreement: Repeatability
    error_percent: float
    level_percent: float

    @classmethod
    def of_json(cls, content: Mapping[str, Any]) -> Additivity:
        """The additivity that `asdict` gave `content` of; TypeError or KeyError where that is not so."""
        return cls(**{**content, "agreement": Repeatability(**content["agreement"])})

    @property
    def factor(self) -> float:
        """By what sums are to be multiplied, so that they are right for the median network."""
        return 1 / (1 + self.level_percent / 100)

    def __str__(self) -> str:
        text = f"{self.agreement}, {self.error_percent:.2g} % mean error, level {self.level_percent:+.2g} %"
        return f"{text}, {self.agreement.networks} networks"


@dataclass(frozen=True)
class Provenance:
    """Where the numbers of a table come from.

    Attributes:
        space: its name.
        size: what the architectures were built into.
        device: the device's fingerprint.
        plan: how it was measured, as `Plan` has it; empty where that is not known.
        cost: the column that is the table's cost.
        created: date, or date and time (UTC, ISO 8601).
        version: of chronas.
        source: where the numbers are from: "measured", or a paper or file with its licence.
        drift_percent: how far the reference network's latency moved meanwhile; None where that is not known.
        background_cores: how many cores of the device others used meanwhile, in the mean; None where that is not known.
        priority: the lowest priority at which was timed, "real-time", "high" or "normal"; None where that is not known.
        checks: samples that were measured again, in the order of time.
        sources: what told each cost other than latency, by its name.
        missing: why architectures are not in the table, where that is known ("does not compile").
        runs: how many timed runs a value stands for, where there is no plan that tells; None where that is not known.
        additivity: how well single blocks add up; None where the table is not of single blocks.
        space_source: where the class of a space of somebody's own is defined, "package.module:Class"; empty for those
            that come with chronas.
    """

    space: str
    size: NetworkSize
    device: Mapping[str, str | int | float]
    plan: Mapping[str, Any] = field(default_factory=dict)
    cost: str = "latency_ms"
    created: str = ""
    version: str = ""
    source: str = "measured"
    drift_percent: float | None = None
    background_cores: float | None = None
    priority: str | None = None
    checks: tuple[Check, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)
    missing: str = ""
    runs: int | None = None
    additivity: Additivity | None = None
    space_source: str = ""

    def to_json(self) -> str:
        """The provenance as one line of JSON; `from_json` gives it back."""
        return json.dumps(asdict(self) | {"size": self.size.model_dump(mode="json")}, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Provenance:
        """The provenance that `text` came from.

        Raises:
            DataError: the text is not JSON, lacks a field, or has one of another type.
        """
        try:
            content = upgraded(json.loads(text))
            content["size"] = NetworkSize.model_validate(content["size"])
            content["checks"] = tuple(map(Check.of_json, content.get("checks", [])))
            if content.get("additivity") is not None:
                content["additivity"] = Additivity.of_json(content["additivity"])
            known = [entry.name for entry in fields(cls) if entry.name not in LATER or entry.name in content]
            provenance = cls(**{name: content[name] for name in known})
            if not isinstance(provenance.space, str):
                raise TypeError(f"space should be a name, got {provenance.space!r}")
            return provenance
        except (ValueError, KeyError, TypeError, ValidationError) as error:
            raise DataError(
                f"the provenance should be an object of {[f.name for f in fields(cls)]}: {error}"
            ) from error
