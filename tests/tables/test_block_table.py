from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronas.errors import DataError, ParseError, UsageError
from chronas.tables import BlockTable, block_records, is_block_table
from chronas.tables.block_table import BlockOrigin

ORIGIN = BlockOrigin("fbnet", "cifar100", {"a": {"batch": 1, "threads": 2}}, "a test", created="2026-01-01")
ROWS = [
    (None, "stem", "stem", 1.0, 10.0),
    (0, "conv", "conv0", 2.0, 20.0),
    (0, "skip", "skip0", 0.0, 0.0),
    (1, "conv", "conv1", 4.0, 40.0),
    (1, "skip", "skip1", 0.5, 5.0),
    (None, "head", "head", 0.25, 2.5),
]
SCHEMA = {
    "layer": pl.Int64(),
    "operation": pl.String(),
    "key": pl.String(),
    "a.latency_ms": pl.Float64(),
    "b.energy_mj": pl.Float64(),
}


def frame(rows: list[tuple[object, ...]] = ROWS) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


@pytest.fixture
def table() -> BlockTable:
    return BlockTable(frame(), ORIGIN)


def test_a_network_costs_the_sum_of_its_blocks_and_of_what_all_have(table: BlockTable) -> None:
    assert (table.layers, table.operations, table.costs) == (2, ["conv", "skip"], ["a.latency_ms", "b.energy_mj"])
    sums = table.sums([[0, 0], [0, 1], [1, 0], [1, 1]])
    assert sums["a.latency_ms"].to_list() == [7.25, 3.75, 5.25, 1.75]
    assert sums["b.energy_mj"].to_list() == [72.5, 37.5, 52.5, 17.5]
    assert table.sums(np.zeros((0, 2), dtype=np.int64)).is_empty()


def test_answers_say_that_they_are_sums(table: BlockTable) -> None:
    latency, energy = block_records(table, [1, 0])
    assert (latency.device, latency.cost, latency.value, latency.unit) == ("a", "latency_ms", 5.25, "ms")
    assert (latency.batch, latency.threads, latency.dtype, latency.low) == (1, 2, None, None)
    assert latency.source == "sum of blocks, a test" and latency.date == "2026-01-01"
    assert (energy.device, energy.value, energy.unit, energy.batch) == ("b", 52.5, "mJ", None)


def test_a_file_gives_the_table_back_and_damage_is_noticed(table: BlockTable, tmp_path: Path) -> None:
    path = tmp_path / "blocks.parquet"
    table.save(path)
    again = BlockTable.load(path)
    assert again.frame.equals(table.frame) and again.origin == ORIGIN and is_block_table(path)
    metadata = {key: text for key, text in pl.read_parquet_metadata(path).items() if key.startswith("chronas")}
    table.frame.with_columns(pl.col("a.latency_ms") * 1.01).write_parquet(path, metadata=metadata)
    with pytest.raises(DataError, match="do not match their checksum"):
        BlockTable.load(path)
    table.frame.write_parquet(path)
    assert not is_block_table(path) and not is_block_table(tmp_path / "none.parquet")
    with pytest.raises(DataError, match="is no table of blocks"):
        BlockTable.load(path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="cut off or no Parquet file"):
        BlockTable.load(path)
    with pytest.raises(DataError, match="cannot read"):
        BlockTable.load(tmp_path / "none.parquet")


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ([[0]], "expected 2 numbers"),
        ([[0, 0, 0]], "expected 2 numbers"),
        ([0, 0], "expected 2 numbers"),
        ([[0, 2]], "numbered 0..1, got 2"),
        ([[0, -1]], "numbered 0..1, got -1"),
        ([[0, 0.5]], "expected 2 numbers"),
    ],
    ids=["short", "long", "flat", "beyond", "negative", "fraction"],
)
def test_what_is_no_architecture_is_refused(choices: list[list[int]], message: str, table: BlockTable) -> None:
    with pytest.raises(UsageError, match=message):
        table.sums(choices)


@pytest.mark.parametrize("text", ["[0, 1]", "0 1", "0,1", " [0 , 1] "])
def test_texts_of_architectures(text: str, table: BlockTable) -> None:
    assert table.parse(text) == [0, 1]


@given(st.text(max_size=20))
def test_any_text_is_numbers_or_an_error_of_ours(text: str) -> None:
    try:
        numbers = BlockTable(frame(), ORIGIN).parse(text)
    except ParseError:
        return
    assert len(numbers) == 2 and all(number >= 0 for number in numbers)


def replaced(row: int, column: int, value: object) -> pl.DataFrame:
    rows: list[tuple[object, ...]] = [tuple(one) for one in ROWS]
    rows[row] = (*rows[row][:column], value, *rows[row][column + 1 :])
    return frame(rows)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (frame().drop("key"), "needs layer, operation, key"),
        (frame().select("layer", "operation", "key"), "costs of devices"),
        (frame().rename({"a.latency_ms": "latency"}), "costs of devices"),
        (replaced(1, 3, -1.0), "not below zero"),
        (replaced(1, 3, float("nan")), "finite"),
        (replaced(1, 3, None), "finite"),
        (frame(ROWS[:1]), "has the layers 0, 1"),
        (frame([ROWS[0], *ROWS[3:5]]), "has the layers 0, 1"),
        (frame(ROWS[:4]), "the same operations"),
        (replaced(3, 1, "pool"), "the same operations"),
    ],
    ids=["column", "costs", "name", "negative", "nan", "null", "layers", "first-layer", "fewer", "other-operation"],
)
def test_frames_that_are_no_table_are_refused(wrong: pl.DataFrame, message: str) -> None:
    with pytest.raises(DataError, match=message):
        BlockTable(wrong, ORIGIN)
