from __future__ import annotations

import base64
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from chronas.explore import Collection, Plane
from chronas.explore.tradeoff import answer, drawing, known
from chronas.tables import CostTable
from explored import NETWORKS, SPACE, accuracies, latencies, only_collection, plane_of, write_accuracies, write_table
from toy_space import ToySpace

DEAD = "|avg_pool_3x3~0|+|skip_connect~0|none~1|+|nor_conv_3x3~0|nor_conv_3x3~1|none~2|"  # node 2 leads nowhere


@pytest.fixture
def collection(tmp_path: Path) -> Collection:
    files = [
        write_table(tmp_path / "a.parquet", [2.0, 4.0, 8.0], hardware="chip A"),
        write_table(tmp_path / "b.parquet", [50.0, 30.0], hardware="<img src=x onerror=alert(1)>"),
    ]
    return only_collection(files, write_accuracies(tmp_path / "accuracy.parquet", [80.0, 91.5, 93.0]))


def plane(collection: Collection) -> Plane:
    return plane_of(collection.costs["Time on chip A, simulated"], collection.accuracies["Accuracy"])


def words(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html)).strip()


def test_the_answer_says_what_is_best_and_what_more_would_cost(collection: Collection) -> None:
    text = words(answer(plane(collection), 5.0, 1)).replace(" .", ".")
    assert "Within 5.00 ms (time on chip A, simulated), the best network names 91.50 % of images rightly" in text
    assert "and takes 4.00 ms (95 % interval 3.96 to 4.04 ms)" in text
    assert "The best of all has 93.00 %, 1.50 points more, and takes 2.00 times as much (8.00 ms)." in text
    assert "2 of 3 networks are within the limit." in text


def test_a_limit_that_nothing_meets_says_what_would(collection: Collection) -> None:
    assert "The first does at 2.02 ms" in words(answer(plane(collection), 1.0, None))


def test_without_accuracies_the_second_cost_is_the_goal(collection: Collection) -> None:
    slow = collection.costs["Time on <img src=x onerror=alert(1)>, simulated"]
    two = plane_of(plane(collection).cost, slow)
    text = answer(two, 3.0, two.best(3.0))
    assert "takes <strong>50.0 ms</strong> (time on &lt;img" in text and "<img" not in text
    assert "40.0 % less" in text and "Of 1 more it is not known." in text


def test_what_is_known_of_a_network_says_what_is_not(collection: Collection) -> None:
    table = known(collection, 2, plane(collection).cost)
    rows = [words(row) for row in table.split("<tr")]
    assert any("chip A, simulated 8.00 ms 7.92 to 8.08 ms, 3 rounds 0 %" in row for row in rows)
    assert any("onerror" in row and "not measured" in row for row in rows)
    assert any(row.startswith("class=limited>") or "Accuracy 93.00 % 100 %" in row for row in rows)
    assert "<img" not in table


def test_a_network_that_no_table_has_is_not_measured_anywhere(collection: Collection) -> None:
    table = known(collection, None, plane(collection).cost)
    assert table.count("not measured") == 2 and table.count("not known") == 3  # accuracy and two sizes
    assert "nan" not in table


def test_a_cost_that_was_measured_on_the_same_graph_says_on_which(tmp_path: Path) -> None:
    dead, live = SPACE.parse(DEAD), SPACE.parse(DEAD).pruned()
    frame = CostTable.load(write_table(tmp_path / "a.parquet", [4.0, 4.0], [dead, live])).frame
    table = CostTable.load(tmp_path / "a.parquet")
    CostTable(frame.with_columns(measured_as=pl.lit(str(live))), table.provenance).save(tmp_path / "b.parquet")
    write_table(tmp_path / "c.parquet", [5.0, 6.0], [live, dead], hardware="chip")
    collection = only_collection([tmp_path / "c.parquet", tmp_path / "b.parquet"])
    cost = collection.costs["Time on a board, simulated"]
    text = words(known(collection, collection.rows[str(dead)], cost))
    assert f"Time on a board, simulated: measured on {live} , which is the same network" in text
    assert text.count("measured on") == 1
    assert "measured on" not in known(collection, collection.rows[str(live)], cost)
    assert "measured on" not in known(collection, None, cost)


def test_a_size_is_no_share_of_images(tmp_path: Path) -> None:
    collection = only_collection([write_table(tmp_path / "a.parquet", [2.0, 4.0, 8.0])])
    size = collection.goals("Time on a board, simulated")["Parameters that reach the answer, the more the better"]
    grown = replace(size, values=np.array([1.0, 2.0, 3.0]))
    text = words(answer(plane_of(collection.costs["Time on a board, simulated"], grown), 5.0, 1)).replace(" .", ".")
    assert "has 2.00 million (parameters that reach the answer, the more the better) and takes 4.00 ms" in text
    assert "The best of all has 3.00 million, 50.0 % more, and takes 2.00 times as much" in text


def test_one_round_has_no_interval(collection: Collection) -> None:
    cost = plane(collection).cost
    once = replace(cost, rounds=np.ones_like(cost.rounds))
    assert "interval" not in answer(plane_of(once, plane(collection).goal), 5.0, 1)


def test_the_cell_is_an_image_with_its_description() -> None:
    html = drawing(NETWORKS[0], "#123456")
    content = re.search(r'src="data:image/svg\+xml;base64,([^"]+)"', html)
    assert content is not None
    svg = base64.b64decode(content[1]).decode()
    assert "color: #123456" in svg and "output" in svg
    assert re.search(r'alt="cell: node 1 from input by [^"]+"', html)


def test_a_space_without_cells_is_a_drawn_list_of_its_decisions() -> None:
    space = ToySpace(((1, 1), (1, 1)), 2, with_none=False)
    assert 'alt="d0: op0; d1: op1"' in drawing(space.architecture([0, 1]), "#000000")


def test_a_rank_is_among_the_networks_that_are_known(tmp_path: Path) -> None:
    values = latencies(60)
    collection = only_collection([write_table(tmp_path / "c.parquet", values)])
    cost = next(iter(collection.costs.values()))
    fastest = int(np.argmin(values))
    assert "<td class=number>100 %</td>" in known(collection, fastest, cost)
    assert accuracies(3) != values[:3]
