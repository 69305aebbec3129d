"""Small changes of architectures in any space: neighbours, mutation, crossover.

A step changes the operation of one kept decision. In a group that keeps only some of its decisions, it can also keep
another decision instead (the hidden-state mutation of Real et al., arXiv 1802.01548), with any operation. NAS-Bench-201
has 24 neighbours, FBNet 176, DARTS about 300. Crossover exchanges whole groups, so a child is always valid.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chronas.spaces import Architecture, Choice, Group, Space

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
    return found
