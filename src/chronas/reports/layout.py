"""Where the boxes of a layered drawing go: order within ranks by barycentres, positions by isotonic regression.

After Sugiyama, Tagawa, Toda 1981 (ranks, dummy points, barycentre sweeps, https://doi.org/10.1109/TSMC.1981.4308636).
Different from it, positions are exact for one rank at a time: the least squares distance to the neighbours' mean under
"boxes keep their order and a gap" is an isotonic regression, so boxes of a rank never overlap.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean

SWEEPS = 12


@dataclass
class Layered:
    """Boxes in ranks from top to bottom; links join boxes of neighbouring ranks.

    Attributes:
        widths: width of each box, in the drawing's unit.
        ranks: numbers of boxes in each rank, from left to right.
        links: (box, box in the next rank).
    """

    widths: list[float] = field(default_factory=list)
    ranks: list[list[int]] = field(default_factory=list)
    links: list[tuple[int, int]] = field(default_factory=list)

    def add(self, rank: int, width: float) -> int:
        """Add a box to the right end of a rank and return its number."""
        while len(self.ranks) <= rank:
            self.ranks.append([])
        self.widths.append(width)
        self.ranks[rank].append(len(self.widths) - 1)
        return len(self.widths) - 1

    def neighbours(self) -> tuple[list[list[int]], list[list[int]]]:
        """For each box its neighbours in the rank above, and those in the rank below."""
        above: list[list[int]] = [[] for _ in self.widths]
        below: list[list[int]] = [[] for _ in self.widths]
        for upper, lower in self.links:
            above[lower].append(upper)
            below[upper].append(lower)
        return above, below


def crossings(layered: Layered) -> int:
    """The number of pairs of links that cross."""
    place = {box: index for rank in layered.ranks for index, box in enumerate(rank)}
    of_rank = {box: number for number, rank in enumerate(layered.ranks) for box in rank}
    count = 0
    for (a, b), (c, d) in itertools.combinations(layered.links, 2):
        if of_rank[a] == of_rank[c]:
            count += (place[a] - place[c]) * (place[b] - place[d]) < 0
    return count


def reduce_crossings(layered: Layered) -> None:
    """Reorder the boxes within each rank by barycentre sweeps; the best order seen stays."""
    above, below = layered.neighbours()
    best, fewest = [list(rank) for rank in layered.ranks], crossings(layered)
    for sweep in range(SWEEPS):
        neighbours, ranks = (above, layered.ranks) if sweep % 2 == 0 else (below, layered.ranks[::-1])
        for before, rank in itertools.pairwise(ranks):
            place = {box: index / max(1, len(before) - 1) for index, box in enumerate(before)}
            middle = {
                box: fmean(place[n] for n in neighbours[box]) if neighbours[box] else index / max(1, len(rank) - 1)
                for index, box in enumerate(rank)
            }
            rank.sort(key=middle.__getitem__)
        if (count := crossings(layered)) < fewest:
            best, fewest = [list(rank) for rank in layered.ranks], count
    layered.ranks[:] = best


def spread(wanted: Sequence[float], distances: Sequence[float]) -> list[float]:
    """Positions nearest to `wanted` (least squares) in which position i + 1 is at least distances[i] after position i.

    Pool adjacent violators after taking the distances off.

    Args:
        wanted: N positions, in the order to keep.
        distances: N - 1 smallest distances.
    """
    shifts = list(itertools.accumulate(distances, initial=0.0))
    blocks: list[tuple[float, int]] = []
    for position, shift in zip(wanted, shifts, strict=True):
        value, count = position - shift, 1
        while blocks and blocks[-1][0] > value:
            other, size = blocks.pop()
            value, count = (value * count + other * size) / (count + size), count + size
        blocks.append((value, count))
    flat = [value for value, count in blocks for _ in range(count)]
    return [value + shift for value, shift in zip(flat, shifts, strict=True)]


def positions(layered: Layered, gap: float) -> list[float]:
    """The centre of each box, from 0 at the left end of the drawing; boxes of a rank are at least `gap` apart."""
    distances = [
        [(layered.widths[a] + layered.widths[b]) / 2 + gap for a, b in itertools.pairwise(rank)]
        for rank in layered.ranks
    ]
    centres = [0.0] * len(layered.widths)
    for rank, between in zip(layered.ranks, distances, strict=True):
        for box, shift in zip(rank, itertools.accumulate(between, initial=-sum(between) / 2), strict=False):
            centres[box] = shift
    above, below = layered.neighbours()
    numbers = range(len(layered.ranks))
    for sweep in range(SWEEPS):
        neighbours = (
            (above, below)[sweep % 2] if sweep < SWEEPS - 2 else [a + b for a, b in zip(above, below, strict=True)]
        )
        for number in numbers if sweep % 2 == 0 else numbers[::-1]:
            rank = layered.ranks[number]
            wanted = [fmean(centres[n] for n in neighbours[box]) if neighbours[box] else centres[box] for box in rank]
            for box, centre in zip(rank, spread(wanted, distances[number]), strict=True):
                centres[box] = centre
    left = min(centre - width / 2 for centre, width in zip(centres, layered.widths, strict=True))
    return [centre - left for centre in centres]
