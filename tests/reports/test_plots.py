from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import plotly.graph_objects as go
import pytest
from sample import latency, sample_networks, sample_predictor, sample_report, sample_search

from chronas.records import GivenResult
from chronas.reports.figures import (
    MARKS,
    Figure,
    is_free,
    label_box,
    label_sides,
    limit_line,
    padded,
    plane,
    points_of,
    predicted_against_measured,
    supernet_scores,
)
from chronas.reports.front import operation_weights, search_curves


def all_figures(space: str) -> list[Figure]:
    report = sample_report(space)
    assert report.predictor is not None
    scores = [supernet_scores(search) for search in report.searches]
    return [
        plane(report.networks, report.limits.get("latency_ms")),
        predicted_against_measured(report.predictor),
        *search_curves(report.searches, {}, report.limits),
        *(figure for figure in scores if figure is not None),
        *(figure for search in report.searches for figure in operation_weights(search)),
    ]


@pytest.mark.parametrize("space", ["darts", "nasbench201"])
def test_plotly_accepts_every_figure(space: str) -> None:
    figures = all_figures(space)
    assert len(figures) == 12 + 2 * len(operation_weights(sample_report(space).searches[0]))
    for figure in figures:
        go.Figure(data=figure.data, layout=figure.layout)


def test_the_plane_has_every_network_with_its_own_mark_and_interval() -> None:
    networks = sample_networks("darts", "limit")
    traces = plane(networks, 2.6).data
    assert {trace["name"] for trace in traces} == {MARKS[n.role].label for n in networks}
    assert len({(t["marker"]["symbol"]) for t in traces}) == len(traces)
    found = next(t for t in traces if t["name"] == MARKS["limit"].label)
    high = networks[0].latency.high
    assert found["x"][0] + found["error_x"]["array"][0] == pytest.approx(high)


def test_the_limit_is_in_sight_where_it_is_far_from_all_networks() -> None:
    figure = plane(sample_networks("darts", "limit"), 9.0)
    low, high = figure.layout["xaxis"]["range"]
    assert low < 9.0 < high
    assert figure.layout["shapes"][0]["x0"] == 9.0
    assert "shapes" not in plane(sample_networks("darts", "limit"), None).layout
    assert limit_line(9.0, "ms", vertical=False)["shapes"][0]["y0"] == 9.0


def test_names_of_crowded_networks_overlap_nothing() -> None:
    generator = np.random.default_rng(0)
    first = sample_networks("darts", "limit")[0]
    networks = [
        replace(
            first,
            name=f"network {n}",
            accuracy_percent=float(generator.uniform(90, 92)),
            costs={"latency_ms": latency(2 + n / 9)},
        )
        for n in range(12)
    ]
    sides = label_sides(networks, (1.5, 4.0), (89.0, 93.0))
    shown = [(n, side) for n, side in zip(networks, sides, strict=True) if side]
    assert len(shown) >= 6
    places = [label_box(n, (n.latency.value - 1.5) / 2.5, (n.accuracy_percent - 89.0) / 4, side) for n, side in shown]
    assert all(is_free(a, [b]) for a, b in itertools.permutations(places, 2))


def test_user_text_cannot_become_markup_in_a_figure() -> None:
    network = replace(sample_networks("darts", "limit")[0], name="<b>x</b>")
    assert plane([network], None).data[0]["customdata"][0][0] == "&lt;b&gt;x&lt;/b&gt;"


def test_a_range_is_never_empty() -> None:
    for values in ([0.0], [5.0], [1.0, 2.0]):
        low, high = padded(values, 0.1)
        assert low < min(values) <= max(values) < high


def test_curves_show_what_was_recorded_and_nothing_else() -> None:
    search = sample_search("weight 0", "darts", pull=0.0)
    bare = replace(search, history=[{"epoch": 7, "train_loss": 2.0}, {"epoch": 8, "train_loss": None}, {"epoch": 9}])
    (figure,) = search_curves([bare], {}, {})
    assert (figure.title, figure.data[0]["x"], figure.data[0]["y"]) == ("Training loss", [7], [2.0])
    titles = [figure.title for figure in search_curves([search], {}, {})]
    assert "Expected latency" in titles
    assert not any(title.startswith("Multiplier") for title in titles), "it is zero throughout"
    assert operation_weights(bare) == []
    assert supernet_scores(replace(search, scored=[])) is None


def test_each_cost_has_curves_of_its_own_with_its_own_limit() -> None:
    search = replace(
        sample_search("within the limit", "darts", pull=1.0),
        history=[
            {"epoch": n, "expected_energy_mj": 3.0 - n / 10, "mode_energy_mj": 2.9, "multiplier.energy_mj": 0.1 * n}
            for n in range(4)
        ],
    )
    figures = {figure.title: figure for figure in search_curves([search], {}, {"energy_mj": 2.5, "latency_ms": 9.0})}
    assert set(figures) == {"Expected energy", "Energy of the derived network", "Multiplier of the energy limit"}
    drawn = figures["Expected energy"]
    assert drawn.layout["yaxis"]["title"]["text"] == "energy (mJ)"
    assert drawn.layout["shapes"][0]["y0"] == 2.5
    assert drawn.layout["annotations"][0]["text"] == "limit 2.50 mJ"
    assert "shapes" not in figures["Multiplier of the energy limit"].layout


def test_tries_of_random_search_are_not_joined_by_a_line() -> None:
    search = sample_search("weight 0", "darts", pull=0.0)
    tries = replace(
        search, name="random search", history=[{"epoch": n, "validation_accuracy": 90.0 + n} for n in range(5)]
    )
    (figure,) = [f for f in search_curves([search, tries], {}, {}) if f.title == "Validation accuracy"]
    assert [trace["mode"] for trace in figure.data] == ["lines", "markers"]
    assert figure.layout["xaxis"]["title"]["text"] == "epoch, or number of trial"


def test_a_search_has_the_colour_of_its_network() -> None:
    searches = sample_report().searches
    figure = search_curves(searches, {"weight 0": "weight-0", "within the limit": "limit"}, {})[0]
    assert [t["line"]["color"] for t in figure.data] == [MARKS["weight-0"].colour, MARKS["limit"].colour]


@pytest.mark.parametrize("space", ["darts", "nasbench201"])
def test_operation_weights_are_shares_of_one(space: str) -> None:
    for figure in operation_weights(sample_search("s", space, pull=1.0)):
        z = np.array(figure.data[0]["z"])
        assert z.sum(axis=0) == pytest.approx(1.0)
        assert z[-1, -1] == z[:, -1].max() <= figure.data[0]["zmax"]
        assert len(figure.data[0]["y"]) == len(z)


def test_diagonal_and_points_share_their_axes() -> None:
    layout = predicted_against_measured(sample_predictor("darts")).layout
    assert layout["xaxis"]["range"] == layout["yaxis"]["range"]


def test_networks_beside_stand_where_their_ratio_to_the_found_one_puts_them() -> None:
    networks = list(sample_networks("darts", "limit"))
    found = networks[0]
    slow = replace(found.latency, value=3.0 * found.latency.value)  # a campaign in a slow moment
    twice = replace(slow, value=2 * slow.value, low=2 * slow.value, high=2 * slow.value)
    beside = [GivenResult(name, 50.0, 50.0, latency, None, 1) for name, latency in (("found", slow), ("m" * 50, twice))]
    *own, other = points_of(networks, beside)
    assert [point.name for point in own] == [network.name for network in networks]
    assert other.latency.value == pytest.approx(2 * found.latency.value)
    assert other.name == "…" + "m" * 27
