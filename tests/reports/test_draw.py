from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator
from xml.etree import ElementTree

import pytest

from chronas.reports import cell_title, draw
from chronas.spaces import SPACES, Architecture, label_of, make_space
from chronas.spaces.darts import GENOTYPES

SVG = "{http://www.w3.org/2000/svg}"
Box = tuple[float, float, float, float]


def architectures() -> list[Architecture]:
    darts, bench = make_space("darts"), make_space("nasbench201")
    published = [darts.parse(text) for text in GENOTYPES.values()]
    return published + darts.sample(50, seed=0) + bench.sample(50, seed=0)


def boxes(svg: ElementTree.Element, kind: str) -> list[Box]:
    """(left, top, right, bottom) of the states or the operations."""
    found = []
    for rect in svg.iterfind(f".//{SVG}g[@class='{kind}']/{SVG}rect"):
        x, y, width, height = (float(rect.get(name, "")) for name in ("x", "y", "width", "height"))
        found.append((x, y, x + width, y + height))
    return found


def points(path: str) -> Iterator[tuple[float, float]]:
    """Points along a path of M, C and V commands."""
    x = y = 0.0
    for command, text in re.findall(r"([MCV])([^MCV]*)", path):
        numbers = list(map(float, text.split()))
        if command == "C":
            x1, y1, x2, y2, to_x, to_y = numbers
            for t in (step / 12 for step in range(1, 13)):
                a, b, c, d = (1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3
                yield a * x + b * x1 + c * x2 + d * to_x, a * y + b * y1 + c * y2 + d * to_y
            x, y = to_x, to_y
        else:
            x, y = (numbers[0], numbers[1]) if command == "M" else (x, numbers[0])
            yield x, y


@pytest.mark.parametrize("architecture", architectures())
def test_every_kept_edge_is_drawn_once_and_nothing_overlaps(architecture: Architecture) -> None:
    topology = architecture.space.topology
    drawn = draw(architecture)
    assert list(drawn) == [cell_title(cell.name) for cell in topology.cells]
    for cell in topology.cells:
        svg = ElementTree.fromstring(drawn[cell_title(cell.name)])
        kept = {
            edge: operation
            for number, edge in enumerate(cell.edges)
            if (operation := architecture.operation(cell.decision(number))) is not None
        }
        after = cell.inputs + cell.nodes
        wanted = [*kept, *((state, after) for state in cell.output if len(cell.output) > 1)]
        edges = svg.findall(f".//{SVG}path[@class='edge']")
        assert Counter(edge.get("data-edge") for edge in edges) == Counter(f"{a} {b}" for a, b in wanted)
        names = [text.text for text in svg.iterfind(f".//{SVG}g[@class='operation']/{SVG}text")]
        assert Counter(names) == Counter(label_of(name, topology.operations) for name in kept.values())
        check_places(svg, edges)


def check_places(svg: ElementTree.Element, edges: list[ElementTree.Element]) -> None:
    """No two boxes overlap, none leaves the drawing, and a curve crosses at most one box: that of its own name."""
    operations, states = boxes(svg, "operation"), boxes(svg, "state")
    for a, b in itertools.combinations(operations + states, 2):
        assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1], (a, b)
    width, height = (float(svg.get(name, "")) for name in ("width", "height"))
    assert all(a[0] >= 0 and a[2] <= width and a[1] >= 0 and a[3] <= height for a in operations + states)
    assert width <= 460
    for edge in edges:
        along = list(points(edge.get("d", "")))
        crossed = [
            box
            for box in operations + states
            if any(box[0] + 0.2 < x < box[2] - 0.2 and box[1] + 0.2 < y < box[3] - 0.2 for x, y in along)
        ]
        assert len(crossed) <= 1
        assert all(box in operations for box in crossed)


def test_the_description_names_every_connection() -> None:
    text = "|avg_pool_3x3~0|+|none~0|skip_connect~1|+|nor_conv_1x1~0|nor_conv_3x3~1|none~2|"
    svg = ElementTree.fromstring(draw(make_space("nasbench201").parse(text))["cell"])
    assert svg.get("aria-label") == (
        "cell: node 1 from input by avg pool 3x3; node 2 from input by none; node 2 from node 1 by skip; "
        "output from input by conv 1x1; output from node 1 by conv 3x3; output from node 2 by none"
    )


def test_every_operation_of_every_space_has_a_colour_that_carries_white_text() -> None:
    for space in map(make_space, SPACES):
        for name in {name for decision in space.decisions for name in decision.relaxed}:
            colour = space.topology.operations[name].colour
            red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
            linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (red, green, blue)]
            luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
            assert 1.05 / (luminance + 0.05) >= 4.5, colour


def test_a_chain_of_layers_is_a_list_of_its_blocks() -> None:
    architecture = make_space("fbnet").sample(1, seed=0)[0]
    [svg] = map(ElementTree.fromstring, draw(architecture).values())
    texts = [[text.text for text in row.iterfind(f"{SVG}text")] for row in svg.iterfind(f".//{SVG}g")]
    names = [architecture.operation(d).replace("_", " ") for d in range(22)]
    assert texts == [[decision.name, name] for decision, name in zip(architecture.space.decisions, names, strict=True)]
    places = boxes(svg, "operation")
    assert all(above[3] < below[1] for above, below in itertools.pairwise(places))
    assert max(box[2] for box in places) < float(svg.get("width", ""))
