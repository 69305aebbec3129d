"""Showing what a run found: drawn cells, and one self-contained HTML page.

report = load_report(folder / "report.json")
write_page(folder / "report.html", report)
svg = draw_cells(make_space("darts").parse(text))["normal"]
"""

from __future__ import annotations

from chronas.reports.comparison import comparison_figures, write_comparison
from chronas.reports.draw import cell_title, draw_cells, human_name
from chronas.reports.page import write_page
from chronas.reports.report import (
    JudgedCandidate,
    NetworkCost,
    Report,
    Role,
    Scored,
    SearchSummary,
    Source,
    TrainedNetwork,
    Verdict,
    load_report,
    save_report,
)
from chronas.reports.words import judge, number_text, predictor_words

__all__ = [
    "JudgedCandidate",
    "NetworkCost",
    "Report",
    "Role",
    "Scored",
    "SearchSummary",
    "Source",
    "TrainedNetwork",
    "Verdict",
    "cell_title",
    "comparison_figures",
    "draw_cells",
    "human_name",
    "judge",
    "load_report",
    "number_text",
    "predictor_words",
    "save_report",
    "write_comparison",
    "write_page",
]
