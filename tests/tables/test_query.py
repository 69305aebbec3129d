from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chronas.devices.simulated import Simulated, SimulatedConfig
from chronas.errors import DataError, MismatchError, ParseError, UsageError
from chronas.measurement import Plan, run_campaign
from chronas.spaces import NetworkSize, make_space
from chronas.tables import CostRecord, CostTable, HwNasBench, Provenance, Query, parse_condition, read_accuracies
from official_hw_nas_bench import official, write

SPACE = make_space("nasbench201")
SIZE = SPACE.sizes["cifar10"]
CELLS = [SPACE.from_index(index) for index in range(30)]
PLAN = Plan(rounds=3, max_rounds=3, repeats=4)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> dict[str, CostTable]:
    return HwNasBench.read(write(official(), tmp_path_factory.mktemp("hw") / "hw.pickle")).tables("cifar10")


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> CostTable:
    """Cells 0 to 7 on the simulated device, with energy."""
    journal = tmp_path_factory.mktemp("measured") / "journal.sqlite"
    run_campaign(Simulated(SimulatedConfig(noise=0.05)), SIZE, CELLS[:8], PLAN, journal, costs=("energy_mj",))
    return CostTable.from_journal(journal)


@pytest.fixture(scope="module")
def query(published: dict[str, CostTable], measured: CostTable) -> Query:
    return Query([*published.values(), measured])


def given_table(device: str, latencies: dict[int, float]) -> CostTable:
    frame = pl.DataFrame(
        {
            "index": latencies.keys(),
            "architecture": [str(SPACE.from_index(i)) for i in latencies],
            "latency_ms": latencies.values(),
        }
    )
    return CostTable.from_values(frame, Provenance("nasbench201", SIZE, {"name": device}, source="a test"))


def test_an_answer_carries_how_it_was_measured(query: Query, measured: CostTable) -> None:
    answers = {(answer.device, answer.cost): answer for answer in query.records(CELLS[3])}
    found = answers["simulated", "latency_ms"]
    row = measured.frame.row(3, named=True)
    assert row["architecture"] == str(CELLS[3])
    assert (found.value, found.low, found.high) == (row["latency_ms"], row["latency_low_ms"], row["latency_high_ms"])
    assert found.low is not None and found.high is not None and found.low < found.value < found.high  # type: ignore[operator]
    assert (found.unit, found.rounds, found.runs) == ("ms", 3, 12)
    device = measured.provenance.device
    for fact in ("hardware", "batch", "threads", "dtype", "runtime", "version"):
        assert getattr(found, fact) == device[fact]
    assert found.date == measured.provenance.created and found.source == "measured" and found.missing is None
    energy = answers["simulated", "energy_mj"]
    assert energy.unit == "mJ" and energy.value == row["energy_mj"] and energy.rounds == 3 and energy.runs is None


def test_what_is_not_known_is_none_and_never_made_up(query: Query, published: dict[str, CostTable]) -> None:
    answers = {(answer.device, answer.cost): answer for answer in query.records(str(CELLS[2]))}
    raspi4, edgegpu = answers["raspi4", "latency_ms"], answers["edgegpu", "latency_ms"]
    assert raspi4.value == published["raspi4"].costs()[2] and raspi4.batch == 1
    assert {
        getattr(raspi4, name) for name in ("low", "high", "rounds", "runs", "threads", "dtype", "runtime", "date")
    } == {None}
    assert (edgegpu.runs, edgegpu.rounds, edgegpu.low) == (50, None, None)
    edgetpu = answers["edgetpu", "latency_ms"]
    assert edgetpu.value is None and edgetpu.missing == "does not compile" and edgetpu.runs is None
    absent = {answer.device: answer for answer in query.records(SPACE.from_index(20)) if answer.cost == "latency_ms"}
    assert absent["simulated"].value is None and absent["simulated"].missing is None


def test_a_measurement_that_stands_for_several_cells_says_whose_it_is(measured: CostTable) -> None:
    shared = measured.frame["architecture"].to_list()[0]
    whose = pl.Series("measured_as", [shared, shared, *measured.frame["architecture"].to_list()[2:]])
    query = Query([CostTable(measured.frame.with_columns(whose), measured.provenance)])
    told = [query.records(cell)[0].measured_as for cell in CELLS[:3]]
    assert told == [None, shared, None]
    assert query.everything()["measured_as"].drop_nulls().to_list() == [shared, shared]


