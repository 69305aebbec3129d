"""Drawings of architectures as SVG: cells as layered graphs, other architectures as a list of decisions.

Cells of any space can be drawn, with states from top to bottom, one curve for each edge and the operation's name on it.
Ranks are longest paths. Names of operations have their own ranks between the states, and a curve has a lane in every
rank that it passes, so that names overlap no state, curve or other name. Lines and text use `currentColor`, so a
drawing follows the theme of its page; it is at most about 380 wide.

The layout is after Sugiyama, Tagawa, Toda 1981 (ranks, dummy points, barycentre sweeps,
https://doi.org/10.1109/TSMC.1981.4308636). Unlike there, positions are exact for one rank at a time: the least squares
distance to the neighbours' mean, with boxes in order and a gap between them, is an isotonic regression. So boxes of a
rank never overlap.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from statistics import fmean

from chronas.spaces import GREY, Architecture, Cell, Space, label_of

SWEEPS = 12


@dataclass
class Layered:
    """Boxes in ranks from top to bottom; links join boxes in neighbouring ranks.

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
    """Reorder the boxes within each rank by barycentre sweeps, and keep the best order."""
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
    """Positions nearest to `wanted` (least squares) with position i + 1 at least distances[i] after position i.

    It uses pool-adjacent-violators after subtracting the distances.

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


LETTER, PADDING, PILL, STATE, GAP, LANE, MARGIN = 7.0, 14.0, 22.0, 26.0, 8.0, 4.0, 6.0
RISE, PORT, ARROW = 22.0, 14.0, 7.0
LABELS_IN_A_RANK = 2


@dataclass(frozen=True)
class _Edge:
    """A curve to draw: from one state to another, with an operation, or to the cell's output without one."""

    source: int
    target: int
    operation: str | None


@dataclass(frozen=True)
class _Placed:
    """Positions of the drawing: the boxes of each edge from source to target, and each box's centre, size and top."""

    layered: Layered
    routes: list[list[int]]
    labels: list[int | None]
    centres: list[float]
    tops: list[float]
    heights: list[float]


def cell_title(name: str) -> str:
    """The title of a cell: `normal cell`, and `cell` for a cell of that name."""
    return name if name.endswith("cell") else f"{name} cell"


def draw(architecture: Architecture) -> dict[str, str]:
    """SVG texts of an architecture by title: each kind of cell, or a list of all decisions' choices.

    Edges that are not kept are not drawn. A topology may have its own drawings.
    """
    topology = architecture.space.topology
    own = dict(topology.drawings(architecture))
    if own:
        return own
    if topology.cells:
        return {cell_title(cell.name): _draw(cell, architecture) for cell in topology.cells}
    return {architecture.space.name: _draw_list(architecture)}


def _draw_list(architecture: Architecture) -> str:
    """A row for each kept decision: its name, and its choice."""
    space = architecture.space
    rows = [
        (decision.name, _label(space, operation), _colour(space, operation))
        for number, decision in enumerate(space.decisions)
        if (operation := architecture.operation(number)) is not None
    ]
    left = max(_text_width(name) for name, _, _ in rows)
    right = max(_text_width(label) for _, label, _ in rows)
    parts = []
    for row, (name, label, colour) in enumerate(rows):
        top = MARGIN + row * (PILL + GAP)
        line = top + PILL / 2 + 4.2
        parts.append(
            f'<g class="operation"><text x="{MARGIN + left - PADDING / 2:.1f}" y="{line:.1f}" text-anchor="end" '
            f'fill="currentColor">{escape(name)}</text><rect x="{MARGIN + left:.1f}" y="{top:.1f}" '
            f'width="{right:.1f}" height="{PILL:g}" rx="{PILL / 2:g}" fill="{colour}"/>'
            f'<text x="{MARGIN + left + right / 2:.1f}" y="{line:.1f}" fill="#fff">{escape(label)}</text></g>'
        )
    words = "; ".join(f"{name}: {label}" for name, label, _ in rows)
    return _page(words, 2 * MARGIN + left + right, 2 * MARGIN + len(rows) * (PILL + GAP) - GAP, parts)


