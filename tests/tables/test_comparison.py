from __future__ import annotations

import json
from pathlib import Path

import plotly.graph_objects as go
import polars as pl
import pytest

from chronas.cli.main import main
from chronas.errors import DataError, UsageError
from chronas.networks import build, count
from chronas.reports import comparison_figures
from chronas.spaces import make_space
from chronas.tables import Comparison, CostTable, Provenance, Query, compare, read_accuracies

Capture = pytest.CaptureFixture[str]
SPACE = make_space("nasbench201")
SIZE = SPACE.sizes["cifar10"]
CELLS = [SPACE.from_index(index) for index in range(6)]
FAST = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
ODD = [2.0, 1.0, 4.0, 3.0, 6.0, 5.0]
ACCURACIES = [60.0, 70.0, 80.0, 70.0, 90.0, 95.0]


def table(device: str, latencies: list[float], indices: list[int] | None = None) -> CostTable:
    indices = list(range(len(latencies))) if indices is None else indices
    texts = [str(SPACE.from_index(index)) for index in indices]
    frame = pl.DataFrame({"index": indices, "architecture": texts, "latency_ms": latencies})
    frame = frame.with_columns(energy_mj=10 * pl.col("latency_ms")) if device == "fast" else frame
    return CostTable.from_values(frame, Provenance("nasbench201", SIZE, {"name": device}, source="a test"))


@pytest.fixture
def accuracies(tmp_path: Path) -> Path:
    pl.DataFrame({"index": range(6), "val_acc": ACCURACIES}).write_parquet(tmp_path / "accuracies.parquet")
    return tmp_path / "accuracies.parquet"


@pytest.fixture
def query(accuracies: Path) -> Query:
    return Query([table("fast", FAST), table("odd", ODD)], read_accuracies(accuracies, SPACE))


def agreement(comparison: Comparison, first: str, second: str) -> tuple[float | None, float | None, int]:
    return next(
        (one.kendall, one.spearman, one.architectures)
        for one in comparison.agreements
        if (one.first, one.second) == (first, second)
    )


def test_ranks_are_compared_as_by_hand(query: Query) -> None:
    comparison = compare(query, SIZE)
    # Of 15 pairs the three neighbours are exchanged: tau = (12 - 3) / 15, rho = 1 - 6 * 6 / (6 * 35)
    assert agreement(comparison, "fast.latency_ms", "odd.latency_ms") == (
        pytest.approx(0.6),
        pytest.approx(1 - 36 / 210),
        6,
    )
    assert agreement(comparison, "fast.latency_ms", "fast.energy_mj") == (pytest.approx(1.0), pytest.approx(1.0), 6)
    assert comparison.names == ["fast.latency_ms", "fast.energy_mj", "odd.latency_ms", "MACs", "parameters"]
    square = comparison.matrix("kendall")
    assert all(square[i][i] == 1 and square[i][j] == square[j][i] for i in range(5) for j in range(5))
    assert square[0][2] == pytest.approx(0.6) and comparison.best == []


def test_macs_and_parameters_are_those_of_the_built_networks() -> None:
    counts = [count(build(cell, SIZE), SIZE.input_shape) for cell in CELLS]
    by_macs = table("macs", [float(one.macs) for one in counts])
    by_parameters = table("parameters", [float(one.parameters) for one in counts])
    comparison = compare(Query([by_macs, by_parameters]), SIZE)
    assert agreement(comparison, "macs.latency_ms", "MACs")[0] == pytest.approx(1.0)
    assert agreement(comparison, "parameters.latency_ms", "parameters")[0] == pytest.approx(1.0)


def test_only_architectures_that_both_have_are_compared() -> None:
    comparison = compare(Query([table("a", FAST[:4], [0, 1, 2, 3]), table("b", ODD[:4], [2, 3, 4, 5])]), SIZE)
    assert agreement(comparison, "a.latency_ms", "b.latency_ms") == (None, None, 2)
    comparison = compare(Query([table("a", FAST), table("b", [1.0] * 6)]), SIZE)
    assert agreement(comparison, "a.latency_ms", "b.latency_ms") == (None, None, 6)


def test_the_best_keeps_its_limit_and_is_the_most_accurate(query: Query) -> None:
    comparison = compare(query, SIZE, accuracy="val_acc", limit_ms=4.0)
    fast, odd = comparison.best
    assert (fast.cost, odd.cost) == ("fast.latency_ms", "odd.latency_ms")
    assert (fast.architecture, fast.accuracy_percent, fast.limit) == (str(CELLS[2]), 80.0, 4.0)
    assert fast.costs == {"fast.latency_ms": 3.0, "fast.energy_mj": 30.0, "odd.latency_ms": 4.0}
    assert comparison.shares() == [[0.75, 1.0], [0.75, 1.0]]
    tight = compare(query, SIZE, accuracy="val_acc", limit_ms=2.5).best
    assert [one.architecture for one in tight] == [str(CELLS[1]), str(CELLS[1])]
    assert tight[0].costs["odd.latency_ms"] == 1.0


