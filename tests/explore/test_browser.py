"""The page in a browser: it loads, the limit changes the answer, a click shows a cell, a download arrives and runs."""

from __future__ import annotations

import http.client
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import numpy as np
import onnxruntime
import pytest
import torch

from chronas.networks import build
from explored import NETWORKS, SIZE, accuracies, latencies

if TYPE_CHECKING:
    from playwright.sync_api import Page

PIXEL = """
([x, y]) => {
  const plot = document.querySelector('.js-plotly-plot'), {xaxis, yaxis} = plot._fullLayout;
  const box = plot.getBoundingClientRect();
  return [box.left + xaxis._offset + xaxis.d2p(x), box.top + yaxis._offset + yaxis.d2p(y)];
}
"""
CHANGED = "before => document.querySelector('.answer').innerText !== before"
COSTS = "text => document.querySelector('.known tr.limited').innerText.includes(text)"
SHOWS = """
text => document.querySelector('.genotype')?.innerText === text && document.querySelector('img.cell').naturalWidth > 0
"""


def click_network(page: Page, number: int) -> None:
    """Click the point of a network."""
    x, y = page.evaluate(PIXEL, [latencies(60)[number], accuracies(60)[number]])
    page.mouse.move(x - 3, y - 3)  # plotly looks for the point when the mouse moves
    page.mouse.move(x, y, steps=3)
    page.wait_for_selector(".js-plotly-plot .hoverlayer .hovertext", state="attached")
    page.mouse.click(x, y)


def test_the_first_view_is_whole(page: Page) -> None:
    assert page.title() == "chronas explorer"
    assert page.inner_text(".answer").startswith("Within ")
    assert page.locator(".js-plotly-plot canvas").count() > 0
    assert page.evaluate("document.querySelector('img.cell').naturalWidth") > 50
    assert page.locator(".known tr").count() == 1 + 2 + 2 + 1
    assert page.locator("[data-testid=stException]").count() == 0


def test_names_from_files_bring_no_images(page: Page) -> None:
    assert page.locator("img:not(.cell)").count() == 0
    page.get_by_role("combobox", name="What to limit").click()
    page.get_by_role("option").nth(1).click()
    page.wait_for_function("document.querySelector('.answer').innerText.includes('![x]')")
    assert page.locator("img:not(.cell)").count() == 0


def test_the_slider_changes_the_answer(page: Page) -> None:
    slider, before = page.get_by_role("slider"), page.inner_text(".answer")
    slider.press("End")
    page.wait_for_function(CHANGED, arg=before)
    best = NETWORKS[int(np.argmax(accuracies(60)))]
    page.wait_for_function(SHOWS, arg=str(best))
    widest = page.inner_text(".answer")
    assert f"{max(accuracies(60)):.2f} %" in widest
    slider.press("Home")
    page.wait_for_function(CHANGED, arg=widest)


def test_a_click_shows_the_network_and_the_limit_goes_back(page: Page) -> None:
    wanted = next(number for number in range(60) if 65 < accuracies(60)[number] < 75)
    click_network(page, wanted)
    page.wait_for_function(SHOWS, arg=str(NETWORKS[wanted]))
    assert page.get_by_text("The network you picked").is_visible()
    page.wait_for_function(COSTS, arg=f"{latencies(60)[wanted]:.2f} ms")  # the table below is drawn last
    other = next(number for number in range(60) if 76 < accuracies(60)[number] < 85)
    click_network(page, other)
    page.wait_for_function(SHOWS, arg=str(NETWORKS[other]))
    page.get_by_role("button", name="Back to the best").click()
    page.get_by_text("The best within your limit").wait_for()


def test_tables_that_come_with_chronas_are_a_choice(page: Page) -> None:
    """Of 15,625 cells the file of accuracies knows 60: the least of two costs is asked of all."""
    page.get_by_role("combobox", name="Networks").click()
    page.get_by_role("option", name="nasbench201, 32 x 32 pixels, 10 classes").click()
    page.wait_for_function("document.querySelector('.known')?.innerText.includes('openvino')")
    page.get_by_role("combobox", name="What to make best").click()
    page.get_by_role("option", name="Multiplications").click()
    page.wait_for_function("document.querySelector('.answer').innerText.includes('(multiplications)')")
    assert "of 15,284 networks are within the limit" in page.inner_text("[data-testid=stMain]")
    assert page.locator("[data-testid=stException]").count() == 0


def test_downloads_arrive_and_run(page: Page, folder: Path) -> None:
    architecture = NETWORKS[0].space.parse(page.inner_text(".genotype"))
    with page.expect_download() as arriving:
        page.get_by_role("button", name="Download ONNX").click()
    assert arriving.value.suggested_filename == "model.onnx"
    arriving.value.save_as(folder / "model.onnx")
    images = np.random.default_rng(0).normal(size=(1, *SIZE.input_shape)).astype(np.float32)
    (logits,) = onnxruntime.InferenceSession(folder / "model.onnx").run(None, {"images": images})
    expected = build(architecture, SIZE).eval()(torch.from_numpy(images)).detach().numpy()
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)
    with page.expect_download() as arriving:
        page.get_by_role("button", name="Download Python").click()
    arriving.value.save_as(folder / "model.py")
    assert str(architecture) in (folder / "model.py").read_text()


@pytest.mark.parametrize("path", ["/", "/_stcore/health", "/_stcore/stream"])
@pytest.mark.parametrize(
    ("host", "answered"),
    [("evil.example", False), ("evil.example:{port}", False), ("localhost:{port}", True), ("127.0.0.1:{port}", True)],
)
def test_a_foreign_host_is_refused(url: str, path: str, host: str, answered: bool) -> None:
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port or 0, timeout=30)
    headers = {"Host": host.format(port=address.port)}
    if path.endswith("stream"):
        key = {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version": "13"}
        headers |= {"Upgrade": "websocket", "Connection": "Upgrade", **key}
    connection.request("GET", path, headers=headers)
    status = connection.getresponse().status
    connection.close()
    assert (status in (200, 101)) is answered, status
