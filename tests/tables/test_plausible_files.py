"""Plausible files whose content was misread or dropped without a word."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from chronas.errors import ChronasError, DataError, UsageError
from chronas.files import Commit, finish_commit, write_text
from chronas.spaces import make_space
from chronas.tables import read_accuracies, read_foreign
from chronas.tables.foreign import ForeignColumn
from chronas.tables.spreadsheet import is_accuracy, more_is_better
from chronas.tables.unpickler import read_pickle

SPACE = make_space("nasbench201")
TEXTS = [str(each) for each in SPACE.sample(4, seed=0)]


def csv(path: Path, **columns: list[object]) -> Path:
    lines = [",".join(["architecture", *columns])]
    lines += [",".join(map(str, row)) for row in zip(TEXTS, *columns.values(), strict=True)]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_word_among_the_costs_does_not_drop_the_device(tmp_path: Path) -> None:
    path = csv(tmp_path / "a.csv", raspi4_ms=[1.5, "OOM", 3.5, 4.5], edgegpu_ms=[1, 2, 3, 4])
    with pytest.raises(DataError, match="raspi4_ms should be numbers, got 'OOM' in row 2: empty the cell"):
        read_foreign(path, SPACE)
    path = csv(tmp_path / "b.csv", val_acc=[90.5, 91.5, "n/a", 93], params=[1, 2, 3, 4])
    with pytest.raises(DataError, match="val_acc should be numbers, got 'n/a' in row 3"):
        read_accuracies(path, SPACE)


@pytest.mark.parametrize(
    ("text", "factor"),
    [("jetson/fp16_us=nano.latency_ms", 1e-3), ("a_latency_s=nano.latency_ms", 1e3), ("a_ms=nano.latency_ms", 1.0)]
    + [("watts=nano.power_w", 1.0), ("a_us=nano.energy_mj", 1.0), ("a:b_us=nano.latency_ms", 1e-3)],
)
def test_a_column_keeps_its_own_unit_when_it_is_renamed(text: str, factor: float) -> None:
    assert ForeignColumn.parse(text).factor == factor


def test_numbers_that_follow_from_the_latency_are_not_imported() -> None:
    with pytest.raises(UsageError, match="latency_p95_ms follows from latency_ms"):
        ForeignColumn.parse("b=raspi4.latency_p95_ms")
    assert (
        ForeignColumn.of_name("raspi4_p95_ms", "x") is None and ForeignColumn.of_name("raspi4_median_ms", "x") is None
    )


def test_spreads_and_rates_have_no_direction_of_their_own() -> None:
    assert more_is_better("val_acc_std") is None and not is_accuracy("val_acc_std")
    assert more_is_better("images_per_s") is None and more_is_better("throughput_per_s") is True
    assert more_is_better("top1_err") is False and not is_accuracy("top1_err")
    assert more_is_better("latency_ms") is False and is_accuracy("Val_Acc")


def test_a_number_that_is_not_finite_or_a_name_that_stands_for_others_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="speed should be finite, got inf"):
        read_accuracies(csv(tmp_path / "a.csv", acc=[1, 2, 3, 4], speed=[1, "inf", 3, 4]), SPACE)
    for name in ("*", "^.*$"):
        with pytest.raises(DataError, match="which stands for others: rename it"):
            read_accuracies(csv(tmp_path / "b.csv", **{name: [1, 2, 3, 4]}), SPACE)
    frame = pl.DataFrame({"architecture": TEXTS, "x\nchronas: error: forged": [1.0, 2.0, 3.0, 4.0]})
    frame.write_parquet(tmp_path / "c.parquet")
    with pytest.raises(DataError, match="one line"):
        read_accuracies(tmp_path / "c.parquet", SPACE)


def test_a_csv_file_of_too_many_cells_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chronas.reading.MOST_CELLS", 9)
    with pytest.raises(DataError, match="has over 9 cells: divide it"):
        read_foreign(csv(tmp_path / "a.csv", a_ms=[1, 2, 3, 4], b_ms=[1, 2, 3, 4]), SPACE)


def test_one_architecture_with_and_without_a_number_is_not_merged(tmp_path: Path) -> None:
    frame = pl.DataFrame({"architecture": [*TEXTS, TEXTS[0]], "a_ms": [10.5, 2.0, 3.0, 4.0, float("nan")]})
    frame.write_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataError, match="rows 1 and 5 are one architecture"):
        read_foreign(tmp_path / "a.parquet", SPACE)


@pytest.mark.parametrize("body", [b"N" * 6_000_000, b"N" + b"\x94" * 6_000_000, b"N0" * 6_000_000])
def test_a_pickle_of_endless_small_steps_is_refused(body: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.pickle").write_bytes(b"\x80\x04" + body + b".")
    with pytest.raises(DataError, match="has over 5,000,000 values: it is not read"):
        read_pickle(tmp_path / "a.pickle")


def test_a_commit_is_finished_from_any_folder_and_also_after_a_move(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path)
    commit = Commit(Path("out/t"))
    write_text(commit.staged(Path("out/t")), "mine")
    monkeypatch.setattr("chronas.files._rename", lambda *_: (_ for _ in ()).throw(SystemExit))
    with pytest.raises(SystemExit):
        commit.__exit__(None, None, None)
    monkeypatch.undo()
    (tmp_path / "out").rename(tmp_path / "moved")
    monkeypatch.chdir(tmp_path / "moved")
    assert finish_commit(Path("t")) and Path("t").read_text() == "mine"
    (tmp_path / "moved" / ".t.commit").write_text('{"schema": "chronas.commit/2"}')
    with pytest.raises(DataError, match="list of files to write"):
        finish_commit(Path("t"))
    (tmp_path / "moved" / ".gone.commit").write_text(
        '{"schema": "chronas.commit/2", "files": {"gone": ".gone.00000000-1-staged"}}'
    )
    with pytest.raises(DataError, match="is neither written nor staged"):
        finish_commit(Path("gone"))


def test_labels_of_two_kinds_or_beyond_any_class_are_refused(tmp_path: Path) -> None:
    from chronas.data import load_dataset

    np.savez(tmp_path / "a.npz", images=np.zeros((4, 8, 8), np.uint8), labels=np.array([0, 1, 0, 2**64 - 1], np.uint64))
    with pytest.raises(ChronasError, match="which is no class"):
        load_dataset(str(tmp_path / "a.npz"))
