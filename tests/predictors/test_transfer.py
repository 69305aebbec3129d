"""Ten samples of a device that others' tables help to learn: on real tables, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from scipy.stats import spearmanr

from chronas.errors import DataError, MismatchError
from chronas.predictors import Macs, Transfer, TransferConfig, fit_on_samples, load_predictor
from chronas.predictors.transfer import FEWEST_ROWS
from chronas.spaces import Space, make_space
from chronas.tables import CostTable, Provenance

SPACE = make_space("nasbench201")
SIZE = SPACE.sizes["cifar10"]
ROWS = 2000
SOURCES = ("1080ti_1", "1080ti_256", "silver_4210r", "samsung_a50", "pixel3", "eyeriss")
TARGETS = ("raspi4", "fpga")
FBNET_SOURCES = ("1080ti_1", "1080ti_64", "silver_4114", "silver_4210r", "samsung_a50", "samsung_s7", "pixel3")


def write(path: Path, space: Space, texts: pl.Series, costs: pl.Series) -> Path:
    frame = pl.DataFrame({"architecture": texts, "latency_ms": costs}).unique("architecture", maintain_order=True)
    size = next(iter(space.sizes.values()))
    CostTable.from_values(frame, Provenance(space.name, size, {"name": path.stem}, source="HELP")).save(path)
    return path


@pytest.fixture(scope="module")
def help_tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Columns of HELP's NAS-Bench-201 table, without the cells that cost next to nothing."""
    shared = Path(__file__).resolve().parents[3] / "shared" / "data"
    if not shared.is_dir():
        pytest.skip("no ../shared/data beside this checkout")
    frame = pl.read_parquet(shared / "nasbench201" / "latency_help.parquet").head(ROWS)
    folder = tmp_path_factory.mktemp("help")
    found = {}
    for name in (*SOURCES, *TARGETS):
        kept = frame.filter(pl.col(f"{name}_ms") >= 0.1)
        found[name] = write(folder / f"{name}.parquet", SPACE, kept["arch_str"], kept[f"{name}_ms"])
    return found


def config(tables: dict[str, Path]) -> TransferConfig:
    return TransferConfig(sources=tuple(tables[name] for name in SOURCES))


@pytest.mark.parametrize(("target", "bar"), [("raspi4", 0.9), ("fpga", 0.98)])
def test_ten_random_samples_rank_a_new_device_better_than_its_macs_do(
    help_tables: dict[str, Path], target: str, bar: float
) -> None:
    table = CostTable.load(help_tables[target])
    reports = [
        fit_on_samples("transfer", table, samples=10, choose="random", config=config(help_tables), seed=seed)[1]
        for seed in range(3)
    ]
    assert np.mean([report.scores.spearman for report in reports]) > bar
    for report in reports:
        assert report.scores.spearman > report.baselines["macs"].spearman
        assert report.samples == 10 and len(report.architectures) <= len(table) - 10
    assert 75 <= np.mean([report.coverage_90_percent for report in reports]) <= 99


def test_ten_samples_of_fbnet(shared_data: Path, tmp_path: Path) -> None:
    space = make_space("fbnet")
    frame = pl.read_parquet(shared_data / "fbnet" / "latency_help.parquet").head(ROWS)
    texts = pl.Series([f"[{text.replace(',', ', ')}]" for text in frame["arch"]])
    sources = tuple(write(tmp_path / f"{n}.parquet", space, texts, frame[f"{n}_ms"]) for n in FBNET_SOURCES)
    table = CostTable.load(write(tmp_path / "fpga.parquet", space, texts, frame["fpga_ms"]))
    report = fit_on_samples("transfer", table, samples=10, config=TransferConfig(sources=sources))[1]
    assert report.scores.spearman > 0.95