def _label(space: Space, operation: str) -> str:
    return label_of(operation, space.topology.operations)


def _colour(space: Space, operation: str) -> str:
    known = space.topology.operations.get(operation)
    return GREY if known is None else known.colour


def _draw(cell: Cell, architecture: Architecture) -> str:
    edges = [
        _Edge(source, target, operation)
        for number, (source, target) in enumerate(cell.edges)
        if (operation := architecture.operation(cell.decision(number))) is not None
    ]
    names = [_state_name(cell, state) for state in range(cell.inputs + cell.nodes)]
    space = architecture.space
    words = "; ".join(f"{names[e.target]} from {names[e.source]} by {_label(space, e.operation or '')}" for e in edges)
    if len(cell.output) > 1:
        edges += [_Edge(state, len(names), None) for state in cell.output]
        names.append("output")
    return _svg(f"{cell_title(cell.name)}: {words}", names, edges, _place(space, names, edges), space)


def _state_name(cell: Cell, state: int) -> str:
    """The label of a state: the cell that it comes from, a node's number, or `output`."""
    if state < cell.inputs:
        return "input" if cell.inputs == 1 else f"cell k-{cell.inputs - state}"
    return "output" if cell.output == (state,) else f"node {state - cell.inputs + 1}"


def _depths(states: int, edges: list[_Edge]) -> list[int]:
    """The longest path from the inputs to each state; the last state (the output) is below all others."""
    depths = [0] * states
    for edge in sorted(edges, key=lambda e: e.target):
        depths[edge.target] = max(depths[edge.target], depths[edge.source] + 1)
    depths[-1] = max(depths[-1], max(depths[:-1]) + 1)
    return depths


