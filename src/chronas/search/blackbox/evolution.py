"""Regularised evolution (Real et al., arXiv 1802.01548): mutate the best of a random sample, let the oldest die.

The paper has a population of 100 and samples of 25 for 20,000 networks; the defaults here are those of White et al. for
a few hundred (naszilla, `evolution_search`: 30 and 10). We differ: a child that was evaluated before, or is predicted
outside a limit, is mutated again instead of being evaluated.
"""

from __future__ import annotations

import functools
from collections import deque
from typing import ClassVar

from pydantic import Field

from chronas.records import Trial
from chronas.search.blackbox.loop import Proposals
from chronas.search.blackbox.single_path import SinglePathSearchConfig, SinglePathSearcher
from chronas.search.feasible import FeasibleSet, mutate


class EvolutionConfig(SinglePathSearchConfig):
    """Settings of regularised evolution."""

    population: int = Field(default=30, ge=1, le=100_000, description="architectures that are alive at one time")
    sample: int = Field(default=10, ge=1, le=100_000, description="of them that compete to be a parent, with repeats")


class Evolution(SinglePathSearcher):
    """Mutation and tournament selection in a queue."""

    name: ClassVar[str] = "evolution"
    Config: ClassVar[type[EvolutionConfig]] = EvolutionConfig
    config: EvolutionConfig

    def _proposals(self, feasible: FeasibleSet) -> Proposals:
        return evolve(feasible, self.config.population, self.config.sample)


def evolve(feasible: FeasibleSet, size: int, count: int) -> Proposals:
    """The proposals of regularised evolution.

    Args:
        feasible: the architectures to search.
        size: architectures that are alive at one time.
        count: number of them that compete to be a parent, with repeats.
    """
    population: deque[Trial] = deque(maxlen=size)
    while len(population) < size:
        drawn = feasible.draw()
        if drawn is None:
            break
        population.extend((yield [drawn]))
    while population:
        sample = [population[n] for n in feasible.generator.integers(len(population), size=count)]
        parent = min(sample, key=lambda each: each.value).architecture
        child = feasible.vary(functools.partial(mutate, parent, feasible.generator))
        if child is None:
            return
        population.extend((yield [child]))
