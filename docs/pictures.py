"""Make the README's two pictures: a report (docs/report.png) and the explorer's page (docs/explorer.png).

python docs/pictures.py --accuracies accuracy.parquet
python docs/pictures.py --photos runs/mine

The second line shows a finished run on photos: docs/photos.png and docs/photos-report.png. The first one searches
NAS-Bench-201 on handwritten digits within a limit, with all comparisons, which takes two minutes or so.
The accuracies are NAS-Bench-201's: columns `arch_str` and percent; without them the explorer shows sizes in their
place. It drives the system's Chromium by Playwright, which the extra `dev` brings.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from urllib.error import URLError

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

DOCS = Path(__file__).resolve().parent
REPORT = {"width": 1140, "height": 900}  # windows, in pixels; the report's is just wide enough for five tiles in a row
EXPLORER = {"width": 1360, "height": 925}
MARGIN = 24
COLOURS = 255  # of a picture's palette
MOST_BYTES = 150_000
WAIT_S = 120
SMALL = (  # but for the size of the networks, the settings of the preset `digits-cpu`
    *("--space", "nasbench201", "--size.width", "8", "--size.depth", "1", "--searcher.depth", "1"),
    *("--networks", "100", "--baseline"),
)


def main() -> None:
    """Make both pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=DOCS, help="folder of the pictures")
    parser.add_argument("--limit-ms", default="0.035", help="of the search; about the median network's latency")
    parser.add_argument("--accuracies", help="Parquet file of NAS-Bench-201's accuracies, for the explorer")
    parser.add_argument("--run", type=Path, help="folder of a finished run to show instead of a new one")
    parser.add_argument(
        "--photos", type=Path, help="folder of a finished run on photos; then only its pictures are made"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        # without a graphics card, plots of many dots are drawn by the CPU
        flags = ["--no-sandbox", "--enable-unsafe-swiftshader"]
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=flags)
        if options.photos is not None:
            save(Image.open(options.photos / "examples.png").convert("RGB"), options.out / "photos.png")
            save(picture_of_report(browser, options.photos), options.out / "photos-report.png")
            return
        run = options.run or searched(Path(folder) / "run", options.limit_ms)
        save(picture_of_report(browser, run), options.out / "report.png")
        save(picture_of_explorer(browser, options.accuracies), options.out / "explorer.png")
        browser.close()


def searched(folder: Path, limit_ms: str) -> Path:
    """The folder of a small run."""
    command = [sys.executable, "-m", "chronas", "run", *SMALL, "--limit-ms", limit_ms, "--out", str(folder)]
    subprocess.run(command, check=True)
    return folder


def picture_of_report(browser: Browser, run: Path) -> Image.Image:
    """The top of the report, and its first plot below."""
    page = browser.new_page(viewport=REPORT)
    page.goto((run / "report.html").resolve().as_uri())
    page.wait_for_selector("#plane .main-svg")
    below = page.locator("#asked").bounding_box()
    plot = page.locator("#plane figure").first
    assert below is not None
    top = shot(page.screenshot(full_page=True)).crop((0, MARGIN, REPORT["width"], int(below["y"]) - MARGIN))
    figure = shot(plot.screenshot())
    both = Image.new("RGB", (top.width, top.height + figure.height + MARGIN), top.getpixel((0, 0)))
    both.paste(top, (0, 0))
    both.paste(figure, ((top.width - figure.width) // 2, top.height))
    return both


def picture_of_explorer(browser: Browser, accuracies: str | None) -> Image.Image:
    """The top of the explorer's page with the tables that come with chronas."""
    known = [] if accuracies is None else ["--accuracies", accuracies]
    command = [sys.executable, "-m", "chronas", "explore", "--port", "0", "--json", *known]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = json.loads("".join(process.stdout.readline() for _ in range(3)))["url"]
        try:
            wait_for(address)
            page = browser.new_page(viewport=EXPLORER)
            page.set_default_timeout(1000 * WAIT_S)
            page.goto(address)
            page.wait_for_selector("img.cell")
            page.wait_for_selector(".js-plotly-plot .scatterlayer .point", state="attached")
            page.wait_for_timeout(3000)  # until the dots are drawn
            return shot(page.screenshot())
        finally:
            process.send_signal(signal.SIGINT)


def wait_for(address: str) -> None:
    """Wait until the explorer answers."""
    for _ in range(5 * WAIT_S):
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health", timeout=5):
                return
        except URLError:
            time.sleep(0.2)
    raise SystemExit(f"nothing is served at {address}")


def shot(png: bytes) -> Image.Image:
    """The image of a screenshot."""
    return Image.open(io.BytesIO(png)).convert("RGB")


def save(image: Image.Image, path: Path) -> None:
    """Write a small PNG."""
    image.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
    size = path.stat().st_size
    sys.stdout.write(f"{path}: {image.width}x{image.height}, {size / 1000:.0f} kB\n")
    if size > MOST_BYTES:
        raise SystemExit(f"{path} has more than {MOST_BYTES} bytes: take fewer colours")


if __name__ == "__main__":
    main()
