"""From samples to a latency: a plan of rounds, one statistic within a round, the median and an interval over rounds.

What repeats best was found by experiment (docs/log.md, 2026-11-22): many short rounds, timed at real-time priority,
each beside a run of one reference network, by whose drift they are divided, and networks built anew halfway. Why the
minimum within a round: other work on a machine only ever adds time. Why the median over rounds: one round in a slow
moment must not decide. Why the interval is over rounds and not over samples: the samples of a round share their
moment, and agree with each other better than with the truth.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator
from scipy.special import stdtrit

from chronas.errors import UsageError
from chronas.records import Estimate
from chronas.units import COST_UNITS, LATENCY

Statistic = Literal["minimum", "median"]
Priority = Literal["high", "normal"]
CONFIDENCE = 0.95


class Plan(BaseModel):
    """How networks are measured; kept in the journal, the table and the report."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    rounds: int = Field(default=12, ge=2, le=1000, description="rounds of each network, apart in time")
    max_rounds: int = Field(default=24, ge=2, le=1000, description="most rounds of a network with a too wide interval")
    warmup: int = Field(default=2, ge=1, le=1000, description="untimed runs at the start of a round")
    repeats: int = Field(default=4, ge=1, le=10000, description="timed runs of a round")
    statistic: Statistic = Field(default="minimum", description="what a round's samples are reduced to")
    reference_every: int = Field(
        default=1,
        ge=0,
        le=1000,
        description="networks between two timings of the reference, by whose drift latencies are divided; 0: never",
    )
    priority: Priority = Field(
        default="high", description="high asks the operating system for real-time priority while timing"
    )
    rebuild_every: int = Field(
        default=6,
        ge=0,
        le=1000,
        description="rounds after which networks are built anew: where one lies in memory moves it by 1 %; 0: never",
    )
    interval_percent: float = Field(default=3.0, gt=0, description="wanted half-width of the interval, relative")
    block: int = Field(default=100, ge=1, le=10000, description="networks that are held in memory for their rounds")
    seed: int = Field(default=0, ge=0, description="what the order of networks in a round is drawn from")

    @model_validator(mode="after")
    def _ordered(self) -> Plan:
        if self.max_rounds < self.rounds:
            raise ValueError(f"max_rounds should be at least rounds ({self.rounds}), got {self.max_rounds}")
        return self


def stored_plan(content: Mapping[str, object]) -> Plan:
    """The plan that a journal or table holds; what it does not name yet was not done then.

    Raises:
        ValueError: it is no plan.
    """
    return Plan.model_validate({"reference_every": 0, "priority": "normal", "rebuild_every": 0} | dict(content))


def in_round(samples_ms: Sequence[float], statistic: Statistic) -> float:
    """The statistic of one round's samples, in ms."""
    return float(np.min(samples_ms) if statistic == "minimum" else np.median(samples_ms))


def summarise(
    samples_by_round: Sequence[Sequence[float]], statistic: Statistic, drifts: Sequence[float] | None = None
) -> Estimate:
    """The latency of a network from all its samples.

    The interval is value +- t(0.975, n - 1) x s / sqrt(n) over the n rounds' statistics, s their standard deviation.
    Its lower end can be below zero where two or three rounds disagree wildly: that is what is known then.

    Args:
        samples_by_round: milliseconds of each timed run, for each round.
        statistic: what a round's samples are reduced to.
        drifts: how much slower the machine was during each round, as a factor that its statistic is divided by; the
            median and the 95th percentile are of the samples as they are.

    Raises:
        UsageError: fewer than two rounds, a round without samples, or a sample that is not above zero.
    """
    samples = [sample for samples_ms in samples_by_round for sample in samples_ms]
    if len(samples_by_round) < 2 or not all(samples_by_round):
        lengths = [len(samples_ms) for samples_ms in samples_by_round]
        raise UsageError(f"a latency needs at least two rounds with samples, got rounds of {lengths} samples")
    if not all(math.isfinite(sample) and sample > 0 for sample in samples):
        raise UsageError(f"samples should be milliseconds above zero, got {min(samples)} to {max(samples)}")
    factors = drifts or [1.0] * len(samples_by_round)
    rounds = tuple(in_round(x, statistic) / factor for x, factor in zip(samples_by_round, factors, strict=True))
    median_ms, p95_ms = (float(q) for q in np.percentile(samples, [50, 95]))
    return Estimate(*median_interval(rounds), COST_UNITS[LATENCY], rounds, median=median_ms, p95=p95_ms)


def median_interval(rounds: Sequence[float]) -> tuple[float, float, float]:
    """The median over rounds, two at least, and the ends of its 95 % interval: +- t(0.975, n - 1) x s / sqrt(n)."""
    value = float(np.median(rounds))
    quantile = float(stdtrit(len(rounds) - 1, (1 + CONFIDENCE) / 2))
    half = quantile * float(np.std(rounds, ddof=1)) / math.sqrt(len(rounds))
    return value, value - half, value + half
