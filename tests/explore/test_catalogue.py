from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from chronas.devices import make_device
from chronas.errors import DataError, UsageError
from chronas.explore import load_catalogue
from chronas.networks import build, count
from chronas.spaces import NetworkSize, make_space
from chronas.tables import BlockTable, CostTable, Provenance
from chronas.tables.block_table import BlockOrigin
from explored import (
    NETWORKS,
    SIZE,
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
        counts = count(build(NETWORKS[number], SIZE), SIZE.input_shape)
        assert collection.costs["Multiplications"].values[number] * 1e6 == pytest.approx(counts.macs)
        assert collection.costs["Parameters"].values[number] * 1e6 == pytest.approx(counts.parameters)


def test_other_images_are_another_collection(tmp_path: Path) -> None:
    other = NetworkSize(input_shape=(3, 16, 16), outputs=7, width=4, depth=1)
    files = (
        write_table(tmp_path / "a.parquet", latencies(5)),
        write_table(tmp_path / "b.parquet", latencies(5), size=other),
        write_table(tmp_path / "c.parquet", latencies(5), size=SPACE.sizes["cifar10"]),
    )
    assert list(load_catalogue(files)) == [
        "nasbench201, 8 x 8 pixels, 4 classes, width 4, depth 1",
        "nasbench201, 16 x 16 pixels, 7 classes, width 4, depth 1",
        "nasbench201, 32 x 32 pixels, 10 classes",
    ]


def test_frames_that_differ_in_what_a_title_does_not_tell_are_both_there(tmp_path: Path) -> None:
    grey = SIZE.model_copy(update={"input_shape": (1, 8, 8)})
    files = (
        write_table(tmp_path / "a.parquet", latencies(5)),
        write_table(tmp_path / "b.parquet", latencies(4), size=grey),
    )
    catalogue = load_catalogue(files)
    assert [len(collection.architectures) for collection in catalogue.values()] == [5, 4]
    assert [title.count(text) for title, text in zip(catalogue, ("3x8x8", "1x8x8"), strict=True)] == [1, 1]


def test_two_tables_of_one_device_are_told_apart_and_one_file_counts_once(tmp_path: Path) -> None:
    first = write_table(tmp_path / "monday.parquet", latencies(5))
    second = write_table(tmp_path / "friday.parquet", latencies(5, seed=3))
    labels = [label for label in only_collection([first, second, first]).costs if label.startswith("Time")]
    assert labels == ["Time on a board, simulated (monday)", "Time on a board, simulated (friday)"]


def test_tables_of_ones_own_come_before_those_that_are_shipped(tmp_path: Path) -> None:
    (tmp_path / "shipped").mkdir()
    other = SIZE.model_copy(update={"width": 8})
    write_table(tmp_path / "shipped" / "chip.parquet", latencies(3), hardware="chip")
    write_table(tmp_path / "shipped" / "wide.parquet", latencies(3), size=other)
    mine = write_table(tmp_path / "mine.parquet", latencies(5))
    first, second = load_catalogue((mine,)).values()
    assert (first.size, second.size) == (SIZE, other)
    write_table(tmp_path / "shipped" / "zoo.parquet", latencies(9), hardware="zoo")
    load_catalogue.cache_clear()
    first = load_catalogue((mine,))[first.title]
    assert list(first.costs)[:3] == [f"Time on {device}, simulated" for device in ("a board", "zoo", "chip")]
    load_catalogue.cache_clear()
    assert [one.size for one in load_catalogue((Path("wide"),)).values()] == [other, SIZE]


def test_without_accuracies_size_stands_in_and_says_so(tmp_path: Path) -> None:
    table = write_table(tmp_path / "a.parquet", latencies(60))
    collection = only_collection([table])
    limited, *others = collection.costs
    goals = collection.goals(limited)
    assert list(goals) == ["Parameters that reach the answer, the more the better", *others]
    size, parameters = goals["Parameters that reach the answer, the more the better"], collection.costs["Parameters"]
    assert size.maximise and "no accuracies are known" in size.hint and not parameters.maximise
    assert (size.values <= parameters.values).all() and (size.values < parameters.values).any()
    known = write_accuracies(tmp_path / "b.parquet", accuracies(60))
    assert list(only_collection([table], known).goals(limited)) == ["Accuracy", *others]


def test_no_table_at_all_is_refused() -> None:
    load_catalogue.cache_clear()
    with pytest.raises(UsageError, match="no table of costs to explore: give one"):
        load_catalogue()


def test_a_file_that_is_no_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "no.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(DataError, match="no.parquet is damaged, cut off or no Parquet file"):
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


def test_a_file_of_accuracies_of_no_space_here_says_why(tmp_path: Path) -> None:
    table = write_table(tmp_path / "a.parquet", latencies(3))
    pl.DataFrame({"architecture": ["Genotype(normal=[])"], "accuracy": [90.0]}).write_parquet(tmp_path / "b.parquet")
    with pytest.raises(DataError, match="b.parquet is not of nasbench201"):
        load_catalogue((table,), tmp_path / "b.parquet")
    with pytest.raises(DataError, match="from 0 to 100, got 101"):
        load_catalogue((table,), write_accuracies(tmp_path / "c.parquet", [101.0]))


def test_a_table_of_blocks_is_refused(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {"layer": [None, 0], "operation": ["stem", "skip"], "key": ["a", "b"], "x.latency_ms": [1.0, 2.0]}
    )
    BlockTable(frame, BlockOrigin("fbnet", "cifar100", {"x": {}}, "a test")).save(tmp_path / "blocks.parquet")
    with pytest.raises(UsageError, match="is a table of blocks; the page is of whole networks"):
        load_catalogue((tmp_path / "blocks.parquet",))


def test_a_folder_stands_for_its_tables(tmp_path: Path) -> None:
    for name in "ab":
        write_table(tmp_path / f"{name}.parquet", latencies(5), hardware=f"chip {name}")
    labels = [label for label in only_collection([tmp_path]).costs if label.startswith("Time")]
    assert labels == ["Time on chip a, simulated", "Time on chip b, simulated"]


def test_accuracies_of_one_space_leave_the_other_without(tmp_path: Path) -> None:
    darts = make_space("darts")
    rows = [(network, 5.0 + number) for number, network in enumerate(darts.sample(3, seed=0))]
    size = NetworkSize(input_shape=(3, 8, 8), outputs=4, width=4, depth=3)
    CostTable.from_rows(darts, size, make_device("simulated"), rows).save(tmp_path / "darts.parquet")
    files = (tmp_path / "darts.parquet", write_table(tmp_path / "a.parquet", latencies(5)))
    known = write_accuracies(tmp_path / "accuracy.parquet", accuracies(5))
    found = {collection.space.name: collection for collection in load_catalogue(files, known).values()}
    assert found["darts"].accuracies == {} and list(found["nasbench201"].accuracies) == ["Accuracy"]
    assert found["darts"].useful.all()


def test_the_accuracies_of_nas_bench_201_are_there(shared_data: Path, tmp_path: Path) -> None:
    known = shared_data / "nasbench201" / "accuracy.parquet"
    collection = only_collection([write_table(tmp_path / "a.parquet", latencies(60))], known)
    validation = collection.accuracies["Accuracy (cifar10 val acc 200)"]
    frame = pl.read_parquet(known)
    row = frame.filter(pl.col("arch_str") == str(NETWORKS[7]))
    assert validation.values[7] == row["cifar10_val_acc_200"][0]
    assert not any("flops" in label for label in collection.accuracies)


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
    provenance = Provenance("nasbench201", SIZE, {"name": "edgetpu"}, missing="does not compile")
    CostTable.from_values(frame, provenance).save(tmp_path / "a.parquet")
    costs = only_collection([tmp_path / "a.parquet", write_table(tmp_path / "b.parquet", latencies(2))]).costs
    energy = costs["Energy on edgetpu"]
    assert energy.values[0] == energy.low[0] == 3.0 and energy.rounds[0] == 1
    assert energy.facts["missing"] == "does not compile" and energy.facts["runtime"] == "unknown"
