"""A choice among candidates: not the first by the logits alone, but what logits, supernet and predictors agree on.

Of a search's most probable candidates, those enter that every predictor puts inside its limit by a margin of so many
of its own standard deviations. Each is judged by its place in the searcher's own order, by its validation accuracy
with the search's shared weights, and, where costs have weights, by their penalty; the smallest mean of the ranks wins.
Ranks, because nothing says how many percent a nat of probability is worth. A searcher without shared weights keeps its
own order. The rule is ours; that one supernet's accuracy ranks better than logits is known since SPOS (arXiv
1904.00420), that it misleads alone, too (arXiv 2008.03064): hence both.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from scipy.stats import rankdata

from chronas.progress import Progress, silent
from chronas.records import Trial
from chronas.search.searcher import SearchResult
from chronas.spaces import Architecture

CHUNK = 64
LOOKED_AT = 4096  # candidates that are looked at for such with a margin; a tight limit has few

Deviations = Callable[[Sequence[Architecture]], Sequence[Mapping[str, float]]]  # of each predicted cost, by name
Penalty = Callable[[Mapping[str, float]], float]  # what weights make of an architecture's costs


class RerankConfig(BaseModel):
    """How the network of a search is chosen among its candidates."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    candidates: int = Field(
        default=32, ge=1, le=1024, description="feasible candidates that the supernet judges; 1 takes the most probable"
    )
    margin: float = Field(
        default=1.0, ge=0.0, le=10.0, description="standard deviations of a prediction that must fit below its limit"
    )


class Reranker:
    """Judges the candidates of one search; what was scored is remembered, for when limits are tightened."""

    def __init__(
        self,
        found: SearchResult,
        config: RerankConfig,
        *,
        deviations: Deviations | None = None,
        penalty: Penalty | None = None,
        progress: Progress = silent,
    ) -> None:
        """Take the search's result.

        Args:
            found: what a search gave back.
            config: how many candidates, and the margin.
            deviations: the standard deviation of each predicted cost of architectures; None asks for no margin.
            penalty: of an architecture's costs; None where no cost has a weight.
            progress: told of each candidate that is scored.
        """
        self._found = found
        self._config = config
        self._deviations = deviations
        self._penalty = penalty
        self._progress = progress
        self._scores: dict[Architecture, float] = {}

    def ranked(self, limits: Mapping[str, float], excluded: Collection[Architecture] = ()) -> list[Trial]:
        """The candidates inside all limits, the choice first; none where all are excluded.

        Args:
            limits: by the cost's name, in its unit.
            excluded: architectures that are not to be chosen.

        Raises:
            UsageError: as `SearchResult.candidates`.
        """
        entered, margin = self._enter(limits, excluded)
        accuracies = self._accuracies([each.architecture for each in entered])
        if accuracies is None:
            return [
                replace(each, place=place, rank=float(place), margin=margin) for place, each in enumerate(entered, 1)
            ]
        ranks = [np.arange(1.0, len(entered) + 1), rankdata([-accuracy for accuracy in accuracies])]
        if self._penalty is not None:
            ranks.append(rankdata([self._penalty(each.costs) for each in entered]))
        compared = [
            replace(trial, score=accuracy, place=place, rank=float(rank), margin=margin)
            for place, (trial, accuracy, rank) in enumerate(
                zip(entered, accuracies, np.mean(ranks, axis=0), strict=True), 1
            )
        ]
        return sorted(compared, key=lambda each: each.rank)  # stable: of equals the searcher's first

    def _enter(self, limits: Mapping[str, float], excluded: Collection[Architecture]) -> tuple[list[Trial], float]:
        """The first candidates that keep the margin, and it; where none does, the first that are inside, and 0."""
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
                self._progress("judge", done, len(architectures), f"{scores[0]:.1f} % by the supernet")
        return [self._scores[architecture] for architecture in architectures]