def test_the_file_predicts_without_the_sources_and_has_a_gradient(help_tables: dict[str, Path], tmp_path: Path) -> None:
    copies = tuple(Path(help_tables[name]).rename(tmp_path / f"{name}.parquet") for name in SOURCES[:2])
    table = CostTable.load(help_tables["fpga"])
    predictor, _ = fit_on_samples("transfer", table, samples=12, config=TransferConfig(sources=copies))
    predictor.save(tmp_path / "fpga.safetensors")
    for name, copy in zip(SOURCES[:2], copies, strict=True):
        copy.rename(help_tables[name])
    loaded = load_predictor(tmp_path / "fpga.safetensors")
    codes = SPACE.encode(table.architectures()[:50])
    assert loaded.predict(codes).mean.tobytes() == predictor.predict(codes).mean.tobytes()
    relaxed = torch.full((2, SPACE.encoding_length), 0.2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(loaded.cost, (relaxed,))


def test_what_was_not_sampled_is_not_learned_from(help_tables: dict[str, Path]) -> None:
    table = CostTable.load(help_tables["raspi4"])
    predictor, report = fit_on_samples("transfer", table, samples=10, config=config(help_tables))
    seen = set(table.frame["architecture"]) - set(report.architectures)
    other = table.frame.with_columns(
        latency_ms=pl.when(pl.col("architecture").is_in(seen)).then("latency_ms").otherwise(pl.col("latency_ms") * 7)
    )
    moved = CostTable.from_values(other.select("architecture", "latency_ms"), table.provenance)
    again, _ = fit_on_samples("transfer", moved, samples=10, config=config(help_tables))
    codes = SPACE.encode(SPACE.sample(20, seed=0))
    assert again.predict(codes).mean.tobytes() == predictor.predict(codes).mean.tobytes()


def test_no_twin_of_a_sample_is_judged_on(help_tables: dict[str, Path]) -> None:
    table = CostTable.load(help_tables["fpga"])
    report = fit_on_samples("macs", table, samples=300, choose="random")[1]
    left = {SPACE.parse(text).canonical() for text in report.architectures}
    sampled = set(table.frame["architecture"]) - set(report.architectures)
    assert not left & {SPACE.parse(text).canonical() for text in sampled}


def test_without_sources_it_is_a_predictor_by_itself(help_tables: dict[str, Path]) -> None:
    table = CostTable.load(help_tables["fpga"])
    own = fit_on_samples("transfer", table, samples=100, choose="random")[1]
    macs = fit_on_samples("macs", table, samples=100, choose="random")[1]
    assert own.scores.spearman > macs.scores.spearman


def test_more_samples_rank_better_and_the_interval_gets_narrower(help_tables: dict[str, Path]) -> None:
    table = CostTable.load(help_tables["fpga"])
    few, many = (
        fit_on_samples("transfer", table, samples=count, choose="random", config=config(help_tables))[1]
        for count in (5, 200)
    )
    assert many.scores.mape_percent < few.scores.mape_percent
    assert np.mean(many.predicted_std) < np.mean(few.predicted_std)


def test_the_order_is_that_of_the_sources_where_samples_say_nothing_else(help_tables: dict[str, Path]) -> None:
    source = CostTable.load(help_tables["silver_4210r"])
    architectures = SPACE.sample(200, seed=3)
    codes = SPACE.encode(architectures)
    predictor = Transfer(SPACE, SIZE, TransferConfig(sources=(help_tables["silver_4210r"],)))
    predictor.fit(codes[:3], np.array([10.0, 11.0, 12.0]), seed=0)
    macs = Macs(SPACE, SIZE)
    macs.fit(SPACE.encode(source.architectures()), source.costs(), seed=0)
    assert spearmanr(predictor.predict(codes).mean, macs.predict(codes).mean).statistic > 0.6


def test_bad_sources_are_refused_in_one_line(help_tables: dict[str, Path], tmp_path: Path) -> None:
    table = CostTable.load(help_tables["fpga"])
    other = make_space("fbnet")
    rows = [str(one) for one in other.sample(60, seed=0)]
    foreign = write(tmp_path / "fbnet.parquet", other, pl.Series(rows), pl.Series(np.linspace(1, 2, 60)))
    small = tmp_path / "small.parquet"
    CostTable(table.frame.head(FEWEST_ROWS - 1), table.provenance).save(small)
    for source, kind, words in (
        (foreign, MismatchError, "fbnet.parquet cannot be a source: .*space is fbnet there, nasbench201 here"),
        (small, DataError, f"should have {FEWEST_ROWS} networks, got {FEWEST_ROWS - 1}"),
        (tmp_path / "none.parquet", DataError, "cannot read the source .*none.parquet"),
    ):
        with pytest.raises(kind, match=words) as caught:
            fit_on_samples("transfer", table, samples=10, config=TransferConfig(sources=(source,)))
        assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match="has no cost energy_mj"):
        given = TransferConfig(sources=(help_tables["pixel3"],), cost="energy_mj")
        fit_on_samples("transfer", table, samples=10, config=given)


def test_too_few_or_too_many_samples_are_refused_with_the_number(help_tables: dict[str, Path]) -> None:
    table = CostTable.load(help_tables["fpga"])
    with pytest.raises(DataError, match="transfer needs at least 3 samples, asked for 2"):
        fit_on_samples("transfer", table, samples=2)
    small = CostTable(table.frame.head(12), table.provenance)
    with pytest.raises(DataError, match="10 samples and 5 networks for scoring need a table of 15, got 12"):
        fit_on_samples("transfer", small, samples=10)
