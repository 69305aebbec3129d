"""The page of a comparison, opened in a browser: drawn, nothing loaded, names escaped, no sideways scrolling."""

from __future__ import annotations

from pathlib import Path

import pytest
from window import Window

from chronas.reports import comparison_figures, write_comparison
from chronas.tables import Agreement, Best, Comparison

NAMES = ["a.latency_ms", "<b onclick=x>.latency_ms", "MACs", "parameters"]
COMPARISON = Comparison(
    NAMES,
    [Agreement(a, b, None if b == "MACs" else 0.5, 0.7, 9) for i, a in enumerate(NAMES) for b in NAMES[i + 1 :]],
    [Best(name, 4.0, "|<script>x</script>~0|", 91.5, {NAMES[0]: 3.0, NAMES[1]: None}) for name in NAMES[:2]],
    "val_acc",
    15625,
)
DRAWN = """
return [...document.querySelectorAll('.chart')].map(chart =>
  [...chart.querySelectorAll('.heatmaplayer image')].some(mark => mark.getBoundingClientRect().width > 0)
  && [...chart.querySelectorAll('.heatmap-label')].length);
"""


def test_matrices_are_symmetric_and_gaps_are_empty() -> None:
    kendall, spearman, shares = comparison_figures(COMPARISON)
    assert kendall.data[0]["text"][0] == ["1.00", "0.50", "", "0.50"]
    assert spearman.data[0]["z"][2] == [0.7, 0.7, 1.0, 0.7]
    assert shares.data[0]["z"] == [[0.75, None], [0.75, None]]


@pytest.mark.parametrize("width", [380, 1200])
def test_the_page_draws_every_matrix(width: int, window: Window, pages: Path) -> None:
    path = pages / f"comparison-{width}.html"
    write_comparison(path, COMPARISON)
    window.open(path, width)
    assert window.run(DRAWN) == [12, 16, 2]
    wide = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert window.run(wide) == 0
    text = window.run("return document.querySelector('main').innerText")
    assert "15,625 architectures" in text and "|<script>x</script>~0|" in text and "91.50 %" in text
    assert window.messages == []
