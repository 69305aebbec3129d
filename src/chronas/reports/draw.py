"""Cells as SVG: states from top to bottom, one curve an edge, the operation's name on it.

Any `CellTopology` can be drawn: ranks are longest paths, operation names have ranks of their own between the states,
and a curve has a lane in every rank that it passes, so that names overlap no state, no curve and no name.
Lines and text take `currentColor`, so a drawing follows the theme of the page around it; it is at most some 380 wide.
"""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass
from html import escape

from chronas.errors import UsageError
from chronas.reports.layout import Layered, positions, reduce_crossings
from chronas.spaces import Architecture, Cell, CellTopology

# Fills that carry white text at a contrast of at least 4.5 : 1; hues near Okabe and Ito's colour-blind safe set.
COLOURS = {
    "separable": "#0067a5",
    "dilated": "#7a4a9c",
    "convolution": "#0067a5",
    "pooling": "#a84800",
    "skip": "#00735a",
    "none": "#666c76",
}
OPERATIONS = {
    "none": ("none", "none"),
    "skip_connect": ("skip", "skip"),
    "max_pool_3x3": ("max pool 3x3", "pooling"),
    "avg_pool_3x3": ("avg pool 3x3", "pooling"),
    "sep_conv_3x3": ("sep conv 3x3", "separable"),
    "sep_conv_5x5": ("sep conv 5x5", "separable"),
    "dil_conv_3x3": ("dil conv 3x3", "dilated"),
    "dil_conv_5x5": ("dil conv 5x5", "dilated"),
    "nor_conv_1x1": ("conv 1x1", "convolution"),
    "nor_conv_3x3": ("conv 3x3", "convolution"),
}
LETTER, PADDING, PILL, STATE, GAP, LANE, MARGIN = 7.0, 14.0, 22.0, 26.0, 8.0, 4.0, 6.0
RISE, PORT, ARROW = 22.0, 14.0, 7.0
LABELS_IN_A_RANK = 2


@dataclass(frozen=True)
class _Edge:
    """A curve to draw: from one state to another, with an operation, or without one to the cell's output."""

    source: int
    target: int
    operation: str | None


@dataclass(frozen=True)
class _Placed:
    """Where everything is: for each edge its boxes from source to target, and each box's centre, size and top."""

    layered: Layered
    routes: list[list[int]]
    labels: list[int | None]
    centres: list[float]
    tops: list[float]
    heights: list[float]


def human_name(operation: str) -> str:
    """An operation's name for people: `sep conv 3x3` for `sep_conv_3x3`."""
    return OPERATIONS[operation][0] if operation in OPERATIONS else operation.replace("_", " ")


def cell_title(name: str) -> str:
    """What a cell is called for people: `normal cell`, and `cell` for a cell of that name."""
    return name if name.endswith("cell") else f"{name} cell"


def draw_cells(architecture: Architecture) -> dict[str, str]:
    """SVG text of each cell of an architecture, by the cell's name; edges that are not kept are not drawn.

    Raises:
        UsageError: the architecture's space has no cells.
    """
    topology = architecture.space.topology
    if not isinstance(topology, CellTopology):
        raise UsageError(f"only spaces of cells can be drawn, and {architecture.space.name} is a chain of layers")
    return {cell.name: _draw(cell, architecture) for cell in topology.cells}


def _draw(cell: Cell, architecture: Architecture) -> str:
    edges = [
        _Edge(source, target, operation)
        for number, (source, target) in enumerate(cell.edges)
        if (operation := architecture.operation(cell.decision(number))) is not None
    ]
    names = [_state_name(cell, state) for state in range(cell.inputs + cell.nodes)]
    words = "; ".join(f"{names[e.target]} from {names[e.source]} by {human_name(e.operation or '')}" for e in edges)
    if len(cell.output) > 1:
        edges += [_Edge(state, len(names), None) for state in cell.output]
        names.append("output")
    return _svg(f"{cell_title(cell.name)}: {words}", names, edges, _place(names, edges))


def _state_name(cell: Cell, state: int) -> str:
    """What is written on a state: the cell that it comes from, a node's number, or `output`."""
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
    """The rank of each depth's states, and the rank of each edge's name (None where it has none).

    A long edge's name stands between the states where fewest others do; at most `LABELS_IN_A_RANK` share a rank.
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


def _place(names: list[str], edges: list[_Edge]) -> _Placed:
    depths = _depths(len(names), edges)
    state_ranks, label_ranks = _name_ranks(edges, depths)
    layered = Layered()
    ports = Counter(e.source for e in edges), Counter(e.target for e in edges)
    for state, name in enumerate(names):
        layered.add(state_ranks[depths[state]], max(_text_width(name), PORT * max(port[state] for port in ports)))
    routes, labels = [], list[int | None]()
    for edge, label_rank in zip(edges, label_ranks, strict=True):
        between = range(state_ranks[depths[edge.source]] + 1, state_ranks[depths[edge.target]])
        width = _text_width(human_name(edge.operation)) if edge.operation is not None else LANE
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


def _svg(description: str, names: list[str], edges: list[_Edge], placed: _Placed) -> str:
    boxes = range(len(placed.centres))
    width = max(placed.centres[b] + placed.layered.widths[b] / 2 for b in boxes) + MARGIN
    height = max(placed.tops[b] + placed.heights[b] for b in boxes) + MARGIN
    parts = [_curve(number, edges, placed) for number in range(len(edges))]
    parts += [_state(name, box, placed) for box, name in enumerate(names)]
    parts += [_pill(edge.operation or "", box, placed) for edge, box in zip(edges, placed.labels, strict=True) if box]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{escape(description)}" class="cell" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}" fill="none" '
        f'font-family="system-ui, sans-serif" font-size="12" text-anchor="middle">{"".join(parts)}</svg>'
    )


def _port(state: int, number: int, placed: _Placed, *, leaving: bool) -> float:
    """Where an edge meets a state: edges that enter or leave it are spread in the order of their next boxes."""
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


def _pill(operation: str, box: int, placed: _Placed) -> str:
    colour = COLOURS[OPERATIONS[operation][1]] if operation in OPERATIONS else COLOURS["none"]
    return _box("operation", human_name(operation), box, placed, f'fill="{colour}"', "#fff", radius=PILL / 2)


def _box(kind: str, text: str, box: int, placed: _Placed, paint: str, ink: str, *, radius: float) -> str:
    width, height, x, top = placed.layered.widths[box], placed.heights[box], placed.centres[box], placed.tops[box]
    return (
        f'<g class="{kind}"><rect x="{x - width / 2:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" '
        f'rx="{radius:g}" {paint}/><text x="{x:.1f}" y="{top + height / 2 + 4.2:.1f}" fill="{ink}">'
        f"{escape(text)}</text></g>"
    )
