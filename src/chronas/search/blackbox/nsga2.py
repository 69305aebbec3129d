"""NSGA-II (Deb et al. 2002, doi 10.1109/4235.996017): a population that spreads along the Pareto front.

The objectives are the share of wrong images and the task's predicted costs; a cost that only has a limit is a
constraint, not an objective. Parents win tournaments of two by front number and then by crowding distance. Children are
made by crossover of groups and mutation. The better half of parents and children survives. Deb's constraint domination
ranks individuals by their violation of limits. Here costs are predicted before any evaluation, so children outside the
limits are varied again or repaired, and no individual violates a limit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field

from chronas.pareto import Points, crowding_distance, non_dominated_ranks
from chronas.records import Trial
from chronas.search.blackbox.loop import Proposals
from chronas.search.blackbox.single_path import SinglePathSearchConfig, SinglePathSearcher
from chronas.search.feasible import FeasibleSet, crossover, mutate_group
from chronas.spaces import Architecture


class Nsga2Config(SinglePathSearchConfig):
    """Settings of NSGA-II. Crossover and mutation are Deb's for binary strings, with groups instead of bits."""

    population: int = Field(default=30, ge=2, le=100_000, description="architectures of a generation")
    crossover: float = Field(default=0.9, ge=0, le=1, description="probability that a child has two parents")


class Nsga2(SinglePathSearcher):
    """Non-dominated sorting with crowding distance."""

    name: ClassVar[str] = "nsga2"
    Config: ClassVar[type[Nsga2Config]] = Nsga2Config
    config: Nsga2Config

    def _proposals(self, feasible: FeasibleSet) -> Proposals:
        size = self.config.population
        drawn = [candidate for _ in range(size) if (candidate := feasible.draw()) is not None]
        population = (yield drawn) if drawn else []
        while population:
            order = better_first(points(population, feasible.objectives))
            children = self._children([population[n].architecture for n in order], feasible)
            if not children:
                return
            everyone = [*population, *(yield children)]
            population = [everyone[n] for n in better_first(points(everyone, feasible.objectives))[:size]]

    def _children(self, parents: Sequence[Architecture], feasible: FeasibleSet) -> list[Trial]:
        """A generation of new candidates, fewer if few are left; parents are sorted best first."""
        made = (feasible.vary(lambda: self._child(parents, feasible.generator)) for _ in range(self.config.population))
        return [candidate for candidate in made if candidate is not None]

    def _child(self, parents: Sequence[Architecture], generator: np.random.Generator) -> Architecture:
        first, second = (parents[int(generator.integers(len(parents), size=2).min())] for _ in range(2))
        child = crossover(first, second, generator) if generator.random() < self.config.crossover else first
        groups = len(child.space.groups)
        for group in np.flatnonzero(generator.random(groups) < 1 / groups):
            child = mutate_group(child, int(group), generator)
        return child


def better_first(of: Points) -> list[int]:
    """Indices of points [N, K] by front, then by falling crowding distance within it."""
    rank = non_dominated_ranks(of)
    distance = np.zeros(len(of))
    for number in range(rank.max() + 1):
        distance[rank == number] = crowding_distance(of[rank == number])
    order: list[int] = np.lexsort((-distance, rank)).tolist()
    return order


def points(population: Sequence[Trial], costs: Sequence[str]) -> Points:
    """The objectives to minimise [N, 1 + costs]: the share of wrong images, and each of these costs."""
    rows = [[1 - each.score / 100, *(each.costs[name] for name in costs)] for each in population]
    return np.array(rows, dtype=np.float64)
