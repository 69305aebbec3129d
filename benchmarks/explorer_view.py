"""How long the explorer takes until all of its first view is drawn, with 15,625 networks, in headless Chromium.

    python benchmarks/explorer_view.py --views 5

Bar: <= 2.5 s. The table is made up: every cell of NAS-Bench-201 with a latency and an accuracy. Chromium has no GPU
here, so WebGL is drawn by the CPU. Each browser opens the page twice, and has never seen it the first time; a view ends
when the answer, the cell and the whole plane are there. Prints a table and, last, one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from urllib.error import URLError

import numpy as np
import polars as pl
import psutil
from playwright.sync_api import Playwright, sync_playwright

from chronas.devices.device import Fingerprint
from chronas.spaces import make_space
from chronas.tables import CostTable, Provenance

BAR_S = 2.5


def write_files(folder: Path) -> tuple[Path, Path]:
    """A table of all cells and their accuracies."""
    space = make_space("nasbench201")
    texts = [str(space.from_index(index)) for index in range(space.cardinality)]
    generator = np.random.default_rng(0)
    frame = pl.DataFrame({"architecture": texts, "latency_ms": generator.uniform(1, 20, len(texts))})
    device: Fingerprint = {"name": "made-up", "hardware": "a board", "threads": 1, "batch": 1, "dtype": "float32"}
    table, accuracies = folder / "costs.parquet", folder / "accuracies.parquet"
    CostTable.from_values(frame, Provenance(space.name, space.sizes["cifar10"], device)).save(table)
    percents = generator.uniform(70, 94, len(texts))
    pl.DataFrame({"architecture": texts, "accuracy": percents}).write_parquet(accuracies)
    return table, accuracies


def wait_for(url: str) -> None:
    """Until the server answers."""
    while True:
        try:
            with urllib.request.urlopen(f"{url}/_stcore/health", timeout=5):
                return
        except URLError:
            time.sleep(0.05)


def processor_s(process: psutil.Process) -> float:
    """Processor time of a process and its children until now, in seconds."""
    total = 0.0
    for one in [process, *process.children(recursive=True)]:
        try:
            times = one.cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system
    return total


def views(driver: Playwright, url: str) -> list[dict[str, float]]:
    """Open the page in a new browser and then once more: seconds until the answer, the cell and the whole plane."""
    browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    seen = []
    for _ in range(2):
        before, start = processor_s(psutil.Process()), time.perf_counter()
        page.goto(url)
        times = {}
        for name, selector in (("answer", ".answer"), ("cell", "img.cell"), ("plane", ".scatterlayer .point")):
            page.wait_for_selector(selector, state="attached", timeout=120_000)
            times[name] = time.perf_counter() - start
        page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        times["whole"] = time.perf_counter() - start
        times["processor"] = processor_s(psutil.Process()) - before
        seen.append(times)
    browser.close()
    return seen


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--views", type=int, default=5)
    count = parser.parse_args().views
    with tempfile.TemporaryDirectory() as name:
        table, accuracies = write_files(Path(name))
        words = ["explore", str(table), "--accuracies", str(accuracies), "--port", "0"]
        begun = time.perf_counter()
        with subprocess.Popen(
            [sys.executable, "-m", "chronas", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as process:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            wait_for(url)
            ready_s = time.perf_counter() - begun
            with sync_playwright() as driver:
                seen = [views(driver, url) for _ in range(count)]
            process.terminate()
    load = os.getloadavg()[0]
    print(f"the server answers after {ready_s:.1f} s; load {load:.1f} on {os.cpu_count()} cores")
    print("browser  answer    cell   plane   whole  processor (s)")
    for pair in seen:
        for browser, times in zip(("new", "same"), pair, strict=True):
            print(f"{browser:>7}" + "".join(f"{seconds:>8.2f}" for seconds in times.values()))
    new, same = ([pair[number]["whole"] for pair in seen] for number in range(2))
    summary = {"new_s": statistics.median(new), "same_s": statistics.median(same), "best_new_s": min(new)}
    print(json.dumps({**summary, "bar_s": BAR_S, "networks": 15_625, "ready_s": ready_s, "load": load}))


if __name__ == "__main__":
    main()
