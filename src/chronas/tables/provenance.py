"""Provenance of a table, stored in the file's metadata, and repeatability of its measurements.

No predictor can be expected to exceed the repeatability. The first and last rounds of a campaign share its process and
its hour, although networks are rebuilt in between; a check measures a sample again in new rounds.
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
    """The agreement of two measurements of the same networks.

    Attributes:
        kendall: rank correlation tau-b; None if it is not defined (too few networks, or all equal).
        spearman: rank correlation rho; None if it is not defined.
        median_difference_percent: the median over networks of their difference, in percent of their mean; None if no
            network was measured twice.
        networks: number of networks that were measured twice.
    """

    kendall: float | None
    spearman: float | None
    median_difference_percent: float | None
    networks: int

    @classmethod
    def between(cls, first_ms: ArrayLike, second_ms: ArrayLike) -> Repeatability:
        """The agreement of two costs of each network [N]."""
        first, second = np.asarray(first_ms, dtype=np.float64), np.asarray(second_ms, dtype=np.float64)
        if not len(first):
            return cls(None, None, None, 0)
        difference = float(np.median(200 * np.abs(first - second) / (first + second)))
        if len(first) < FEWEST or np.ptp(first) == 0 or np.ptp(second) == 0:
            return cls(None, None, difference, len(first))
        from scipy.stats import kendalltau, spearmanr  # takes a second to import, which queries of a table do not need

        kendall, spearman = float(kendalltau(first, second).statistic), float(spearmanr(first, second).statistic)
        return cls(kendall, spearman, difference, len(first))

    @classmethod
    def of(cls, rounds: Sequence[Sequence[float]]) -> Repeatability:
        """The agreement of the first and the last half of the rounds, from each network's list of rounds.

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


# fields that tables of chronas 0.1.0 lack
LATER = frozenset(
    {"background_cores", "priority", "checks", "sources", "missing", "runs", "additivity", "space_source"}
)


@dataclass(frozen=True)
class Check:
    """A sample of a table's networks measured again in new rounds, in another process.

    Attributes:
        created: date and time (UTC, ISO 8601) at its end.
        hours_after: hours since the table's campaign began.
        agreement: agreement of the table with the new measurement.
        level_percent: median slowdown of the machine since the table, in percent.
        background_cores: mean number of cores used by others; None if unknown.
    """

    created: str
    hours_after: float
    agreement: Repeatability
    level_percent: float
    background_cores: float | None

    @classmethod
    def of_json(cls, content: Mapping[str, Any]) -> Check:
        """The check from the output of `asdict`; raises TypeError or KeyError for other content."""
        return cls(**{**content, "agreement": Repeatability(**content["agreement"])})

    def __str__(self) -> str:
        text = f"{self.agreement}, level {self.level_percent:+.2g} %, "
        return f"{text}{self.agreement.networks} networks after {self.hours_after:.1f} h"


@dataclass(frozen=True)
class Additivity:
    """The agreement of sums of single blocks with the costs of whole networks.

    Attributes:
        agreement: agreement of sums with measurements.
        error_percent: mean absolute error of a sum, in percent of the measured cost.
        level_percent: median excess of sums over measurements, in percent.
    """

    agreement: Repeatability
    error_percent: float
    level_percent: float

    @classmethod
    def of_json(cls, content: Mapping[str, Any]) -> Additivity:
        """The additivity from the output of `asdict`; raises TypeError or KeyError for other content."""
        return cls(**{**content, "agreement": Repeatability(**content["agreement"])})

    @property
    def factor(self) -> float:
        """The factor that makes sums right for the median network."""
        return 1 / (1 + self.level_percent / 100)

    def __str__(self) -> str:
        text = f"{self.agreement}, {self.error_percent:.2g} % mean error, level {self.level_percent:+.2g} %"
        return f"{text}, {self.agreement.networks} networks"


@dataclass(frozen=True)
class Provenance:
    """The origin of the numbers in a table.

    Attributes:
        space: name of the space.
        size: size of the networks.
        device: the device's fingerprint.
        plan: the fields of the measurement's `Plan`; empty if unknown.
        cost: the column that is the table's cost.
        created: date, or date and time (UTC, ISO 8601).
        version: version of chronas.
        source: "measured", or a paper or file with its licence.
        drift_percent: spread of the reference network's latency during the campaign; None if unknown.
        background_cores: mean number of the device's cores used by others; None if unknown.
        priority: the lowest priority of all timings, "real-time", "high" or "normal"; None if unknown.
        checks: checks by measuring samples again, in temporal order.
        sources: source of each other cost than latency, by its name.
        missing: reason why architectures are missing from the table, if known ("does not compile").
        runs: number of timed runs for each value, if there is no plan; None if unknown.
        additivity: accuracy of sums of single blocks; None if the table is not one of single blocks.
        space_source: import path of a user's own space class, "package.module:Class"; empty for built-in spaces.
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
        """The provenance as one line of JSON; `from_json` reads it."""
        return json.dumps(asdict(self) | {"size": self.size.model_dump(mode="json")}, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Provenance:
        """The provenance from the text of `to_json`.

        Raises:
            DataError: the text is not JSON, lacks a field, or has a field of another type.
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
