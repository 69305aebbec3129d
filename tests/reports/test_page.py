from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from plotly.offline import get_plotlyjs
from sample import sample_report
from window import Window

from chronas.errors import DataError
from chronas.records import Estimate, TrialRecord
from chronas.reports import Report, write_page

REPORTS: dict[str, Report] = {
    "darts": sample_report("darts"),
    "nasbench201": sample_report("nasbench201", limit=False),
    "missed": replace(sample_report("darts", answer=False), predictor=None, searches=[], notes=[], measured={}),
}
PLOTS = {"darts": 17, "nasbench201": 15, "missed": 0}
DRAWN = """
return [...document.querySelectorAll('.chart')].map(chart => {
  const marks = [...chart.querySelectorAll('.points path, .js-line, .heatmaplayer image')];
  return chart.matches('.js-plotly-plot') && marks.some(mark => mark.getBoundingClientRect().width > 0);
});
"""
CELLS = """
return [...document.querySelectorAll('#found svg.cell')].map(svg => {
  const box = svg.getBoundingClientRect();
  const fits = [...svg.querySelectorAll('g')].every(g =>
    g.querySelector('text').getBBox().width <= g.querySelector('rect').getBBox().width);
  return [box.width, box.height, fits];
});
"""


def text_of(path: Path) -> str:
    """The page without plotly.js."""
    return path.read_text(encoding="utf-8").replace(get_plotlyjs(), "")


def test_the_page_loads_nothing(tmp_path: Path) -> None:
    write_page(tmp_path / "report.html", sample_report())
    text = text_of(tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text(encoding="utf-8").count(get_plotlyjs()) == 1
    assert (
        re.findall(r"<(?:img|iframe|object|embed|link(?! rel=\"icon\" href=\"data:)|script [^>]*src)[ >]", text) == []
    )
    assert re.findall(r"(?:src|href)=\"(?!#|data:)", text) == []
    assert "@import" not in text
    assert "url(" not in text
    assert "default-src 'none'" in text


def test_what_users_wrote_is_escaped(tmp_path: Path) -> None:
    evil = "</script><script>alert(1)</script>"
    report = sample_report()
    networks = [replace(report.networks[0], name=evil), *report.networks[1:]]
    searches = [replace(search, name=evil) for search in report.searches]
    hostile = replace(
        report,
        title=evil,
        notes=[evil],
        networks=networks,
        found=evil,
        searches=searches,
        asked={evil: evil},
        command=evil,
    )
    write_page(tmp_path / "report.html", hostile)
    assert "<script>alert" not in text_of(tmp_path / "report.html")
    assert "&lt;/script&gt;&lt;script&gt;alert(1)" in text_of(tmp_path / "report.html")


def test_headings_have_an_order_and_ids_are_unique(tmp_path: Path) -> None:
    write_page(tmp_path / "report.html", sample_report())
    text = text_of(tmp_path / "report.html")
    levels = [int(level) for level in re.findall(r"<h([1-6])[ >]", text)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in zip(levels, levels[1:], strict=False))
    ids = re.findall(r" id=\"([^\"]+)\"", text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r"href=\"#([^\"]+)\"", text)) <= set(ids)


def test_a_report_whose_network_is_lost_is_refused_and_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not among its networks"):
        write_page(tmp_path / "report.html", replace(sample_report(), found="lost"))
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("name", REPORTS)
def test_a_browser_draws_all_of_it(window: Window, pages: Path, name: str, width: int) -> None:
    path = pages / f"{name}.html"
    write_page(path, REPORTS[name])
    window.open(path, width)
    assert window.run(DRAWN) == [True] * PLOTS[name]
    assert window.run("return document.documentElement.scrollWidth <= innerWidth")
    assert window.run("return performance.getEntriesByType('resource').length") == 0
    cells = window.run(CELLS)
    assert len(cells) == {"darts": 2, "nasbench201": 1, "missed": 0}[name]
    assert all(0 < box_width <= width and height > 0 and fits for box_width, height, fits in cells)
    assert window.messages == []


@pytest.mark.parametrize("dark", [False, True])
def test_figures_follow_the_theme(window: Window, pages: Path, dark: bool) -> None:
    path = pages / "theme.html"
    write_page(path, REPORTS["darts"])
    window.open(path, 1280, dark=dark)
    fills = window.run(
        "return [...document.querySelectorAll('.xtick text, .g-ytitle text, .legendtext, .textpoint text')]"
        ".map(text => getComputedStyle(text).fill)"
    )
    assert set(fills) == {"rgb(230, 233, 236)" if dark else "rgb(29, 35, 41)"}
    assert len(fills) > 50


def test_the_architecture_can_be_copied(window: Window, pages: Path) -> None:
    path = pages / "copy.html"
    write_page(path, REPORTS["darts"])
    window.open(path, 1280)
    label = window.run(
        "const button = document.querySelector('[data-copy=genotype-text]'); return new Promise(done => {"
        "new MutationObserver(() => done(button.textContent)).observe(button, {childList: true}); button.click(); });"
    )
    assert label in ("Copied", "Selected")


def test_a_page_tells_every_cost_its_limit_and_what_was_chosen_among(tmp_path: Path) -> None:
    report = sample_report("nasbench201")
    energy = Estimate(3.0, 2.9, 3.2, "mJ", predicted=3.05)
    compared = [
        TrialRecord(network.architecture, 61.5 + place, {"latency_ms": 2.4, "energy_mj": 3.05}, place, 1.5 + place)
        for place, network in enumerate(report.networks, 1)
    ]
    several = replace(
        report,
        limits={**report.limits, "energy_mj": 3.1},
        networks=[replace(network, costs={**network.costs, "energy_mj": energy}) for network in report.networks],
        searches=[*report.searches[:1], replace(report.searches[1], compared=compared)],
    )
    write_page(tmp_path / "report.html", several)
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text_of(tmp_path / "report.html")))
    assert "Measured energy 3.00 mJ 2.90 to 3.20 mJ, limit 3.10 mJ" in text
    assert "within the limit energy 3.05 mJ 3.00 mJ 2.90 to 3.20 mJ 3.10 mJ no" in text
    assert "within the limit latency 2.38 ms 2.44 ms 2.37 to 2.51 ms 2.60 ms yes" in text
    assert "the best 4 of 4 candidates, before any was measured" in text
    assert "chosen 1 62.50 % 2.5 2.40 ms 3.05 mJ" in text
    write_page(tmp_path / "plain.html", replace(report, limits={}))
    plain = text_of(tmp_path / "plain.html")
    assert "Each cost of each network" not in plain
    assert "What was chosen among" not in plain


def test_a_page_does_not_call_measured_what_was_not(tmp_path: Path) -> None:
    report = sample_report()
    for source, label in (("table", "The table&#39;s latency"), ("predicted", "Predicted latency")):
        networks = [
            replace(network, costs={"latency_ms": replace(network.latency, source=source)})
            for network in report.networks
        ]
        write_page(tmp_path / f"{source}.html", replace(report, networks=networks))
        text = text_of(tmp_path / f"{source}.html")
        assert label in text
        assert "Measured latency" not in text