def test_everything_at_once_says_what_single_answers_say(query: Query) -> None:
    every = query.everything()
    assert every.columns == ["architecture", *CostRecord.__dataclass_fields__] and len(every) == 40 * len(query.costs)
    for text in map(str, CELLS[:12]):
        rows = every.filter(pl.col("architecture") == text).drop("architecture").to_dicts()
        assert rows == [asdict(answer) for answer in query.records(text)]
    some = query.everything(query.of(CELLS[4:6]))
    assert some.equals(every.filter(pl.col("architecture").is_in(list(map(str, CELLS[4:6])))))


def test_tables_stand_side_by_side_by_architecture_and_not_by_row(published: dict[str, CostTable]) -> None:
    first, second = given_table("a", {0: 1.0, 5: 2.0, 3: 3.0}), given_table("b", {3: 30.0, 9: 90.0, 0: 10.0})
    frame = Query([first, second]).frame
    assert frame["index"].to_list() == [0, 3, 5, 9]
    assert frame["a.latency_ms"].to_list() == [1.0, 3.0, 2.0, None]
    assert frame["b.latency_ms"].to_list() == [10.0, 30.0, None, 90.0]
    assert Query([first, first]).costs == ["a.latency_ms", "a#2.latency_ms"]


def test_by_index_text_and_canonical_form(published: dict[str, CostTable]) -> None:
    query = Query([published["raspi4"]])
    assert query.at(7) == CELLS[7] and query.records(query.at(7))[0].value == published["raspi4"].costs()[7]
    cell = SPACE.from_index(0)
    others = [
        SPACE.from_index(i) for i in range(SPACE.cardinality) if SPACE.from_index(i).canonical() == cell.canonical()
    ]
    assert len(others) > 1
    full = Query([given_table("a", {SPACE.index(one): 1.0 + n for n, one in enumerate(others)} | {1: 9.0})])  # type: ignore[dict-item]
    found = full.isomorphic(others[-1])
    assert set(found) == set(others)
    assert len({full.records(one)[0].value for one in found}) == len(others)
    for wrong, error, message in (
        (lambda: query.at(15625), UsageError, "0..15624"),
        (lambda: query.records(SPACE.from_index(15624)), UsageError, "no table has .* choose one of the 40"),
        (lambda: query.records("|nor_conv_3x3~0|"), ParseError, "three nodes"),
    ):
        with pytest.raises(error, match=message):
            wrong()


def test_filters_keep_what_holds_and_nothing_unknown(query: Query) -> None:
    frame = query.frame
    for sign, kept in (("<=", frame["pixel3.latency_ms"] <= 10), (">", frame["pixel3.latency_ms"] > 10)):
        assert query.where([f"pixel3.latency_ms {sign} 10"]).equals(frame.filter(kept))
    both = query.where(["edgetpu.latency_ms<1.5", "edgegpu.energy_mj>=5e0"])
    assert 0 < len(both) < 27 and both["edgetpu.latency_ms"].max() < 1.5 and both["edgegpu.energy_mj"].min() >= 5  # type: ignore[operator]
    value = frame["fpga.energy_mj"][4]
    assert query.where([f"fpga.energy_mj == {value!r}"])["architecture"].to_list() == [str(CELLS[4])]
    assert len(query.where([f"fpga.energy_mj != {value!r}"])) == 39
    assert len(query.where(["edgetpu.latency_ms < 1e9"])) == 27
    for wrong, error, message in (
        ("raspi4.latency_ms", ParseError, "should be like"),
        ("raspi4.latency_ms <= ten", ParseError, "should be like"),
        ("raspi4.latency_ms <= 10; import os", ParseError, "should be like"),
        ("latency_ms <= 10", UsageError, "several devices: say which of edgegpu.latency_ms"),
        ("raspi.latency_ms <= 10", UsageError, "did you mean raspi4.latency_ms"),
        ("architecture == 1", UsageError, "unknown column 'architecture'"),
    ):
        with pytest.raises(error, match=re.escape(message) if "." not in message else message):
            query.where([wrong])


@given(st.text(max_size=40))
@settings(max_examples=200)
def test_any_text_is_a_condition_or_an_error_of_ours(text: str) -> None:
    try:
        name, sign, number = parse_condition(text)
    except ParseError:
        return
    assert name and sign in {"<=", ">=", "<", ">", "==", "!="} and not np.isnan(number)


