"""CSV and Parquet files as people have them: separators, decimal commas, encodings, and which direction is better."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from chronas.cli.main import main
from chronas.errors import ChronasError, DataError, UsageError
from chronas.spaces import make_space
from chronas.tables import CostTable, ForeignColumn, Query, read_accuracies, read_foreign
from chronas.tables.spreadsheet import is_accuracy, more_is_better, read_frame

SPACE = make_space("nasbench201")
TEXTS = [str(SPACE.from_index(index)) for index in (0, 1, 2, 7)]
COSTS_MS = [10.5, 54.25, 1234.5, 8.75]
POINTS = [f"{cost}" for cost in COSTS_MS]
COMMAS = [cost.replace(".", ",") for cost in POINTS]


def lines(separator: str, header: str, cells: list[str], ending: str = "\n") -> str:
    rows = [f"{text}{separator}{cell}" for text, cell in zip(TEXTS, cells, strict=True)]
    return ending.join([f"architecture{separator}{header}", *rows, ""])


FILES = {
    "commas": lines(",", "raspi4_ms", POINTS).encode(),
    "semicolons": lines(";", "raspi4_ms", POINTS).encode(),
    "semicolons and decimal commas": lines(";", "raspi4_ms", COMMAS).encode(),
    "tabs": lines("\t", "raspi4_ms", POINTS).encode(),
    "tabs and decimal commas": lines("\t", "raspi4_ms", COMMAS).encode(),
    "quoted decimal commas": lines(",", "raspi4_ms", [f'"{cell}"' for cell in COMMAS]).encode(),
    "a byte order mark": b"\xef\xbb\xbf" + lines(",", "raspi4_ms", POINTS).encode(),
    "utf-16": lines(",", "raspi4_ms", POINTS).encode("utf-16"),
    "line ends of Windows, blanks": lines(",", " raspi4_ms", [f" {cell} " for cell in POINTS], "\r\n").encode(),
    "an index of pandas": "\n".join(
        [",architecture,raspi4_ms", *(f"{n},{t},{c}" for n, (t, c) in enumerate(zip(TEXTS, POINTS, strict=True)))]
    ).encode(),
    "seconds": lines(",", "raspi4_latency_s", [f"{cost / 1000}" for cost in COSTS_MS]).encode(),
    "empty columns at the end": lines(",", "raspi4_ms,", [f"{cell}," for cell in POINTS]).encode(),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_read_whatever_wrote_it(name: str, tmp_path: Path) -> None:
    path = tmp_path / "costs.csv"
    path.write_bytes(FILES[name])
    found = read_foreign(path, SPACE)
    (table,) = found.tables(SPACE, SPACE.sizes["cifar10"]).values()
    assert table.provenance.device["name"] == "raspi4"
    assert table.frame["architecture"].to_list() == TEXTS
    assert table.costs().tolist() == pytest.approx(COSTS_MS)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lines(",", "raspi4_ms,raspi4_ms", [f"{cell},1" for cell in POINTS]), "column raspi4_ms twice"),
        (lines(";", "raspi4_ms", ["1,234", "2,500", "3,125", "9,750"]), "may be thousands"),
        (lines(",", "../../evil_ms", POINTS), "cannot be the name of a file"),
        (lines(",", "/tmp/evil_ms", POINTS), "cannot be the name of a file"),
        (lines(",", "jetson/fp16_ms", POINTS), "--columns 'jetson/fp16_ms=NAME.latency_ms'"),
        (lines(",", "raspi4_std_ms", POINTS), "no column that ends in"),
        (lines(",", "raspi4_energy_MJ", POINTS), "no column that ends in"),
        (lines(",", "a\0_ms", POINTS), "NUL"),
    ],
)
def test_a_file_that_would_mislead_is_refused(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "costs.csv"
    path.write_text(content)
    with pytest.raises(DataError) as caught:
        read_foreign(path, SPACE)
    assert message in str(caught.value)


@pytest.mark.parametrize("header", ["../../evil_ms", "{folder}/evil_ms", "jetson/fp16_ms", "..\\evil_ms"])
def test_no_table_is_written_outside_its_folder(
    header: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "in" / "costs.csv"
    path.parent.mkdir()
    path.write_text(lines(",", header.format(folder=tmp_path), POINTS))
    before = sorted(tmp_path.rglob("*"))
    assert main(["table", "import", "csv", str(path), "--out", str(tmp_path / "in" / "o")]) == 2
    assert sorted(tmp_path.rglob("*")) == before
    assert capsys.readouterr().err.count("\n") == 1


def test_what_can_be_imported_can_be_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "costs.csv"
    names = ["Jetson Nano 5W", "i7-7820X @3.6GHz", "树莓派"]
    path.write_text(lines(",", ",".join(f"{name}_ms" for name in names), [f"{cell},{cell},{cell}" for cell in POINTS]))
    assert main(["table", "import", "csv", str(path), "--out", str(tmp_path / "o")]) == 0
    for name in names:
        words = ["table", "query", str(tmp_path / "o"), "--where", f"{name}.latency_ms <= 20", "--json"]
        capsys.readouterr()
        assert main(words) == 0
        assert '"found": 2' in capsys.readouterr().out


def test_a_formula_in_a_name_stays_a_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "costs.csv").write_text(lines(",", "=1+1_ms", POINTS))
    assert main(["table", "import", "csv", str(tmp_path / "costs.csv"), "--out", str(tmp_path / "o")]) == 0
    assert main(["table", "query", str(tmp_path / "o"), "--out", str(tmp_path / "o.csv")]) == 0
    assert "'=1+1" in (tmp_path / "o.csv").read_text()
    capsys.readouterr()


@pytest.mark.parametrize(
    ("name", "direction"),
    [
        *((name, True) for name in ("val_acc", "Val_Acc", "Val Acc (%)", "valAcc", "ACC", "top1", "Top1", "accuracy")),
        *((name, True) for name in ("a100_throughput_fps", "F1", "miou")),
        *(
            (name, False)
            for name in ("val_error", "error", "params_M", "flops_M", "loss", "size", "x_ms", "accuracy_error")
        ),
        *((name, None) for name in ("seed", "account", "x", "pixel", "rank")),
    ],
)
def test_the_better_direction_is_known_by_the_words_of_a_name(name: str, direction: bool | None) -> None:
    assert more_is_better(name) is direction
    assert is_accuracy("account") is False and is_accuracy("Val_Acc") is True


@pytest.fixture(scope="module")
def table() -> CostTable:
    frame = pl.DataFrame({"architecture": TEXTS, "latency_ms": COSTS_MS})
    return CostTable.from_rows(
        SPACE, SPACE.sizes["cifar10"], _device(), [(SPACE.parse(t), c) for t, c in frame.iter_rows()]
    )


def _device():  # type: ignore[no-untyped-def]
    from chronas.devices import make_device

    return make_device("simulated")


def test_no_front_is_of_a_column_whose_direction_is_unknown(table: CostTable) -> None:
    joined = pl.DataFrame({"architecture": TEXTS, "merit": [1.0, 2.0, 3.0, 4.0], "Val_Acc": [1.0, 2.0, 3.0, 4.0]})
    query = Query([table], joined)
    with pytest.raises(UsageError, match="more of merit is better is unknown: give it by --maximise or --minimise"):
        query.pareto(["latency_ms", "merit"])
    best = Query([table], joined, maximise=["merit"]).pareto(["latency_ms", "merit"])
    assert best["architecture"].to_list() == query.pareto(["latency_ms", "Val_Acc"])["architecture"].to_list()
    assert best["architecture"].to_list() == [TEXTS[3]]
    worst = Query([table], joined, minimise=["merit"]).pareto(["latency_ms", "merit"])
    assert worst["architecture"].to_list() == [TEXTS[0], TEXTS[3]]
    with pytest.raises(UsageError, match="unknown column 'merits'"):
        Query([table], joined, maximise=["merits"])


def test_accuracies_come_from_csv_as_from_parquet_and_shares_become_percent(tmp_path: Path) -> None:
    frame = pl.DataFrame({"arch_str": TEXTS, "Val Acc": [91.0, 93.5, 10.0, 94.0], "seed": [1, 2, 3, 4]})
    frame.write_csv(tmp_path / "a.csv", separator=";")
    frame.write_parquet(tmp_path / "a.parquet")
    frame.with_columns(pl.col("Val Acc") / 100).write_csv(tmp_path / "shares.csv")
    wanted = read_accuracies(tmp_path / "a.parquet", SPACE)
    assert read_accuracies(tmp_path / "a.csv", SPACE).equals(wanted)
    assert read_accuracies(tmp_path / "shares.csv", SPACE)["Val Acc"].to_list() == pytest.approx(
        [91.0, 93.5, 10.0, 94.0]
    )


@pytest.mark.parametrize("column", ["val_acc", "Val_Acc", "top1"])
def test_an_accuracy_above_100_is_refused_in_any_case(column: str, tmp_path: Path) -> None:
    pl.DataFrame({"architecture": TEXTS[:1], column: [500.0]}).write_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataError, match="percent from 0 to 100, got 500"):
        read_accuracies(tmp_path / "a.parquet", SPACE)


def test_a_parquet_file_of_a_few_bytes_that_stands_for_gigabytes_is_refused(tmp_path: Path) -> None:
    pl.select(pl.repeat(0, 60_000_000, dtype=pl.Int8).alias("index")).write_parquet(tmp_path / "bomb.parquet")
    assert (tmp_path / "bomb.parquet").stat().st_size < 200_000
    for read in (lambda path: read_frame(path), CostTable.load):
        with pytest.raises(ChronasError, match="at most 50,000,000 cells are read"):
            read(tmp_path / "bomb.parquet")


def test_a_column_of_a_statistic_is_no_device() -> None:
    assert ForeignColumn.of_name("raspi4_std_ms", "x") is None
    assert ForeignColumn.of_name("std_ms", "x") is None
    assert ForeignColumn.of_name("raspi4_ms", "x") == ForeignColumn("raspi4_ms", "raspi4", "latency_ms")
    assert ForeignColumn.of_name("raspi4_energy_J", "x") == ForeignColumn("raspi4_energy_J", "raspi4", "energy_mj", 1e3)
