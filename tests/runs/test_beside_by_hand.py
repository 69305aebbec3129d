"""The page of a run shows its images, and five convolutions written by hand beside what it found."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from tests.tiny_run import tiny_config

from chronas.devices import OfflineConfig
from chronas.errors import UsageError
from chronas.runs import Run, execute, five_convolutions
from chronas.runs.examples import write_examples
from chronas.tables import CostTable


def test_a_run_trains_five_convolutions_beside_and_a_second_call_changes_nothing(copied: Run) -> None:
    config = copied.config.model_copy(update={"by_hand": True})
    run = Run(copied.folder, config, copied.command)
    report = execute(run)
    own, by_hand = report.beside
    assert own.name == "found by this run" and by_hand.name == "five convolutions by hand"
    assert by_hand.parameters == sum(each.numel() for each in five_convolutions(10, 1).parameters())
    assert 0 < by_hand.accuracy_percent < 100 and by_hand.latency.low > 0
    assert (run.folder / "by-hand" / "model.onnx").exists()
    before = (run.folder / "beside.json").read_bytes()
    assert "five convolutions by hand" in (run.folder / "report.html").read_text()
    execute(run)
    assert (run.folder / "beside.json").read_bytes() == before


def test_a_device_that_is_not_here_cannot_measure_what_is_written_by_hand(finished: Run, tmp_path: Path) -> None:
    elsewhere = OfflineConfig(fingerprint={"name": "elsewhere"})
    config = tiny_config(device="offline", device_config=elsewhere, by_hand=True)
    with pytest.raises(UsageError, match="--by-hand needs the device here"):
        Run.create(tmp_path / "run", config, command="", table=CostTable.load(finished.folder / "costs.parquet"))


def test_a_report_shows_the_training_images_once_they_are_read(copied: Run) -> None:
    page = (copied.folder / "report.html").read_text()
    assert "Images of each class" in page and "data:image/png;base64," in page
    picture = copied.folder / "examples.png"
    assert Image.open(picture).getbbox() is not None
    before = picture.stat().st_mtime_ns
    write_examples(copied)
    assert picture.stat().st_mtime_ns == before
