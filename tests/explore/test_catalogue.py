from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from chronas.errors import DataError, UsageError
from chronas.explore import load_catalogue
from chronas.explore.accuracies import read_accuracies
from chronas.networks import build, count
from chronas.spaces import Skeleton
from chronas.tables import CostTable, Provenance
from explored import (
    NETWORKS,
    SKELETON,
    SPACE,
    accuracies,
    latencies,
    only_collection,
    write_accuracies,
    write_table,
)


def test_tables_stand_side_by_side_and_what_one_lacks_is_a_gap(tmp_path: Path) -> None:
    first = write_table(tmp_path / "a.parquet", latencies(40), hardware="chip A")
    second = write_table(tmp_path / "b.parquet", latencies(30, seed=5), NETWORKS[30:], hardware="chip B")
    collection = only_collection([first, second])
    assert collection.architectures == NETWORKS
    a, b = (collection.costs[f"Time on chip {letter}, simulated"] for letter in "AB")
    assert a.values[:40].tolist() == latencies(40) and np.isnan(a.values[40:]).all()
    assert b.values[30:].tolist() == latencies(30, seed=5) and np.isnan(b.values[:30]).all()
    assert a.known().sum() == 40 and a.unit == "ms"
    assert a.high[:40] == pytest.approx(1.01 * np.array(latencies(40)))
    assert a.rounds.tolist() == [3] * 40 + [0] * 20


def test_every_cost_of_a_table_is_there_with_how_it_was_measured(tmp_path: Path) -> None:
    collection = only_collection([write_table(tmp_path / "a.parquet", latencies(5), energies_mj=[1, 2, 3, 4, 5])])
    energy = collection.costs["Energy on a board, simulated"]
    assert (energy.values.tolist(), energy.unit, energy.rounds.tolist()) == ([1, 2, 3, 4, 5], "mJ", [1] * 5)
    facts = collection.costs["Time on a board, simulated"].facts
    assert facts["runtime"] == "simulated 1.0" and facts["date"] == "2026-11-22" and facts["threads"] == "1"


def test_sizes_are_those_of_the_built_networks(tmp_path: Path) -> None:
    collection = only_collection([write_table(tmp_path / "a.parquet", latencies(60))])
    for number in (0, 17, 59):
        counts = count(build(NETWORKS[number], SKELETON), SKELETON.input_shape)
        assert collection.costs["Multiplications"].values[number] * 1e6 == pytest.approx(counts.macs)
        assert collection.costs["Parameters"].values[number] * 1e6 == pytest.approx(counts.parameters)


def test_other_images_are_another_collection(tmp_path: Path) -> None:
    other = Skeleton(input_shape=(3, 16, 16), classes=7, width=4, depth=1)
    files = (
        write_table(tmp_path / "a.parquet", latencies(5)),
        write_table(tmp_path / "b.parquet", latencies(5), skeleton=other),
        write_table(tmp_path / "c.parquet", latencies(5), skeleton=SPACE.skeletons["cifar10"]),
    )
    assert list(load_catalogue(files)) == [
        "nasbench201, 8 x 8 pixels, 4 classes, width 4, depth 1",
        "nasbench201, 16 x 16 pixels, 7 classes, width 4, depth 1",
        "nasbench201, 32 x 32 pixels, 10 classes",
    ]


def test_two_tables_of_one_device_are_told_apart_and_one_file_counts_once(tmp_path: Path) -> None:
    first = write_table(tmp_path / "monday.parquet", latencies(5))
    second = write_table(tmp_path / "friday.parquet", latencies(5, seed=3))
    labels = [label for label in only_collection([first, second, first]).costs if label.startswith("Time")]
    assert labels == ["Time on a board, simulated (monday)", "Time on a board, simulated (friday)"]


def test_no_table_at_all_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chronas.explore.catalogue.shipped_tables", list)
    load_catalogue.cache_clear()
    with pytest.raises(UsageError, match="no table of costs to explore: give one"):
        load_catalogue()


def test_a_file_that_is_no_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "no.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(DataError, match="no.parquet is cut off or no Parquet file"):
        load_catalogue((tmp_path / "no.parquet",))


