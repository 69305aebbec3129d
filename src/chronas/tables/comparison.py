"""Comparison of devices: whether they rank architectures alike, and the cost of each device's best one on the others.

HW-NAS-Bench (Li et al., https://arxiv.org/abs/2103.10584) points out that costs of devices, and multiplications, are
poor substitutes for each other. Multiplications and parameters are counted from the networks themselves.

LA-DARTS (Xu et al., arXiv 2001.06392) found that a GPU and a CPU agree on the order of 69 % of pairs of random
networks. Chance alone agrees on half of them.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.stats import kendalltau, spearmanr

from chronas.errors import DataError, UsageError
from chronas.networks import space_counts
from chronas.spaces import NetworkSize
from chronas.tables.provenance import FEWEST, Repeatability
from chronas.tables.query import Query
from chronas.tables.table import CostTable


@dataclass(frozen=True)
class RankAgreement:
    """The agreement of two tables on the ranking of their common architectures.

    Attributes:
        architectures: number of common architectures.
        pairs_percent: share of pairs that both devices rank the same way, among pairs without a tie; None without such
            pairs.
        kendall: rank correlation tau-b; None if it is not defined.
    """

    architectures: int
    pairs_percent: float | None
    kendall: float | None


def rank_agreement(first: CostTable, second: CostTable) -> RankAgreement:
    """Compare the rankings of architectures by the costs of two tables of one space."""
    left, right = (
        table.frame.select("architecture", pl.col(table.provenance.cost).alias(name))
        for name, table in (("first", first), ("second", second))
    )
    both = left.join(right, on="architecture", maintain_order="left")
    costs = both["first"].to_numpy(), both["second"].to_numpy()
    kendall = Repeatability.between(*costs).kendall if len(both) >= FEWEST else None
    return RankAgreement(len(both), _pairs_percent(*costs), kendall)


def _pairs_percent(first: NDArray[np.float64], second: NDArray[np.float64]) -> float | None:
    same = ranked = 0
    for row in range(len(first) - 1):
        signs = np.sign(first[row + 1 :] - first[row]) * np.sign(second[row + 1 :] - second[row])
        same += int((signs > 0).sum())
        ranked += int((signs != 0).sum())
    return 100.0 * same / ranked if ranked else None


MACS, PARAMETERS = "MACs", "parameters"


@dataclass(frozen=True)
class Agreement:
    """The agreement of two columns on the ranking of their common architectures.

    Attributes:
        first: name of a column of costs, "MACs" or "parameters".
        second: name of another such column.
        kendall: rank correlation tau-b; None if it is not defined.
        spearman: rank correlation rho; None if it is not defined.
        architectures: number of architectures with both values.
    """

    first: str
    second: str
    kendall: float | None
    spearman: float | None
    architectures: int


@dataclass(frozen=True)
class Best:
    """The most accurate architecture within a device's limit, and its costs on all devices.

    Attributes:
        cost: the column whose limit is kept.
        limit: limit in the column's unit.
        architecture: its text form.
        accuracy_percent: its accuracy.
        costs: column -> cost; None if a device has no value.
    """

    cost: str
    limit: float
    architecture: str
    accuracy_percent: float
    costs: Mapping[str, float | None]


@dataclass(frozen=True)
class Comparison:
    """A comparison of several devices.

    Attributes:
        names: the compared columns of costs, then "MACs" and "parameters".
        agreements: agreement of each pair, in the order of `names`.
        best: the best architecture for each column of costs, if accuracies are known.
        accuracy: the column that `best` was chosen by; None without.
        architectures: total number of architectures.
    """

    names: Sequence[str]
    agreements: Sequence[Agreement]
    best: Sequence[Best]
    accuracy: str | None
    architectures: int

    def matrix(self, statistic: str) -> list[list[float | None]]:
        """The pairs' "kendall" or "spearman" as a square, in the order of `names`; 1 on the diagonal."""
        found = {(one.first, one.second): getattr(one, statistic) for one in self.agreements}
        found |= {(second, first): value for (first, second), value in found.items()}
        return [[1.0 if a == b else found[a, b] for b in self.names] for a in self.names]

    def shares(self) -> list[list[float | None]]:
        """The cost of each of `best` on each device, divided by that device's limit: above 1 the limit is missed."""
        limits = {one.cost: one.limit for one in self.best}
        return [
            [None if one.costs[cost] is None else one.costs[cost] / limit for cost, limit in limits.items()]  # type: ignore[operator]
            for one in self.best
        ]


def compare(
    query: Query, size: NetworkSize, *, accuracy: str | None = None, share: float = 0.25, limit_ms: float | None = None
) -> Comparison:
    """Compare the devices of a query.

    Args:
        query: a query with at least one column of costs.
        size: size of the tables; multiplications and parameters are counted for it.
        accuracy: name of the joined column that selects the best architectures; None for no selection.
        share: the limit of a column is the value that this share of its architectures keeps.
        limit_ms: a limit for all latencies instead of `share`; energies then have no limit.

    Raises:
        UsageError: `accuracy` is not a column of accuracies, or `share` is not between 0 and 1.
        DataError: no architecture with an accuracy keeps a limit.
    """
    if not 0 < share <= 1:
        raise UsageError(f"a share of architectures is above 0 and at most 1, got {share}")
    if accuracy is not None and not query.more_is_better(accuracy):
        known = ", ".join(query.accuracies()) or "none: give --accuracies"
        raise UsageError(f"{accuracy} is no column of accuracies; known are {known}")
    columns: dict[str, NDArray[np.float64]] = {name: query.frame[name].to_numpy() for name in query.costs}
    codes = query.space.encode([query.space.parse(text) for text in query.frame["architecture"]])
    form = space_counts(query.space, size)
    columns |= {MACS: form.macs(codes), PARAMETERS: form.parameters(codes)}
    pairs = itertools.combinations(columns, 2)
    agreements = [_agreement(first, second, columns[first], columns[second]) for first, second in pairs]
    best: list[Best] = []
    if accuracy is not None:
        limited = [name for name in query.costs if limit_ms is None or name.endswith("_ms")]
        best = [_best(query, name, accuracy, limit_ms, share) for name in limited]
    return Comparison(list(columns), agreements, best, accuracy, len(query.frame))


def _agreement(first: str, second: str, left: NDArray[np.float64], right: NDArray[np.float64]) -> Agreement:
    both = ~(np.isnan(left) | np.isnan(right))
    left, right = left[both], right[both]
    if len(left) < FEWEST or np.ptp(left) == 0 or np.ptp(right) == 0:
        return Agreement(first, second, None, None, len(left))
    kendall, spearman = float(kendalltau(left, right).statistic), float(spearmanr(left, right).statistic)
    return Agreement(first, second, kendall, spearman, len(left))


def _best(query: Query, cost: str, accuracy: str, limit_ms: float | None, share: float) -> Best:
    """The most accurate architecture within the limit; among equally accurate ones the cheapest."""
    known = query.frame.drop_nulls([cost, accuracy])
    limit = limit_ms
    if limit is None:
        limit = float(np.quantile(query.frame[cost].drop_nulls().to_numpy(), share))
    inside = known.filter(pl.col(cost) <= limit).sort(accuracy, cost, descending=[True, False], maintain_order=True)
    if inside.is_empty():
        raise DataError(f"no architecture with an accuracy has {cost} of at most {limit:.4g}: give a larger limit")
    row = inside.row(0, named=True)
    return Best(cost, limit, row["architecture"], row[accuracy], {name: row[name] for name in query.costs})
