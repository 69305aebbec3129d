"""A mixin for objects that a notebook shows as HTML; `chronas.reports` has the functions that make the HTML."""

from __future__ import annotations

from chronas.registry import imported

HTML = {  # class -> function that makes the HTML of an object
    "Architecture": "chronas.reports.notebook:architecture_html",
    "CostTable": "chronas.reports.notebook:table_html",
    "Estimate": "chronas.reports.notebook:estimate_html",
    "Predictor": "chronas.reports.notebook:predictor_html",
    "Trial": "chronas.reports.notebook:trial_html",
    "Found": "chronas.reports.notebook:found_html",
    "TrainedModel": "chronas.reports.notebook:trained_html",
    "FinishedRun": "chronas.reports.notebook:run_html",
}


class Displayed:
    """An object that a notebook shows as HTML."""

    def _repr_html_(self) -> str:
        names = (cls.__name__ for cls in type(self).__mro__)
        html: str = imported(HTML[next(name for name in names if name in HTML)])(self)
        return html
