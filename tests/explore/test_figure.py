from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
from plotly.graph_objects import Figure

from chronas.explore import Plane
from chronas.explore.tradeoff import clicked, figure, traced
from explored import accuracies, latencies, plane_of, quantity


def plane(count: int = 60) -> Plane:
    goal = replace(quantity(accuracies(count), maximise=True), name="Accuracy", device="", unit="%")
    return plane_of(quantity(latencies(count)), goal)


def test_plotly_takes_the_figure_and_every_trace_is_where_its_rows_are() -> None:
    drawn, rows = figure(plane(), 4.0, best=3, picked=None), traced(plane(), 3, None)
    Figure(drawn)
    assert [len(trace["x"]) for trace in drawn["data"]] == [60, len(plane().front), 1, 0]
    for trace, places in zip(drawn["data"], rows, strict=True):
        assert np.allclose(trace["x"], np.array(latencies(60))[places])
        assert np.allclose(trace["y"], np.array(accuracies(60))[places])


def test_a_click_on_any_trace_is_its_network() -> None:
    rows = traced(plane(), 5, 7)
    assert clicked(rows, [{"curve_number": 0, "point_index": 41}]) == 41
    assert clicked(rows, [{"curve_number": 1, "point_index": 2}]) == plane().front[2]
    assert clicked(rows, [{"curve_number": 2, "point_index": 0}, {"curve_number": 0, "point_index": 1}]) == 5
    assert clicked(rows, [{"curve_number": 3, "point_index": 0}]) == 7
    assert clicked(rows, []) is None


def test_a_few_useless_networks_do_not_flatten_the_picture() -> None:
    goal = quantity([10.0, 11.0, *accuracies(98)], maximise=True)
    low, high = figure(plane_of(quantity(latencies(100)), goal), 4.0, None, None)["layout"]["yaxis"]["range"]
    assert low > 50 and high > max(accuracies(98))


def test_names_from_files_are_no_markup() -> None:
    hostile = replace(plane().cost, device='<a href="https://example.com">x</a>')
    text = str(figure(plane_of(hostile, plane().goal), 4.0, None, None))
    assert "<a" not in text and "&lt;a" in text


def test_15625_networks_are_small_to_send() -> None:
    big = plane(15_625)
    drawn = Figure(figure(big, 4.0, None, None)).to_json()
    assert len(drawn) < 400_000
    assert len(json.loads(drawn)["data"]) == 4
