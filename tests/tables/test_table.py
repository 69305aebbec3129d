from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chronas.devices import CpuConfig, make_device
from chronas.devices.simulated import Simulated, SimulatedConfig
from chronas.errors import DataError, MismatchError
from chronas.measurement import Plan, read_journal, run_campaign
from chronas.spaces import NetworkSize, make_space
from chronas.tables import CostTable, Provenance

SPACE = make_space("darts")
SIZE = NetworkSize(input_shape=(3, 32, 32), outputs=10, width=16, depth=8)
NETWORKS = SPACE.sample(12, seed=0)
DEVICE = Simulated(SimulatedConfig(noise=0.1))
PLAN = Plan(repeats=4, rounds=4)


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("table") / "journal.sqlite"
    run_campaign(DEVICE, SIZE, NETWORKS, PLAN, path)
    return path


@pytest.fixture(scope="module")
def table(journal: Path) -> CostTable:
    return CostTable.from_journal(journal)


@pytest.fixture
def file(table: CostTable, tmp_path: Path) -> Path:
    table.save(tmp_path / "costs.parquet")
    return tmp_path / "costs.parquet"


def given_rows(latencies: list[float]) -> CostTable:
    rows = list(zip(NETWORKS, latencies, strict=False))
    return CostTable.from_rows(SPACE, SIZE, DEVICE, rows, source="a test")


def test_a_table_says_what_its_journal_says(table: CostTable, journal: Path) -> None:
    contents = read_journal(journal)
    latencies = list(contents.latencies().values())
    assert table.architectures() == NETWORKS and len(table) == 12
    assert table.space is SPACE
    assert table.costs().tolist() == [latency.value for latency in latencies]
    assert table.rounds() == [list(latency.rounds) for latency in latencies]
    for column, name in (("low", "low"), ("high", "high"), ("median", "median"), ("p95", "p95")):
        assert table.frame[f"latency_{column}_ms"].to_list() == [getattr(latency, name) for latency in latencies]
    assert table.provenance.device == DEVICE.fingerprint()
    assert table.provenance.plan == PLAN.model_dump()
    assert table.drift_percent == contents.drift_percent() and table.drift_percent is not None


def test_a_file_gives_the_table_back(table: CostTable, file: Path) -> None:
    loaded = CostTable.load(file)
    assert loaded.frame.equals(table.frame)
    assert loaded.provenance == table.provenance


@settings(deadline=None, max_examples=30)
@given(
    latencies=st.lists(st.floats(min_value=1e-6, max_value=1e9), min_size=1, max_size=12),
    text=st.text(st.characters(exclude_categories=["Cs"])),
)
def test_any_table_round_trips(latencies: list[float], text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("any") / "costs.parquet"
    rows = list(zip(NETWORKS, latencies, strict=False))
    table = CostTable.from_rows(SPACE, SIZE, DEVICE, rows, source=text)
    table.save(path)
    assert CostTable.load(path).costs().tolist() == latencies
    assert CostTable.load(path).provenance == table.provenance


def test_extra_columns_stay(table: CostTable, tmp_path: Path) -> None:
    CostTable(table.frame.with_row_index("index"), table.provenance).save(tmp_path / "costs.parquet")
    assert CostTable.load(tmp_path / "costs.parquet").frame["index"].to_list() == list(range(12))


def test_another_cost_can_be_the_tables_cost(table: CostTable) -> None:
    provenance = Provenance("darts", SIZE, {}, cost="energy_mj")
    energy = CostTable(table.frame.with_columns(energy_mj=pl.col("latency_ms") * 2), provenance)
    assert np.array_equal(energy.costs(), table.costs() * 2)
    with pytest.raises(DataError, match="energy_mj"):
        CostTable(table.frame, provenance)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.7, 0.99, 0.9999])