def _name_ranks(edges: list[_Edge], depths: list[int]) -> tuple[list[int], list[int | None]]:
    """The rank of each depth's states, and the rank of each edge's name (None without a name).

    A long edge's name is placed in the rank with the fewest names; at most `LABELS_IN_A_RANK` names share a rank.
    """
    between: list[list[int]] = [[] for _ in range(max(depths))]
    named = [number for number, edge in enumerate(edges) if edge.operation is not None]
    for number in sorted(named, key=lambda n: depths[edges[n].target] - depths[edges[n].source]):
        stretch = between[depths[edges[number].source] : depths[edges[number].target]]
        min(stretch, key=len).append(number)
    state_ranks, label_ranks = [0], list[int | None]([None] * len(edges))
    for numbers in between:
        rows = -(-len(numbers) // LABELS_IN_A_RANK)
        for position, number in enumerate(sorted(numbers)):
            label_ranks[number] = state_ranks[-1] + 1 + position % rows
        state_ranks.append(state_ranks[-1] + rows + 1)
    return state_ranks, label_ranks


def _place(space: Space, names: list[str], edges: list[_Edge]) -> _Placed:
    depths = _depths(len(names), edges)
    state_ranks, label_ranks = _name_ranks(edges, depths)
    layered = Layered()
    ports = Counter(e.source for e in edges), Counter(e.target for e in edges)
    for state, name in enumerate(names):
        layered.add(state_ranks[depths[state]], max(_text_width(name), PORT * max(port[state] for port in ports)))
    routes, labels = [], list[int | None]()
    for edge, label_rank in zip(edges, label_ranks, strict=True):
        between = range(state_ranks[depths[edge.source]] + 1, state_ranks[depths[edge.target]])
        width = _text_width(_label(space, edge.operation)) if edge.operation is not None else LANE
        lanes = [layered.add(rank, width if rank == label_rank else LANE) for rank in between]
        labels.append(None if label_rank is None else lanes[label_rank - between.start])
        routes.append([edge.source, *lanes, edge.target])
        layered.links += itertools.pairwise(routes[-1])
    reduce_crossings(layered)
    heights = [PILL] * len(layered.widths)
    heights[: len(names)] = [STATE] * len(names)
    tops = [0.0] * len(layered.widths)
    bottom = MARGIN
    for rank in layered.ranks:
        for box in rank:
            tops[box] = bottom
        bottom += max(heights[box] for box in rank) + RISE
    return _Placed(layered, routes, labels, [MARGIN + x for x in positions(layered, GAP)], tops, heights)


def _text_width(text: str) -> float:
    return LETTER * len(text) + PADDING


def _svg(description: str, names: list[str], edges: list[_Edge], placed: _Placed, space: Space) -> str:
    boxes = range(len(placed.centres))
    width = max(placed.centres[b] + placed.layered.widths[b] / 2 for b in boxes) + MARGIN
    height = max(placed.tops[b] + placed.heights[b] for b in boxes) + MARGIN
    parts = [_curve(number, edges, placed) for number in range(len(edges))]
    parts += [_state(name, box, placed) for box, name in enumerate(names)]
    parts += [
        _pill(edge.operation or "", box, placed, space) for edge, box in zip(edges, placed.labels, strict=True) if box
    ]
    return _page(description, width, height, parts)


def _page(description: str, width: float, height: float, parts: list[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{escape(description)}" class="cell" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}" fill="none" '
        f'font-family="system-ui, sans-serif" font-size="12" text-anchor="middle">{"".join(parts)}</svg>'
    )


def _port(state: int, number: int, placed: _Placed, *, leaving: bool) -> float:
    """The x position at which an edge meets a state; edges are spread in the order of their next boxes."""
    end, following = (0, 1) if leaving else (-1, -2)
    here = [n for n, route in enumerate(placed.routes) if route[end] == state]
    here.sort(key=lambda n: placed.centres[placed.routes[n][following]])
    return placed.centres[state] + (here.index(number) - (len(here) - 1) / 2) * PORT


def _curve(number: int, edges: list[_Edge], placed: _Placed) -> str:
    route = placed.routes[number]
    across = [placed.centres[box] for box in route]
    across[0] = _port(route[0], number, placed, leaving=True)
    across[-1] = _port(route[-1], number, placed, leaving=False)
    y = placed.tops[route[0]] + placed.heights[route[0]]
    path = [f"M{across[0]:.1f} {y:.1f}"]
    for (x, to), box in zip(itertools.pairwise(across), route[1:], strict=True):
        top = placed.tops[box] - (ARROW if box == route[-1] else 0)
        path.append(f"C{x:.1f} {(y + top) / 2:.1f} {to:.1f} {(y + top) / 2:.1f} {to:.1f} {top:.1f}")
        y = top + placed.heights[box]
        if box != route[-1]:
            path.append(f"V{y:.1f}")
    x, top = across[-1], placed.tops[route[-1]]
    head = f"M{x - 4:.1f} {top - ARROW:.1f}h8l-4 {ARROW:.1f}z"
    edge = edges[number]
    dash = ' stroke-dasharray="3 3"' if edge.operation is None else ""
    return (
        f'<path class="edge" data-edge="{edge.source} {edge.target}" d="{"".join(path)}" stroke="currentColor" '
        f'stroke-opacity="0.55" stroke-width="1.5"{dash}/><path d="{head}" fill="currentColor" fill-opacity="0.7"/>'
    )


def _state(name: str, box: int, placed: _Placed) -> str:
    return _box("state", name, box, placed, 'stroke="currentColor" stroke-width="1.5"', "currentColor", radius=6.0)


def _pill(operation: str, box: int, placed: _Placed, space: Space) -> str:
    paint = f'fill="{_colour(space, operation)}"'
    return _box("operation", _label(space, operation), box, placed, paint, "#fff", radius=PILL / 2)


def _box(kind: str, text: str, box: int, placed: _Placed, paint: str, ink: str, *, radius: float) -> str:
    width, height, x, top = placed.layered.widths[box], placed.heights[box], placed.centres[box], placed.tops[box]
    return (
        f'<g class="{kind}"><rect x="{x - width / 2:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" '
        f'rx="{radius:g}" {paint}/><text x="{x:.1f}" y="{top + height / 2 + 4.2:.1f}" fill="{ink}">'
        f"{escape(text)}</text></g>"
    )
