"""Plain files of others become tables: HELP's real ones, round trips, and everything that can be wrong with them."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chronas.errors import DataError, UsageError
from chronas.spaces import make_space
from chronas.tables import CostTable, Query
from chronas.tables.foreign import ForeignColumn, read_foreign

SPACE = make_space("nasbench201")
SIZE = SPACE.sizes["cifar10"]
CELLS = [str(SPACE.from_index(index)) for index in range(4)]


def csv(folder: Path, columns: dict[str, list[object]], name: str = "mine.csv") -> Path:
    pl.DataFrame(columns).write_csv(folder / name)
    return folder / name


def tables(path: Path, *columns: str) -> dict[str, CostTable]:
    return read_foreign(path, SPACE, [ForeignColumn.parse(text) for text in columns]).tables(SPACE, SIZE, "by hand")


def test_columns_of_a_device_stand_in_one_table_with_their_units(tmp_path: Path) -> None:
    path = csv(
        tmp_path,
        {
            "arch_idx": [0, 1, 2],
            "board_us": [1000.0, 2000.0, 3500.0],
            "board_energy_mJ": [5.0, None, 7.0],
            "co2": [1.0, 2.0, 3.0],
            "phone_latency_ms": [4, 5, 6],
            "accuracy": [90.0, 91.0, 92.0],
        },
    )
    found = tables(path)
    assert set(found) == {"board", "phone"}
    assert found["board"].frame["latency_ms"].to_list() == [1.0, 2.0, 3.5]
    assert found["board"].frame["index"].to_list() == [0, 1, 2]
    assert found["board"].of("energy_mj").costs().tolist() == [5.0, 7.0]
    assert found["board"].provenance.device == {"name": "board"}
    assert "by hand; mine.csv, sha256 " in found["board"].provenance.source
    assert read_foreign(path, SPACE).left_out == ["co2", "accuracy"]
    assert set(tables(path, "co2=board.carbon_g")) == {"board"}


def test_a_cost_of_ones_own_needs_no_latency_and_survives_the_file(tmp_path: Path) -> None:
    path = csv(tmp_path, {"architecture": CELLS, "co2": [1.5, 2.0, 3.0, 4.0], "t": [1.0, 2.0, 3.0, 4.0]})
    (alone,) = tables(path, "co2=board.carbon_g").values()
    assert "latency_ms" not in alone.frame.columns
    assert (alone.provenance.cost, alone.costs().tolist()) == ("carbon_g", [1.5, 2.0, 3.0, 4.0])
    (beside,) = tables(path, "co2=board.carbon_g", "t=board.latency_ms").values()
    assert (beside.provenance.cost, beside.others()) == ("latency_ms", ["carbon_g"])
    for name, table in {"alone": alone, "beside": beside}.items():
        table.save(tmp_path / f"{name}.parquet")
        loaded = CostTable.load(tmp_path / f"{name}.parquet")
        assert loaded.of("carbon_g").costs().tolist() == [1.5, 2.0, 3.0, 4.0]
        assert [(a.value, a.unit) for a in Query([loaded]).records(CELLS[1]) if a.cost == "carbon_g"] == [(2.0, "g")]
        other = CostTable(loaded.frame.with_columns(carbon_g=pl.col("carbon_g") * 2), loaded.provenance)
        frame, metadata = other.frame, pl.read_parquet_metadata(tmp_path / f"{name}.parquet")
        frame.write_parquet(tmp_path / "changed.parquet", metadata=metadata)
        with pytest.raises(DataError, match="do not match their checksum"):
            CostTable.load(tmp_path / "changed.parquet")


@settings(max_examples=25, deadline=None)
@given(st.dictionaries(st.integers(0, 15624), st.floats(1e-3, 1e6), min_size=2, max_size=6))
def test_csv_and_parquet_say_the_same(tmp_path_factory: pytest.TempPathFactory, costs: dict[int, float]) -> None:
    if len(set(costs.values())) == 1:
        return
    folder = tmp_path_factory.mktemp("plain")
    frame = pl.DataFrame({"arch_str": [str(SPACE.from_index(i)) for i in costs], "x_ms": list(costs.values())})
    frame.write_csv(folder / "a.csv")
    frame.write_parquet(folder / "a.parquet")
    first, second = (tables(folder / name)["x"].frame for name in ("a.csv", "a.parquet"))
    assert first.equals(second)
    assert first["latency_ms"].to_list() == list(costs.values())


@pytest.mark.parametrize(
    ("file", "space", "devices", "rows"),
    [
        ("nasbench201/latency_help.parquet", "nasbench201", 16, 15625),
        ("nasbench201/hw_nas_bench.parquet", "nasbench201", 6, 15625),
        ("fbnet/latency_help.parquet", "fbnet", 16, 5000),
    ],
    ids=["help-nasbench201", "hw-nas-bench", "help-fbnet"],
)
def test_real_files_are_read(shared_data: Path, file: str, space: str, devices: int, rows: int) -> None:
    other = make_space(space)
    plain = read_foreign(shared_data / file, other)
    found = plain.tables(other, next(iter(other.sizes.values())))
    assert len(found) == devices
    assert max(len(table) for table in found.values()) == rows
    raw = pl.read_parquet(shared_data / file)
    column = plain.columns[0]
    row = next(row for row, value in enumerate(raw[column.name]) if value is not None)
    text = plain.frame["architecture"][row]
    known = found[column.device].frame.filter(pl.col("architecture") == text)
    assert known[column.cost].to_list() == [raw[column.name][row]]


GOOD = {"architecture": CELLS, "x_ms": [1.0, 2.0, 3.0, 4.0]}


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        pytest.param({"x_ms": [1.0, 2.0]}, "should give architectures by architecture or arch_str", id="no text"),
        pytest.param({"architecture": CELLS, "x": [1.0] * 4}, "no column that ends in ms", id="no unit"),
        pytest.param(
            {**GOOD, "x_ms": [1.0, 2.0, -3.0, 4.0]}, r"x_ms should be above zero, got -3.0 \(1 such\)", id="<0"
        ),
        pytest.param({**GOOD, "x_ms": [2.0] * 4}, "x_ms is 2.0 for all 4 architectures", id="constant"),
        pytest.param({**GOOD, "x_ms": [None] * 4}, "x_ms", id="empty"),
        pytest.param(
            {**GOOD, "x_ms": ["1", "fast", "3", "4"]}, "no column that ends in ms|should be numbers", id="words"
        ),
        pytest.param({**GOOD, "arch_idx": [0, 1, 2, 9]}, "row 4 has arch_idx of .*", id="index"),
        pytest.param({"arch_idx": [0, 1, 15625], "x_ms": [1, 2, 3]}, "row 3: .*0..15624, got 15625", id="no such"),
        pytest.param({**GOOD, "architecture": [*CELLS[:3], "|x~0|"]}, "row 4: expected three nodes", id="no cell"),
        pytest.param(
            {**GOOD, "architecture": [*CELLS[:3], CELLS[0]]}, "rows 1 and 4 are one .* x_ms is 1.0 and 4.0", id="twice"
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path: Path, columns: dict[str, list[object]], words: str) -> None:
    with pytest.raises(DataError, match=words) as caught:
        tables(csv(tmp_path, columns))
    assert "\n" not in str(caught.value)


def test_a_row_that_stands_twice_is_read_once(tmp_path: Path) -> None:
    path = csv(tmp_path, {"architecture": [*CELLS[:2], CELLS[0]], "x_ms": [1.0, 2.0, 1.0]})
    assert tables(path)["x"].frame["latency_ms"].to_list() == [1.0, 2.0]


def test_columns_that_are_not_there_or_the_same_cost_are_refused(tmp_path: Path) -> None:
    path = csv(tmp_path, {**GOOD, "x_latency_ms": [1.0, 2.0, 3.0, 4.0]})
    with pytest.raises(UsageError, match="x_ms and x_latency_ms are both latency_ms of x"):
        tables(path)
    with pytest.raises(UsageError, match="has no column y, only"):
        tables(path, "y=x.latency_ms")
    for bad in ("x_ms", "x_ms=latency_ms", "x_ms=../up.latency_ms", "x_ms=x.latency"):
        with pytest.raises(UsageError):
            ForeignColumn.parse(bad)
    for name in ("missing.csv", "cut.parquet"):
        (tmp_path / "cut.parquet").write_bytes(b"PAR1")
        with pytest.raises(DataError, match=name):
            tables(tmp_path / name)
