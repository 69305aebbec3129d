"""`import chronas`: light, complete, and answers that show themselves."""

from __future__ import annotations

import gc
import inspect
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

import chronas
import chronas.search
from chronas.tables import CostTable
from outside_space import PatchSpace

SPACE = PatchSpace()


@pytest.fixture(scope="module")
def table() -> CostTable:
    return chronas.measure("nasbench201", "simulated", networks=24, progress=False)


def test_it_loads_neither_torch_nor_numpy() -> None:
    script = "import sys, chronas; print(*{'torch', 'numpy', 'pydantic', 'polars'} & sys.modules.keys())"
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == ""


def test_every_public_name_is_there_and_described() -> None:
    assert set(chronas.__all__) <= set(dir(chronas))
    for name in chronas.__all__:
        assert inspect.getdoc(getattr(chronas, name)), name
    with pytest.raises(AttributeError, match="nonsense"):
        chronas.nonsense  # noqa: B018 - what is tested


def test_search_is_a_package_and_a_verb() -> None:
    assert callable(chronas.search)
    assert chronas.search.SEARCHERS
    assert "limits" in inspect.signature(chronas.search).parameters


def test_answers_tell_themselves_in_a_line_and_in_html(table: CostTable, tmp_path: Path) -> None:
    latency = chronas.fit(table, "macs")
    found = chronas.search(
        "nasbench201",
        evaluate=lambda architectures: [float(len(str(each))) for each in architectures],
        searcher="random",
        architectures=8,
        costs={"latency_ms": latency},
        limits={"latency_ms": float(np.median(table.costs()))},
        progress=False,
    )
    estimate = chronas.measure(
        chronas.space("nasbench201").topology.network(_plan()), input_shape=(3, 8, 8), progress=False
    )
    for each, words in (
        (table, ("24 architectures of nasbench201", "simulated")),
        (latency, ("latency_ms of nasbench201", "% error on unseen networks")),
        (latency.report, ("latency_ms of 24 networks", "Kendall")),
        (found, ("random in nasbench201", "latency_ms")),
        (estimate, ("ms",)),
    ):
        assert all(word in repr(each) for word in words), repr(each)
        assert len(repr(each)) < 400
    for each in (table, latency, found, found.best, found.best.architecture, estimate):
        html = each._repr_html_()
        assert html.count("<") == html.count(">")
        assert html.startswith("<")
    assert "<svg" in found._repr_html_()
    assert "<table" in table._repr_html_()


def _plan() -> object:
    space = chronas.space("nasbench201")
    size = chronas.NetworkSize(input_shape=(3, 8, 8), outputs=10, width=4, depth=1)
    return space.topology.plan(space.sample(1, seed=0)[0], size)


def test_frames_are_polars_and_become_pandas(table: CostTable) -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = table.to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame.columns) == table.frame.columns
    assert np.array_equal(frame["latency_ms"].to_numpy(), table.costs())


def test_a_table_that_comes_with_chronas_is_loaded_by_its_name() -> None:
    assert len(chronas.load_table("nasbench201-cifar10-onnxruntime-cpu")) == 15_625
    with pytest.raises(chronas.ChronasError, match="nor a table that comes with chronas"):
        chronas.load_table("nowhere")


def test_a_front_goes_from_cheap_to_accurate(table: CostTable) -> None:
    latency = chronas.fit(table, "macs")
    found = chronas.search(
        "nasbench201",
        evaluate=lambda architectures: [float(str(each).count("conv")) for each in architectures],
        searcher="evolution",
        architectures=40,
        costs={"latency_ms": latency},
        weights={"latency_ms": 0.1},
        progress=False,
    )
    front = found.front("latency_ms", count=4)
    costs = [each.costs["latency_ms"] for each in front]
    scores = [each.score for each in front]
    assert 2 <= len(front) <= 4
    assert costs == sorted(costs)
    assert scores == sorted(scores)
    assert found.history.height == 40


def test_a_table_is_not_overwritten_and_a_stopped_campaign_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "costs.parquet"

    def stop(step: str, done: int, total: int, note: str) -> None:
        if step == "measure" and done > 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        chronas.measure(SPACE, "simulated", networks=9, out=out, progress=stop)
    assert not out.exists()
    table = chronas.measure(SPACE, "simulated", networks=9, out=out, progress=False)
    assert len(table) == 9
    with pytest.raises(chronas.ChronasError, match="nothing is overwritten"):
        chronas.measure(SPACE, "simulated", networks=9, out=out, progress=False)


def test_a_search_without_a_folder_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def broken(architectures: list[object]) -> list[float]:
        raise ZeroDivisionError

    found = chronas.search(SPACE, evaluate=lambda a: [1.0] * len(a), searcher="random", architectures=3, progress=False)
    assert len(list(tmp_path.iterdir())) == 1
    with suppress(ZeroDivisionError):
        chronas.search(SPACE, evaluate=broken, searcher="random", architectures=3, progress=False)
    del found
    gc.collect()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: chronas.search("nasbench201", evaluate=len, samples=3), "unknown setting 'samples'"),
        (lambda: chronas.search("nasbench201", evaluate="nowhere"), "unknown evaluator 'nowhere'"),
        (
            lambda: chronas.search("nasbench201", evaluate=len, architectures=0),
            "architectures: input should be greater",
        ),
        (lambda: chronas.device("simulated", noise=-1.0), "noise: input should be greater"),
        (lambda: chronas.device("onnxruntime-cpu", thread=1), "did you mean threads"),
        (lambda: chronas.run("digits", "never", networks=1), "networks: input should be greater"),
        (lambda: chronas.run("digits", "never", limit_msec=1), "did you mean limit_ms"),
        (lambda: chronas.measure("nasbench201", "simulated", out="never.sqlite"), "would overwrite its journal"),
        (lambda: chronas.measure("nasbench", "simulated"), "did you mean nasbench201"),
        (lambda: chronas.count(chronas.space("darts").sample(1, 0)[0], (3, 8, 8)), "NetworkSize"),
        (lambda: chronas.register(3), "say what 3 is"),
        (lambda: chronas.register(SPACE, "darts"), "comes with chronas"),
        (lambda: chronas.device("simulated", config=chronas.device("simulated").config, seed=1), "give one of them"),
    ],
)
def test_wrong_use_is_one_line(wrong: object, message: str) -> None:
    with pytest.raises(chronas.ChronasError, match=message) as error:
        wrong()  # type: ignore[operator]
    assert "\n" not in str(error.value)
