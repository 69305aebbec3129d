"""Latency from samples: a plan of rounds, one statistic for each round, and the median and an interval over rounds.

The most repeatable method was found by experiment (docs/log.md, 2026-11-22): many short rounds at real-time priority,
divided by the drift of a reference network that is timed in between, with networks rebuilt halfway. Within a round the
minimum is used, because other work on a machine only adds time. Over rounds the median is used, so that one round in a
slow moment does not decide. The interval is over rounds, not over samples, because the samples of a round are taken at
the same moment and agree with each other better than with the truth.
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
    """The settings of a measurement; stored in the journal, the table and the report."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    rounds: int = Field(default=12, ge=2, le=1000, description="rounds of each network, apart in time")
    max_rounds: int = Field(
        default=24, ge=2, le=1000, description="largest number of rounds of a network whose interval is too wide"
    )
    warmup: int = Field(default=2, ge=1, le=1000, description="untimed runs at the start of a round")
    repeats: int = Field(default=4, ge=1, le=10000, description="timed runs of a round")
    statistic: Statistic = Field(default="minimum", description="statistic of a round's samples")
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
        description="rounds after which networks are rebuilt, because their place in memory matters by 1 %; 0: never",
    )
    interval_percent: float = Field(default=3.0, gt=0, description="wanted half-width of the interval, in percent")
    block: int = Field(default=100, ge=1, le=10000, description="networks that are in memory at one time")
    seed: int = Field(default=0, ge=0, description="seed of the order of networks in a round")

    @model_validator(mode="after")
    def _ordered(self) -> Plan:
        if self.max_rounds < self.rounds:
            raise ValueError(f"max_rounds should be at least rounds ({self.rounds}), got {self.max_rounds}")
        return self


def stored_plan(content: Mapping[str, object]) -> Plan:
    """The plan in a journal or table; settings that an older file lacks were off then.

    Raises:
        ValueError: the content is not a plan.
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
    Its lower end can be below zero if two or three rounds disagree widely.

    Args:
        samples_by_round: milliseconds of each timed run, for each round.
        statistic: the statistic of a round's samples.
        drifts: slowdown of the machine during each round, a factor by which the round's statistic is divided; the
            median and the 95th percentile are those of the original samples.

    Raises:
        UsageError: there are fewer than two rounds, a round has no samples, or a sample is not above zero.
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
    """The median of at least two rounds and the ends of its 95 % interval: +- t(0.975, n - 1) x s / sqrt(n)."""
    value = float(np.median(rounds))
    quantile = float(stdtrit(len(rounds) - 1, (1 + CONFIDENCE) / 2))
    half = quantile * float(np.std(rounds, ddof=1)) / math.sqrt(len(rounds))
    return value, value - half, value + half
