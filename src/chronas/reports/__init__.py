"""Showing what a run found: drawn cells, and one self-contained HTML page.

report = load_report(folder / "report.json")
write_page(folder / "report.html", report)
svg = draw_cells(make_space("darts").parse(text))["normal"]
"""

from __future__ import annotations

from chronas.reports.draw import draw_cells
from chronas.reports.page import write_page
from chronas.reports.report import (
    Report,
    Role,
    Scored,
    SearchSummary,
    TrainedNetwork,
    Verdict,
    load_report,
    save_report,
)
from chronas.reports.words import judge, predictor_words

__all__ = [
    "Report",
    "Role",
    "Scored",
    "SearchSummary",
    "TrainedNetwork",
    "Verdict",
    "draw_cells",
    "judge",
    "load_report",
    "predictor_words",
    "save_report",
    "write_page",
]
