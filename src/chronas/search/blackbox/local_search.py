"""Local search (White et al., arXiv 2005.02960): from the best of a few random architectures to better neighbours.

As in the authors' code (naszilla, `local_search`), neighbours are evaluated in random order until one is better; if
none is, the search starts again. With `whole_neighbourhood` all are evaluated and the best one is next, which is the
plain form in the paper. Neighbours outside a limit are skipped.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import ClassVar

from pydantic import Field

from chronas.records import Trial
from chronas.search.blackbox.loop import Proposals
from chronas.search.blackbox.single_path import SinglePathSearchConfig, SinglePathSearcher
from chronas.search.feasible import FeasibleSet


class LocalSearchConfig(SinglePathSearchConfig):
    """Settings of local search."""

    starts: int = Field(default=10, ge=1, le=100_000, description="random architectures; the best is the start")
    whole_neighbourhood: bool = Field(
        default=False, description="evaluate all neighbours and go to the best, not to the first that is better"
    )


class LocalSearch(SinglePathSearcher):
    """Hill climbing over single decisions."""

    name: ClassVar[str] = "local-search"
    Config: ClassVar[type[LocalSearchConfig]] = LocalSearchConfig
    config: LocalSearchConfig

    def _proposals(self, feasible: FeasibleSet) -> Proposals:
        while drawn := [candidate for _ in range(self.config.starts) if (candidate := feasible.draw()) is not None]:
            current: Trial | None = _best((yield drawn))
            while current is not None:
                current = yield from self._better(feasible, current)

    def _better(self, feasible: FeasibleSet, current: Trial) -> Generator[list[Trial], list[Trial], Trial | None]:
        """A better neighbour, or None."""
        around = feasible.around(current.architecture)
        count = len(around) if self.config.whole_neighbourhood else 1
        for start in range(0, len(around), max(count, 1)):
            found = _best((yield feasible.take(around[start : start + count])))
            if found.value < current.value:
                return found
        return None


def _best(trials: list[Trial]) -> Trial:
    return min(trials, key=lambda each: each.value)