def test_accuracies_join_by_text_and_gaps_stay(tmp_path: Path) -> None:
    table = write_table(tmp_path / "a.parquet", latencies(10))
    known = write_accuracies(tmp_path / "accuracy.parquet", accuracies(20)[:7], NETWORKS[3:])
    (accuracy,) = only_collection([table], known).accuracies.values()
    assert accuracy.label == "Accuracy" and accuracy.maximise
    assert np.isnan(accuracy.values[:3]).all() and accuracy.values[3:].tolist() == accuracies(20)[:7]


def test_accuracies_of_other_networks_are_not_offered(tmp_path: Path) -> None:
    table = write_table(tmp_path / "a.parquet", latencies(10))
    known = write_accuracies(tmp_path / "accuracy.parquet", [70.0, 80.0], NETWORKS[50:])
    assert only_collection([table], known).accuracies == {}


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        pytest.param({"architecture": ["a"], "score": [1.0]}, "numbers with acc in their name", id="no-accuracy"),
        pytest.param(
            {"network": ["a"], "accuracy": [1.0]}, r"columns of architectures \(architecture or", id="no-text"
        ),
        pytest.param({"architecture": ["a"], "accuracy": ["1"]}, "numbers with acc in their name", id="text"),
        pytest.param({"architecture": ["a"], "accuracy": [101.0]}, "from 0 to 100, got 101.0", id="above"),
        pytest.param({"architecture": ["a"], "accuracy": [float("nan")]}, "from 0 to 100, got nan", id="nan"),
    ],
)
def test_files_of_accuracies_that_are_none_are_refused(
    tmp_path: Path, frame: dict[str, list[object]], message: str
) -> None:
    pl.DataFrame(frame).write_parquet(tmp_path / "accuracy.parquet")
    with pytest.raises(DataError, match=message):
        read_accuracies(tmp_path / "accuracy.parquet")


def test_a_missing_or_damaged_file_of_accuracies_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot read .*none.parquet: No such file"):
        read_accuracies(tmp_path / "none.parquet")
    (tmp_path / "cut.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match="cut off or no Parquet file"):
        read_accuracies(tmp_path / "cut.parquet")


def test_the_accuracies_of_nas_bench_201_are_read(shared_data: Path) -> None:
    known = read_accuracies(shared_data / "nasbench201" / "accuracy.parquet")
    frame = pl.read_parquet(shared_data / "nasbench201" / "accuracy.parquet")
    first = known["cifar10 val acc 200"]
    assert len(first) == 15_625
    assert first[frame["arch_str"][77]] == frame["cifar10_val_acc_200"][77]


def test_cells_with_zeros_on_every_path_are_useless_and_only_these(tmp_path: Path) -> None:
    texts = {
        "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|": False,
        "|nor_conv_3x3~0|+|nor_conv_3x3~0|none~1|+|none~0|none~1|none~2|": False,
        "|none~0|+|none~0|nor_conv_3x3~1|+|none~0|nor_conv_3x3~1|nor_conv_3x3~2|": False,
        "|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|": True,
        "|avg_pool_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|nor_conv_1x1~2|": True,
    }
    networks = [SPACE.parse(text) for text in texts]
    collection = only_collection([write_table(tmp_path / "a.parquet", latencies(5), networks)])
    assert collection.useful.tolist() == list(texts.values())


def test_a_published_table_without_rounds_has_no_interval_and_says_what_is_missing(tmp_path: Path) -> None:
    frame = pl.DataFrame({"architecture": [str(NETWORKS[0])], "latency_ms": [2.0], "energy_mj": [3.0]})
    provenance = Provenance("nasbench201", SKELETON, {"name": "edgetpu"}, missing="does not compile")
    CostTable.from_values(frame, provenance).save(tmp_path / "a.parquet")
    costs = only_collection([tmp_path / "a.parquet", write_table(tmp_path / "b.parquet", latencies(2))]).costs
    energy = costs["Energy on edgetpu"]
    assert energy.values[0] == energy.low[0] == 3.0 and energy.rounds[0] == 1
    assert energy.facts["missing"] == "does not compile" and energy.facts["runtime"] == "unknown"