def test_a_share_sets_each_devices_own_limit(query: Query) -> None:
    comparison = compare(query, SIZE, accuracy="val_acc", share=1.0)
    assert [one.limit for one in comparison.best] == [6.0, 60.0, 6.0]
    assert {one.accuracy_percent for one in comparison.best} == {95.0}
    for wrong, error, message in (
        ({"accuracy": "val_acc", "limit_ms": 0.5}, DataError, "no architecture with an accuracy has fast.latency_ms"),
        ({"accuracy": "fast.latency_ms"}, UsageError, "no column of accuracies; known are val_acc"),
        ({"share": 0.0}, UsageError, "above 0 and at most 1"),
    ):
        with pytest.raises(error, match=message):
            compare(query, SIZE, **wrong)  # type: ignore[arg-type]


def test_equally_accurate_ones_are_told_apart_by_cost(query: Query) -> None:
    best = compare(query, SIZE, accuracy="val_acc", limit_ms=2.0).best
    assert best[0].architecture == str(CELLS[1])
    level = read_like(query, [70.0] * 6)
    assert compare(level, SIZE, accuracy="val_acc", limit_ms=9.0).best[1].architecture == str(CELLS[1])


def read_like(query: Query, values: list[float]) -> Query:
    joined = pl.DataFrame({"architecture": query.frame["architecture"], "val_acc": values})
    return Query([table("fast", FAST), table("odd", ODD)], joined)


def test_plotly_accepts_every_figure_and_gaps_stay_gaps(accuracies: Path) -> None:
    query = Query([table("fast", FAST), table("odd", ODD[:3])], read_accuracies(accuracies, SPACE))
    comparison = compare(query, SIZE, accuracy="val_acc", share=1.0)
    assert comparison.shares()[0] == [1.0, 1.0, None]
    figures = comparison_figures(comparison)
    assert len(figures) == 3 and len(comparison_figures(compare(query, SIZE))) == 2
    for figure in figures:
        go.Figure(data=figure.data, layout=figure.layout)
    assert figures[2].data[0]["text"][0] == ["1.00", "1.00", ""]


def test_the_command_tells_and_writes_a_page(accuracies: Path, tmp_path: Path, capsys: Capture) -> None:
    for device, latencies in (("fast", FAST), ("odd", ODD)):
        table(device, latencies).save(tmp_path / "tables" / f"{device}.parquet")
    page = tmp_path / "page.html"
    words = ["table", "compare", str(tmp_path / "tables"), "--accuracies", str(accuracies), "--accuracy", "val_acc"]
    assert main([*words, "--limit-ms", "4", "--page", str(page), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert [one["accuracy_percent"] for one in answer["best"]] == [80.0, 80.0]
    html = page.read_text(encoding="utf-8")
    assert str(CELLS[2]) in html and 'http-equiv="Content-Security-Policy"' in html and html.count('class="chart"') == 3
    assert main(words) == 0
    told = capsys.readouterr().out
    assert "kendall" in told and "0.6" in told and "above 1 the limit is missed" in told
    for extra, expected in (
        (["--page", str(page)], "exists; choose another --page"),
        (["--share", "0"], "--share"),
    ):
        assert main([*words, *extra]) == 2
        assert expected in capsys.readouterr().err
    for alone, expected in (
        (words[:5], "--accuracy COLUMN, one of val_acc"),
        (words[:3] + words[5:], "--accuracies FILE"),
    ):
        assert main(alone) == 2
        assert expected in capsys.readouterr().err


def test_the_published_columns_agree_as_the_literature_says(shared_data: Path) -> None:
    known = pl.read_parquet(shared_data / "nasbench201" / "hw_nas_bench.parquet").head(3000)
    tables = []
    for device in ("fpga", "eyeriss", "pixel3", "raspi4"):
        frame = known.select(index="arch_idx", architecture="arch_str", latency_ms=f"cifar10_{device}_latency_ms")
        tables.append(CostTable.from_values(frame, Provenance("nasbench201", SIZE, {"name": device})))
    comparison = compare(Query(tables), SIZE)
    full = {("fpga", "eyeriss"): 0.573, ("fpga", "raspi4"): 0.742, ("pixel3", "raspi4"): 0.846}
    for (first, second), kendall in full.items():
        assert agreement(comparison, f"{first}.latency_ms", f"{second}.latency_ms")[0] == pytest.approx(
            kendall, abs=0.03
        )
    assert agreement(comparison, "fpga.latency_ms", "MACs")[0] == pytest.approx(0.831, abs=0.03)
