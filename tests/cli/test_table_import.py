"""`chronas table import FILE` and `chronas fit --transfer-from`: from columns of others to a predictor of a device."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from chronas.cli.main import main
from chronas.networks import space_counts
from chronas.predictors import load_predictor
from chronas.spaces import make_space
from chronas.tables import CostTable

Capture = pytest.CaptureFixture[str]
SPACE = make_space("nasbench201")
ARCHITECTURES = SPACE.sample(120, seed=0)
FORM = space_counts(SPACE, SPACE.sizes["cifar10"])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Two boards whose time follows MACs, a third whose time follows parameters; and what one of them weighs in CO2."""
    codes = SPACE.encode(ARCHITECTURES)
    macs, parameters = FORM.macs(codes) / 1e7, FORM.parameters(codes) / 1e5
    noise = np.random.default_rng(0).normal(1, 0.02, (4, len(codes)))
    frame = pl.DataFrame(
        {
            "arch_str": [str(one) for one in ARCHITECTURES],
            "one_ms": (1 + macs) * noise[0],
            "two_ms": (2 + macs) * noise[1],
            "three_ms": (2 + parameters) * noise[2],
            "co2": (1 + macs + parameters) * noise[3],
        }
    )
    frame.write_csv(tmp_path / "boards.csv")
    return tmp_path / "boards.csv"


def test_columns_become_a_folder_of_tables_that_a_device_is_learned_with(
    file: Path, tmp_path: Path, capsys: Capture
) -> None:
    out = tmp_path / "boards"
    assert main(["table", "import", "csv", str(file), "--out", str(out), "--source", "mine, MIT", "--json"]) == 0
    captured = capsys.readouterr()
    assert {Path(row["file"]).stem for row in json.loads(captured.out)} == {"one", "two", "three"}
    assert "not read, because their unit is unknown (--columns): co2" in captured.err
    assert main(["table", "import", "csv", str(file), "--out", str(out)]) == 2
    assert "exists; choose another --out" in capsys.readouterr().err
    assert main(["table", "show", str(out / "one.parquet"), "--rows", "1"]) == 0
    assert "mine, MIT; boards.csv, sha256" in capsys.readouterr().out

    predictor = tmp_path / "three.safetensors"
    fit = ["fit", "--table", str(out / "three.parquet"), "--transfer-from", str(out), "--samples", "10"]
    assert main([*fit, "--out", str(predictor), "--json"]) == 0
    captured = capsys.readouterr()
    answer = json.loads(captured.out)
    assert answer["predictor"] == "transfer" and answer["samples"] == 10 and answer["scores"]["spearman"] > 0.9
    assert "three.parquet is the table to learn, so it is no source" in captured.err
    assert load_predictor(predictor).name == "transfer"
    assert main([*fit, "--choose", "sequential", "--out", str(tmp_path / "other.safetensors")]) == 0


def test_a_cost_of_ones_own_is_imported_shown_learned_and_transferred(
    file: Path, tmp_path: Path, capsys: Capture
) -> None:
    out = tmp_path / "carbon"
    columns = ["co2=new.carbon_g", "one_ms=old.carbon_g"]
    assert main(["table", "import", "csv", str(file), "--out", str(out), "--columns", *columns]) == 0
    assert main(["table", "show", str(out / "new.parquet")]) == 0
    assert "carbon g" in capsys.readouterr().out
    assert CostTable.load(out / "new.parquet").provenance.cost == "carbon_g"
    fit = ["fit", "--table", str(out / "new.parquet"), "--transfer-from", str(out / "old.parquet"), "--samples", "12"]
    assert main([*fit, "--out", str(tmp_path / "carbon.safetensors")]) == 0
    assert "RMSE g" in capsys.readouterr().out
    assert load_predictor(tmp_path / "carbon.safetensors").learned == "carbon_g"


def test_options_that_do_not_go_together_are_refused(file: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "boards"
    assert main(["table", "import", "csv", str(file), "--out", str(out)]) == 0
    table = ["fit", "--table", str(out / "one.parquet"), "--out", str(tmp_path / "p.safetensors")]
    for words, expected in (
        (["--transfer-from", str(out), "--predictor", "lpm"], "--transfer-from is for --predictor transfer"),
        (["--transfer-from", str(out / "one.parquet")], "got only the table to learn"),
        (["--choose", "random"], "give --samples, or leave it out"),
        (["--samples", "20", "--folds", "4"], "leave one of the two out"),
        (["--samples", "118", "--predictor", "macs"], "need a table of 123, got 120"),
        (["--samples", "2", "--transfer-from", str(out)], "at least 3 samples"),
    ):
        capsys.readouterr()
        assert main([*table, *words]) == 2
        error = capsys.readouterr().err.splitlines()[-1]
        assert expected in error
    assert not (tmp_path / "p.safetensors").exists()
    assert main(["table", "import", "csv", str(file), "--out", str(tmp_path / "x"), "--dataset", "cifar11"]) == 2
    assert "did you mean cifar10" in capsys.readouterr().err
