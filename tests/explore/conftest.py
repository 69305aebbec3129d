"""A served page for the tests that look at it as people do."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import URLError

import pytest

from explored import NETWORKS, accuracies, latencies, write_accuracies, write_table

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

STARTS_S = 120  # a hang guard, not a bar
HOSTILE = '<img src="http://192.0.2.1/x.png"> ![x](http://192.0.2.1/y.png)'


@pytest.fixture(autouse=True)
def nothing_shipped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Tests here know every number of their own tables; those that come with chronas would stand beside them."""
    monkeypatch.setattr("chronas.tables.bundled.FOLDER", tmp_path / "shipped")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a page that `chronas explore` serves; it must end when it is interrupted."""
    pytest.importorskip("streamlit", reason="streamlit is not installed")
    folder = tmp_path_factory.mktemp("explored")
    tables = [
        write_table(folder / "a.parquet", latencies(60), hardware="chip A"),
        write_table(folder / "b.parquet", latencies(60, seed=4), hardware=HOSTILE),
    ]
    known = write_accuracies(folder / "accuracy.parquet", accuracies(60), NETWORKS)
    words = ["explore", *map(str, tables), "--accuracies", str(known), "--port", "0", "--json"]
    with subprocess.Popen(
        [sys.executable, "-m", "chronas", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        answer = "".join(process.stdout.readline() for _ in range(3))
        address: str = json.loads(answer)["url"]
        try:
            _wait_for(address, process)
            yield address
        finally:
            process.stdout.close()  # who only wanted the address has gone: it must end all the same
            process.send_signal(signal.SIGINT)
            returned, errors = process.wait(STARTS_S), process.stderr.read()
    assert returned == 0
    assert "Traceback" not in errors


def _wait_for(address: str, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + STARTS_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health", timeout=5):
                return
        except URLError:
            time.sleep(0.1)
    raise AssertionError(f"nothing is served at {address}")


@pytest.fixture
def page(chromium: Browser, url: str) -> Iterator[Page]:
    """The page as it opens, with everything drawn; nothing outside this machine was asked for."""
    context = chromium.new_context(viewport={"width": 1400, "height": 1000}, accept_downloads=True)
    opened = context.new_page()
    asked: list[str] = []
    opened.on("request", lambda request: asked.append(request.url))
    opened.set_default_timeout(STARTS_S * 1000)
    opened.goto(url)
    opened.wait_for_selector("img.cell")
    opened.wait_for_selector(".js-plotly-plot .scatterlayer .point", state="attached")
    yield opened
    context.close()
    assert [address for address in asked if not address.startswith((url, "data:", "blob:"))] == []


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where downloads are put."""
    return tmp_path
