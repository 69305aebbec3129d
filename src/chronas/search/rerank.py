"""Reranking of candidates: the choice combines the alphas, the supernet's accuracy and the predictors.

A candidate takes part if every predictor puts it inside its limit by a margin, in standard deviations of the
prediction. Candidates are ranked by the searcher's own order, by validation accuracy with the search's shared weights,
and, if costs have weights, by their penalty. The smallest mean rank wins. Ranks are used because percent of accuracy
and nats of probability are not comparable. A searcher without shared weights keeps its own order. The rule is ours: a
supernet's accuracy is known to rank better than alphas (SPOS, arXiv 1904.00420), but also to mislead if used alone
(arXiv 2008.03064), so both are used.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from chronas.progress import Progress, silent
from chronas.records import Trial
from chronas.search.searcher import SearchResult
from chronas.spaces import Architecture

CHUNK = 64
LOOKED_AT = 4096  # candidates to search for ones with a margin; a tight limit has few

Deviations = Callable[[Sequence[Architecture]], Sequence[Mapping[str, float]]]  # of costs, by name
Penalty = Callable[[Mapping[str, float]], float]  # costs of an architecture -> their penalty by weights


class RerankConfig(BaseModel):
    """Settings for choosing the network of a search among its candidates."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    candidates: int = Field(
        default=32, ge=1, le=1024, description="feasible candidates that the supernet scores; 1 takes the most probable"
    )
    margin: float = Field(
        default=1.0, ge=0.0, le=10.0, description="standard deviations by which a prediction must be below its limit"
    )


class Reranker:
    """Reranks the candidates of one search; scores are remembered for later calls with tighter limits."""

    def __init__(
        self,
        found: SearchResult,
        config: RerankConfig,
        *,
        deviations: Deviations | None = None,
        penalty: Penalty | None = None,
        progress: Progress = silent,
    ) -> None:
        """Store the search's result.

        Args:
            found: result of a search.
            config: number of candidates, and the margin.
            deviations: gives the standard deviation of each predicted cost of architectures; None for no margin.
            penalty: gives the penalty of an architecture's costs; None if no cost has a weight.
            progress: called after each scored candidate.
        """
        self._found = found
        self._config = config
        self._deviations = deviations
        self._penalty = penalty
        self._progress = progress
        self._scores: dict[Architecture, float] = {}

    def ranked(self, limits: Mapping[str, float], excluded: Collection[Architecture] = ()) -> list[Trial]:
        """The candidates inside all limits, the chosen one first; empty if all are excluded.

        Args:
            limits: limits by name of the cost, in its unit.
            excluded: architectures that must not be chosen.

        Raises:
            UsageError: as `SearchResult.candidates`.
        """
        entered, margin = self._enter(limits, excluded)
        accuracies = self._accuracies([each.architecture for each in entered])
        if accuracies is None:
            return [
                replace(each, place=place, rank=float(place), margin=margin) for place, each in enumerate(entered, 1)
            ]
        from scipy.stats import rankdata  # here, as it takes a second to import

        ranks = [np.arange(1.0, len(entered) + 1), rankdata([-accuracy for accuracy in accuracies])]
        if self._penalty is not None:
            ranks.append(rankdata([self._penalty(each.costs) for each in entered]))
        compared = [
            replace(trial, score=accuracy, place=place, rank=float(rank), margin=margin)
            for place, (trial, accuracy, rank) in enumerate(
                zip(entered, accuracies, np.mean(ranks, axis=0), strict=True), 1
            )
        ]
        return sorted(compared, key=lambda each: each.rank)  # stable: equals keep the searcher's order

    def _enter(self, limits: Mapping[str, float], excluded: Collection[Architecture]) -> tuple[list[Trial], float]:
        """The first candidates that keep the margin, and the margin; if none does, the first inside, and 0."""
        wanted = self._config.candidates
        inside = (each for each in self._found.candidates(limits) if each.architecture not in excluded)
        if not limits or self._deviations is None or self._config.margin == 0:
            return list(itertools.islice(inside, wanted)), 0.0
        safe: list[Trial] = []
        close: list[Trial] = []
        for _ in range(LOOKED_AT // CHUNK):
            chunk = list(itertools.islice(inside, CHUNK))
            for candidate, keeps in zip(chunk, self._keep_margin(chunk, limits), strict=True):
                (safe if keeps else close).append(candidate)
            if len(safe) >= wanted or len(chunk) < CHUNK:
                break
        return (safe[:wanted], self._config.margin) if safe else (close[:wanted], 0.0)

    def _keep_margin(self, candidates: Sequence[Trial], limits: Mapping[str, float]) -> list[bool]:
        if not candidates:
            return []
        assert self._deviations is not None
        deviations = self._deviations([each.architecture for each in candidates])
        return [
            all(each.costs[name] + self._config.margin * deviation[name] <= limit for name, limit in limits.items())
            for each, deviation in zip(candidates, deviations, strict=True)
        ]

    def _accuracies(self, architectures: Sequence[Architecture]) -> list[float] | None:
        if len(architectures) < 2:
            return None
        for done, architecture in enumerate(architectures, 1):
            if architecture not in self._scores:
                scores = self._found.score([architecture])
                if scores is None:
                    return None
                self._scores[architecture] = scores[0]
                self._progress("score", done, len(architectures), f"{scores[0]:.1f} % by the supernet")
        return [self._scores[architecture] for architecture in architectures]
