"""A window for the tests that open a report."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from window import Window

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture
def window(chromium: Browser) -> Iterator[Window]:
    context = chromium.new_context()
    yield Window(context.new_page())
    context.close()


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for pages that several tests open."""
    return tmp_path_factory.mktemp("pages")
