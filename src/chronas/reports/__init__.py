"""Reports on runs: drawings of architectures, sentences, figures, and self-contained HTML pages.

write_page(folder / "report.html", report)
svg = draw(make_space("darts").parse(text))["normal cell"]
"""

from __future__ import annotations

from chronas.reports.comparison import comparison_figures, write_comparison
from chronas.reports.data import Report, SearchSummary, Verdict
from chronas.reports.draw import cell_title, draw
from chronas.reports.front import front_table, front_words
from chronas.reports.page import write_page
from chronas.reports.sentences import (
    BESIDE,
    BESIDE_COLUMNS,
    TWO_COLUMNS,
    beside_rows,
    number_text,
    predictor_words,
    two_rows,
    two_words,
    verdict_on,
)

__all__ = [
    "BESIDE",
    "BESIDE_COLUMNS",
    "TWO_COLUMNS",
    "Report",
    "SearchSummary",
    "Verdict",
    "beside_rows",
    "cell_title",
    "comparison_figures",
    "draw",
    "front_table",
    "front_words",
    "verdict_on",
    "number_text",
    "predictor_words",
    "two_rows",
    "two_words",
    "write_comparison",
    "write_page",
]