def test_the_pareto_front_is_that_of_all_pairs(query: Query) -> None:
    names = ["raspi4.latency_ms", "edgetpu.latency_ms"]
    rows = query.frame.drop_nulls(names).select("architecture", *names).rows()
    best = {a for a, x, y in rows if not any((u <= x and v <= y and (u, v) != (x, y)) for _, u, v in rows)}
    assert set(query.pareto(names)["architecture"]) == best and 1 < len(best) < len(rows)
    with pytest.raises(UsageError, match="at least two columns, got raspi4"):
        query.pareto(["raspi4.latency_ms"])


def accuracies(path: Path, **columns: object) -> Path:
    pl.DataFrame(columns).write_parquet(path)
    return path


def test_accuracies_are_joined_by_text_or_index_and_are_to_be_large(
    published: dict[str, CostTable], tmp_path: Path
) -> None:
    table = given_table("a", {0: 1.0, 1: 2.0, 2: 3.0})
    by_index = accuracies(
        tmp_path / "index.parquet", arch_idx=[2, 0, 1], val_acc=[50.0, 90.0, 95.0], params_M=[1, 2, 3]
    )
    texts = [str(SPACE.from_index(index)) for index in (2, 0, 1)]
    by_text = accuracies(tmp_path / "text.parquet", arch_str=texts, val_acc=[50.0, 90.0, 95.0], params_M=[1, 2, 3])
    for file in (by_index, by_text):
        query = Query([table], read_accuracies(file, SPACE))
        assert query.frame["val_acc"].to_list() == [90.0, 95.0, 50.0]
        assert query.pareto(["a.latency_ms", "val_acc"])["index"].to_list() == [0, 1]
        assert query.pareto(["a.latency_ms", "params_M"])["index"].to_list() == [0, 2]
        assert query.where(["val_acc >= 90"])["index"].to_list() == [0, 1]


def test_validation_and_test_accuracies_stay_apart(shared_data: Path, published: dict[str, CostTable]) -> None:
    file = shared_data / "nasbench201" / "accuracy.parquet"
    known = pl.read_parquet(file)
    query = Query([published["raspi4"]], read_accuracies(file, SPACE))
    for name in ("cifar10_val_acc_200", "cifar10_test_acc_200_nb201v10", "params_M"):
        assert query.frame[name].to_list() == known[name].head(40).to_list()
    assert query.direction("cifar10_val_acc_200") is True and query.direction("params_M") is False


WRONG = {
    "share": ({"index": [0], "val_acc": [100.5]}, "percent from 0 to 100, got 100.5"),
    "no-architectures": ({"val_acc": [1.0]}, "should give architectures by architecture or arch_str or arch or index"),
    "no-numbers": ({"index": [0], "note": ["a"]}, "numbers beside architectures"),
    "twice": ({"index": [0, 0], "val_acc": [1.0, 2.0]}, "each architecture once"),
    "no-such-index": ({"index": [15625], "val_acc": [1.0]}, "row 1: NAS-Bench-201 has the indices"),
    "another-space": ({"arch_str": ["Genotype"], "val_acc": [1.0]}, "row 1: expected three nodes"),
}


@pytest.mark.parametrize("name", WRONG)
def test_files_without_accuracies_are_refused(name: str, tmp_path: Path) -> None:
    columns, message = WRONG[name]
    with pytest.raises(DataError, match=f"wrong.parquet.*{message}"):
        read_accuracies(accuracies(tmp_path / "wrong.parquet", **columns), SPACE)


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    (tmp_path / "cut.parquet").write_bytes(accuracies(tmp_path / "a.parquet", index=[0], acc=[1.0]).read_bytes()[:-9])
    for file, message in (("cut.parquet", "cut off or no Parquet"), ("none.parquet", "cannot read")):
        with pytest.raises(DataError, match=message):
            read_accuracies(tmp_path / file, SPACE)


def test_tables_of_other_networks_are_not_mixed(measured: CostTable, published: dict[str, CostTable]) -> None:
    small = NetworkSize(input_shape=(3, 16, 16), outputs=10, width=16, depth=5)
    other = CostTable.from_values(measured.frame, Provenance("nasbench201", small, {"name": "a"}))
    with pytest.raises(MismatchError, match="16x16"):
        Query([measured, other])
    with pytest.raises(UsageError, match="give at least one"):
        Query([])
    joined = pl.DataFrame({"architecture": [str(CELLS[0])], "raspi4.latency_ms": [1.0]})
    with pytest.raises(MismatchError, match="raspi4.latency_ms that tables have too"):
        Query([published["raspi4"]], joined)
