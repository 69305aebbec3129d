"""Pages from templates: style and plotly.js go inside, what users wrote is escaped, and an unknown name is an error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

FOLDER = Path(__file__).parent


def render(name: str, content: dict[str, Any]) -> str:
    """A template beside this file as text, with `style` and `plotly` added to its content."""
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False}
    style = Markup((FOLDER / "page.css").read_text(encoding="utf-8"))  # noqa: S704 - our own file
    plotly = Markup(get_plotlyjs())  # noqa: S704 - the plotly package's file
    return environment.get_template(name).render(content, style=style, plotly=plotly)
