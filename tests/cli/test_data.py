"""`chronas data show`: what a data set holds, before any work."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from chronas.cli.main import main

Capture = pytest.CaptureFixture[str]
COUNTS = {"train": {"fine": 18, "faulty": 6}, "val": {"fine": 4, "faulty": 4}, "Test": {"fine": 5, "faulty": 3}}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    for part, counts in COUNTS.items():
        for name, count in counts.items():
            for number in range(count):
                path = tmp_path / "photos" / part / name / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(random.integers(0, 255, (9, 7, 3), dtype=np.uint8)).save(path)
    (tmp_path / "photos" / "train" / "fine" / "x.heic").write_bytes(b"photo")
    return tmp_path / "photos"


def test_splits_classes_and_what_is_left_out_are_shown(photos: Path, tmp_path: Path, capsys: Capture) -> None:
    sheet = tmp_path / "sheet.png"
    assert main(["data", "show", str(photos), "--sheet", str(sheet)]) == 0
    out = capsys.readouterr().out
    rows = [line.split() for line in out.splitlines()]
    assert ["class", "train", "validation", "test"] in rows
    assert ["faulty", "6", "4", "3"] in rows and ["fine", "18", "4", "5"] in rows
    assert "75.0 % of train, 50.0 % of validation, 62.5 % of test" in out
    assert "Left out: 1 files that end in .heic." in out
    with Image.open(sheet) as picture:
        assert picture.format == "PNG" and picture.width > 400
        assert len(np.unique(np.asarray(picture))) > 200, "photos are on it"
    assert main(["data", "show", str(photos), "--sheet", str(sheet)]) == 2
    assert "nothing is overwritten" in capsys.readouterr().err


def test_the_same_is_known_to_programs(photos: Path, capsys: Capture) -> None:
    assert main(["data", "show", str(photos), "--image-size", "6", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["shape"] == [3, 6, 6]
    assert answer["classes"][0] == {"name": "faulty", "train": 6, "validation": 4, "test": 3}
    assert answer["largest_share_percent"]["train"] == 75.0


@pytest.mark.parametrize("source", ["digits", "nowhere/at/all", "a\0b", ""])
def test_it_takes_what_a_run_takes(source: str, capsys: Capture) -> None:
    code = main(["data", "show", source])
    assert code == (0 if source == "digits" else 2)
    assert capsys.readouterr().err.count("chronas: error") == (0 if source == "digits" else 1)
