"""The feasible set: the architectures of a task that are predicted inside all of its limits, and ways to get new ones.

Costs are predicted before any evaluation, so nothing outside a limit is ever trained or scored. An architecture outside
is drawn again, or repaired by the steps that reduce the violation most; if draws fail, a small space is listed.
Disconnected architectures count as outside. Each architecture is handed out once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from chronas.errors import OutOfReachError
from chronas.records import Trial
from chronas.search.derive import out_of_reach
from chronas.search.objective import Objective
from chronas.search.searcher import Task
from chronas.spaces import Architecture, Choice, Group, Space

CHUNK = 256  # architectures predicted at once
DRAWS = 16  # chunks without new feasible ones before the whole space is listed or, if it is large, some are repaired
REPAIRS = 64  # random architectures to repair before the set counts as empty
VARIED = 32  # variations to try before a random draw


class FeasibleSet:
    """Hands out feasible candidates, each once.

    Attributes:
        space: space of the architectures.
        size: size of the deployed network.
        objectives: names of the costs to trade against accuracy: all costs except those that only have a limit.
        generator: source of all randomness here and in the searcher.
    """

    def __init__(self, task: Task, generator: np.random.Generator) -> None:
        """Start with no architecture handed out; `Objective` has checked that the task's costs fit its limits."""
        self.space, self.size = task.space, task.size
        pressed = {name for name, weight in task.objective.weights.items() if weight > 0}
        self.objectives = [name for name in task.costs if name in pressed or name not in task.objective.limits]
        self.generator = generator
        self._predict = task.predict
        self._objective = Objective(task.objective, task.costs)
        self._limits = task.objective.limits
        self._log_p = -math.log(task.space.cardinality)
        self._given: set[Architecture] = set()
        self._pool: list[Trial] = []
        self._by_rejection = True
        self._nearest: Trial | None = None

    def draw(self) -> Trial | None:
        """A new feasible candidate, drawn uniformly; None if nothing is left.

        It draws by rejection. If that fails, a small space is listed; for a large one random architectures are
        repaired, which may miss the last few.
        """
        while True:
            while self._pool:
                if self._take(candidate := self._pool.pop(0)):
                    return candidate
            if self._by_rejection:
                self._by_rejection = self._fill()
                if not self._by_rejection and self.space.listable:
                    self._pool = self._rest()
            elif self.space.listable:
                return None
            else:
                return self._repaired()

    def vary(self, make: Callable[[], Architecture]) -> Trial | None:
        """A new candidate by `make`: repaired if infeasible, made again if known; None if nothing is left."""
        for _ in range(VARIED):
            made = make()
            [candidate] = self._candidates([made])
            found = candidate if self.inside(candidate) else self.repair(made)
            if found is not None and self._take(found):
                return found
        return self.draw()

    def around(self, architecture: Architecture) -> list[Trial]:
        """All new feasible neighbours, in random order; they are not handed out yet."""
        found = self.new(neighbours(architecture))
        return [found[n] for n in self.generator.permutation(len(found))]

    def take(self, candidates: Sequence[Trial]) -> list[Trial]:
        """Hand out these candidates; those that were handed out before are left out."""
        return [candidate for candidate in candidates if self._take(candidate)]

    def known(self, architectures: Sequence[Architecture]) -> list[Trial]:
        """Candidates for architectures that are known, feasible or not; they are not handed out again."""
        self._given.update(architectures)
        return self._candidates(architectures)

    def penalty(self, candidate: Trial) -> float:
        """The penalty of a candidate: the sum of weight * predicted cost / median over the costs."""
        return self._objective.cost_penalty(candidate.costs)

    def inside(self, candidate: Trial) -> bool:
        """Whether a candidate is predicted inside all limits and is connected."""
        return self._violation(candidate) == 0 and candidate.architecture.connected()

    def new(self, architectures: Sequence[Architecture]) -> list[Trial]:
        """Candidates for those architectures that are feasible and not yet handed out, once each, in their order."""
        fresh = [each for each in dict.fromkeys(architectures) if each not in self._given]
        return [each for each in self._candidates(fresh) if self.inside(each)]

    def repair(self, architecture: Architecture) -> Trial | None:
        """A new feasible candidate by steps that reduce the violation most; None if none is near."""
        violation = math.inf
        while True:
            around = self._candidates(neighbours(architecture))
            inside = [each for each in around if self.inside(each) and each.architecture not in self._given]
            if inside:
                return inside[int(self.generator.integers(len(inside)))]
            best = min(around, key=self._violation)
            if not self._violation(best) < violation:
                return None
            architecture, violation = best.architecture, self._violation(best)

    def out_of_reach(self) -> OutOfReachError:
        """The error if no candidate was found; it reports the nearest costs."""
        assert self._nearest is not None
        return out_of_reach(self.space.name, self._limits, self._nearest.costs)

    def _take(self, candidate: Trial) -> bool:
        new = candidate.architecture not in self._given
        self._given.add(candidate.architecture)
        return new

    def _fill(self) -> bool:
        """Draw until there is a new feasible candidate; False if `DRAWS` chunks had none."""
        for _ in range(DRAWS):
            self._pool = self.new([self.space.draw(self.generator) for _ in range(CHUNK)])
            if self._pool:
                return True
        return False

    def _rest(self) -> list[Trial]:
        """All remaining new feasible candidates of a small space, in random order."""
        rest = self.new(list(self.space.every()))
        return [rest[n] for n in self.generator.permutation(len(rest))]

    def _repaired(self) -> Trial | None:
        for _ in range(REPAIRS):
            candidate = self.repair(self.space.draw(self.generator))
            if candidate is not None and self._take(candidate):
                return candidate
        return None

    def _candidates(self, architectures: Sequence[Architecture]) -> list[Trial]:
        if not architectures:
            return []
        found = [
            Trial(architecture, predicted, log_probability=self._log_p)
            for architecture, predicted in zip(architectures, self._predict(architectures), strict=True)
        ]
        self._nearest = min([*found, *([self._nearest] if self._nearest else [])], key=self._violation)
        return found

    def _violation(self, candidate: Trial) -> float:
        return candidate.violation(self._limits)