def test_a_cut_file_is_refused(share: float, file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(DataError, match="cut off or no Parquet file"):
        CostTable.load(file)


def test_damage_is_noticed_wherever_it_changes_what_is_read(table: CostTable, file: Path) -> None:
    sound, refused = file.read_bytes(), 0
    for place in range(0, len(sound), 97):
        damaged = bytes(byte ^ 0x5A for byte in sound[place : place + 4])
        file.write_bytes(sound[:place] + damaged + sound[place + 4 :])
        try:
            loaded = CostTable.load(file)
        except DataError:
            refused += 1
        else:
            assert loaded.frame.equals(table.frame) and loaded.provenance == table.provenance
    assert refused > len(sound) / 97 / 3


def test_numbers_that_were_changed_are_noticed(table: CostTable, file: Path) -> None:
    metadata = pl.read_parquet_metadata(file)
    changed = table.frame.with_columns(pl.col("latency_ms") * 1.01)
    changed.write_parquet(file, metadata={key: text for key, text in metadata.items() if key.startswith("chronas")})
    with pytest.raises(DataError, match="do not match their checksum"):
        CostTable.load(file)


def test_a_file_without_provenance_or_with_half_of_it_is_refused(table: CostTable, file: Path) -> None:
    table.frame.write_parquet(file)
    with pytest.raises(DataError, match="no provenance"):
        CostTable.load(file)
    for text in ("{}", "[", "null"):
        table.frame.write_parquet(file, metadata={"chronas.provenance/1": text})
        with pytest.raises(DataError, match="the provenance"):
            CostTable.load(file)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        CostTable.load(tmp_path / "none.parquet")


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), 0.0, -1.0])
def test_costs_that_cannot_be_are_refused(wrong: float) -> None:
    assert given_rows([1.0, 2.0]).costs().tolist() == [1.0, 2.0]
    with pytest.raises(DataError, match="finite and above zero"):
        given_rows([1.0, wrong])


def test_tables_that_are_none_are_refused(table: CostTable) -> None:
    frame, provenance = table.frame, table.provenance
    gaps = frame.with_columns(latency_p95_ms=pl.lit(None, pl.Float64()))
    for wrong, word in (
        (frame.clear(), "at least one architecture"),
        (frame.drop("latency_low_ms"), "latency_low_ms"),
        (frame.with_columns(pl.col("latency_ms").cast(pl.String)), "latency_ms"),
        (gaps, "has gaps"),
        (pl.concat([frame, frame.head(1)]), "this one twice"),
        (frame.with_columns(round_latencies_ms=pl.lit([], pl.List(pl.Float64()))), "round_latencies_ms"),
    ):
        with pytest.raises(DataError, match=word):
            CostTable(wrong, provenance)


def test_a_text_that_is_no_architecture_is_told(table: CostTable) -> None:
    foreign = CostTable(table.frame.with_columns(architecture="x" + pl.col("architecture")), table.provenance)
    with pytest.raises(DataError, match="no architecture of darts"):
        foreign.architectures()


def test_a_campaign_without_a_finished_network_gives_no_table(tmp_path: Path) -> None:
    def stop(step: str, done: int, total: int, note: str) -> None:
        if step == "measure" and done == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_campaign(DEVICE, SIZE, NETWORKS, PLAN, tmp_path / "journal.sqlite", stop)
    with pytest.raises(DataError, match="no network .* has its 4 rounds yet"):
        CostTable.from_journal(tmp_path / "journal.sqlite")


def test_only_the_same_space_skeleton_and_device_will_do(table: CostTable) -> None:
    table.require()
    table.require(SPACE, SIZE, Simulated(SimulatedConfig(noise=0.1)))
    with pytest.raises(MismatchError, match="space is darts there, nasbench201 here"):
        table.require(space=make_space("nasbench201"))
    with pytest.raises(MismatchError, match="depth 8.*depth 20"):
        table.require(size=SIZE.model_copy(update={"depth": 20}))
    with pytest.raises(MismatchError, match="name is simulated there, onnxruntime-cpu here"):
        table.require(device=make_device("onnxruntime-cpu", CpuConfig(batch=2)))


