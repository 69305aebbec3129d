"""A page of headless Chromium, for the tests that open a report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Page


class Window:
    """A page, and what its console said since it was opened."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.messages: list[str] = []
        page.on("console", lambda message: self.messages.append(message.text))
        page.on("pageerror", lambda error: self.messages.append(str(error)))

    def open(self, path: Path, width: int, *, dark: bool = False) -> None:
        """Open a file at a width, in the light or the dark theme."""
        self.page.emulate_media(color_scheme="dark" if dark else "light")
        self.page.set_viewport_size({"width": width, "height": 900})
        self.messages.clear()
        self.page.goto(path.as_uri())

    def run(self, script: str) -> Any:
        """The value of the body of a JavaScript function, which may be a promise."""
        return self.page.evaluate(f"() => {{ {script} }}")