# ----
# Small changes of architectures in any space: neighbours, mutation, crossover.
#
# A step changes the operation of one kept decision. In a group that keeps only some of its decisions, it can also
# keep another decision instead (the hidden-state mutation of Real et al., arXiv 1802.01548), with any operation. NAS-
# Bench-201 has 24 neighbours, FBNet 176, DARTS about 300. Crossover exchanges whole groups, so a child is always
# valid.

Change = dict[int, Choice]


def neighbours(architecture: Architecture) -> list[Architecture]:
    """All architectures one step away, in a fixed order."""
    return [
        _changed(architecture, change)
        for group in architecture.space.groups
        for change in _changes(architecture.space, group, architecture.choices)
    ]


def mutate(architecture: Architecture, generator: np.random.Generator) -> Architecture:
    """A random neighbour: first a group is drawn, then a step, so that large groups do not change more often."""
    return mutate_group(architecture, int(generator.integers(len(architecture.space.groups))), generator)


def mutate_group(architecture: Architecture, group: int, generator: np.random.Generator) -> Architecture:
    """A random step in one group; the architecture itself if the group has only one assignment."""
    changes = _changes(architecture.space, architecture.space.groups[group], architecture.choices)
    return _changed(architecture, changes[int(generator.integers(len(changes)))]) if changes else architecture


def crossover(first: Architecture, second: Architecture, generator: np.random.Generator) -> Architecture:
    """Each group from either parent with equal probability."""
    space = first.space
    choices = list(first.choices)
    for group, swap in zip(space.groups, generator.random(len(space.groups)) < 0.5, strict=True):
        if swap:
            for d in group.decisions:
                choices[d] = second.choices[d]
    return space.architecture(choices)


def _changed(architecture: Architecture, change: Change) -> Architecture:
    choices = [change.get(d, choice) for d, choice in enumerate(architecture.choices)]
    return architecture.space.architecture(choices)


def _changes(space: Space, group: Group, choices: Sequence[Choice]) -> list[Change]:
    """All steps within a group."""
    found: list[Change] = []
    absent = [d for d in group.decisions if choices[d] is None]
    for d in group.decisions:
        if choices[d] is not None:
            found += [{d: o} for o in range(len(space.decisions[d].options)) if o != choices[d]]
            found += [{d: None, other: o} for other in absent for o in range(len(space.decisions[other].options))]
    return [each for each in found if space.allows(group, [each.get(d, choices[d]) for d in group.decisions])]