def test_repeatability_compares_the_first_rounds_with_the_last(table: CostTable) -> None:
    measured = table.repeatability()
    assert measured.networks == 12 and measured.kendall is not None and 0.5 < measured.kendall <= 1
    assert measured.median_difference_percent is not None and 0 < measured.median_difference_percent < 20
    rounds = [[1.0, 1.2, 1.0], [2.0, 2.2, 2.0], [3.0, 3.3, 3.0], [4.0, 2.1, 4.0]]
    frame = table.frame.head(4).with_columns(round_latencies_ms=pl.Series(rounds))
    known = CostTable(frame, table.provenance).repeatability()
    assert known.kendall == pytest.approx(2 / 3) and known.spearman == pytest.approx(0.8)
    assert known.median_difference_percent == pytest.approx(np.median([20 / 2.1, 20 / 4.1, 30 / 6.15, 190 / 7.05]))


def test_repeatability_that_is_not_known_is_none() -> None:
    once = given_rows([1.0, 2.0, 3.0, 4.0]).repeatability()
    assert (once.kendall, once.median_difference_percent, once.networks) == (None, None, 0)
    equal = pl.Series([[1.0, 1.0]] * 4)
    table = given_rows([1.0, 2.0, 3.0, 4.0])
    same = CostTable(table.frame.with_columns(round_latencies_ms=equal), table.provenance).repeatability()
    assert (same.kendall, same.spearman, same.median_difference_percent) == (None, None, 0.0)


def test_a_description_has_what_people_ask(table: CostTable) -> None:
    told = dict(table.describe())
    assert told["architectures"] == "12" and told["space"] == "darts"
    assert all(word in told["latency_ms"] for word in ("min", "median", "max"))
    assert "%" in told["interval"] and "%" in told["drift"] and "Kendall" in told["repeatability"]
    bare = dict(given_rows([1.0, 2.0]).describe())
    assert bare["drift"] == "unknown" and bare["repeatability"].startswith("unknown") and bare["source"] == "a test"


def test_a_full_disk_leaves_the_old_file(table: CostTable, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = file.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(DataError, match="No space left"):
        table.save(file)
    assert file.read_bytes() == before and list(file.parent.iterdir()) == [file]


def test_the_file_is_ordinary_parquet(file: Path) -> None:
    assert pl.read_parquet(io.BytesIO(file.read_bytes())).columns[:2] == ["architecture", "latency_ms"]


def test_known_latencies_have_no_interval_and_keep_their_other_columns() -> None:
    frame = pl.DataFrame({"index": [4, 7], "latency_ms": [1.5, 2.5], "architecture": list(map(str, NETWORKS[:2]))})
    provenance = Provenance("darts", SIZE, {"name": "raspi4"}, source="a paper", missing="does not compile", runs=50)
    table = CostTable.from_values(frame, provenance)
    assert table.costs().tolist() == [1.5, 2.5] and table.rounds() == [[1.5], [2.5]]
    assert table.frame["index"].to_list() == [4, 7]
    told = dict(table.describe())
    assert told["interval"] == "unknown" and told["architectures"] == "2; others: does not compile"
    assert told["device"] == "raspi4 on unknown, unknown thread(s)" and told["batch"] == "unknown"
    assert Provenance.from_json(provenance.to_json()) == provenance
    energy = CostTable.from_values(frame.with_columns(energy_mj=pl.Series([3.0, None])), provenance)
    assert energy.of("energy_mj").rounds() == [[3.0]] and energy.frame["energy_low_mj"].to_list() == [3.0, None]
    with pytest.raises(DataError, match=r"needs the column\(s\) latency_ms"):
        CostTable.from_values(frame.drop("latency_ms"), provenance)


def test_reading_a_table_imports_neither_torch_nor_scipy(file: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from chronas.tables import CostTable, Query;"
        f"print(len(CostTable.load(Path({str(file)!r})))); assert not {{'torch', 'scipy'}} & sys.modules.keys()"
    )
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert answer.stdout == "12\n", answer.stderr
