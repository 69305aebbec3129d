"""Wrong arguments in Python: each call ends in a `ChronasError` of one line, not in an error of a library below."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import chronas
from chronas.data import load_dataset
from chronas.devices import make_device
from chronas.errors import ChronasError
from chronas.measurement import Plan, read_journal
from chronas.networks import load_state
from chronas.predictors import load_predictor
from chronas.runs import Run, make_preset
from chronas.search import TableEvaluator
from chronas.spaces import NetworkSize, make_space
from chronas.tables import CostTable, Query, read_accuracies, read_foreign

space = make_space("nasbench201")
size = NetworkSize(input_shape=(3, 8, 8), outputs=5, width=4, depth=1)
dev = make_device("simulated")
archs = space.sample(40, seed=0)
table = CostTable.from_rows(space, size, dev, [(each, 1.0 + number) for number, each in enumerate(archs)])


class Items(torch.utils.data.Dataset[Any]):
    """Grey images with the labels 0 and 1, or with one label."""

    def __init__(self, count: int = 40, label: object = None) -> None:
        self.count, self.label = count, label

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: int) -> tuple[Any, Any]:
        return np.full((8, 8, 3), number * 5 % 255, np.uint8), (number % 2 if self.label is None else self.label)


def scores(architectures: list[Any]) -> list[float]:
    return [1.0] * len(architectures)


QUICK: dict[str, Any] = {"progress": False, "searcher": "evolution", "architectures": 12}


def measure(**changes: Any) -> object:
    return chronas.measure(**{"space": "nasbench201", "device": dev, "size": size, "networks": 2, **changes})


def measured(shape: Any) -> object:
    return chronas.measure(nn.Conv2d(3, 3, 3), "eager-cpu", input_shape=shape)


def search(**changes: Any) -> object:
    return chronas.search(**{"space": "nasbench201", "evaluate": scores, **QUICK, **changes})


def flat(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(inputs, outputs))


CALLS: dict[str, Callable[[], object]] = {
    "make_preset limit text": lambda: make_preset("digits-cpu", {"limit_ms": "fast"}),
    "make_preset typo": lambda: make_preset("digits-cpu", {"netwoks": 10}),
    "make_preset name none": lambda: make_preset(None),
    "make_preset neg": lambda: make_preset("digits-cpu", {"limit_ms": -1}),
    "make_preset nan": lambda: make_preset("digits-cpu", {"limit_ms": float("nan")}),
    "make_preset device none": lambda: make_preset("digits-cpu", {"device": None}),
    "make_preset list": lambda: make_preset("digits-cpu", ["limit_ms"]),
    "make_space none": lambda: make_space(None),
    "make_space int": lambda: make_space(3),
    "make_space list": lambda: make_space(["darts"]),
    "make_space class": lambda: make_space(type(space)),
    "from_index float": lambda: space.from_index(1.5),
    "from_index neg": lambda: space.from_index(-1),
    "from_index none": lambda: space.from_index(None),
    "from_index bool": lambda: space.from_index(True),
    "darts from_index": lambda: make_space("darts").from_index(0),
    "sample neg": lambda: space.sample(-1, seed=0),
    "sample seed none": lambda: space.sample(1, seed=None),
    "sample seed neg": lambda: space.sample(1, seed=-1),
    "sample float": lambda: space.sample(1.5, seed=0),
    "sample many": lambda: space.sample(10**6, seed=0),
    "sample text": lambda: space.sample("3", seed=0),
    "parse none": lambda: space.parse(None),
    "parse int": lambda: space.parse(3),
    "parse bytes": lambda: space.parse(b"x"),
    "darts parse none": lambda: make_space("darts").parse(None),
    "fbnet parse none": lambda: make_space("fbnet").parse(None),
    "architecture short": lambda: space.architecture([0]),
    "architecture text": lambda: space.architecture("abcdef"),
    "architecture none": lambda: space.architecture(None),
    "architecture float": lambda: space.architecture([0.5] * 6),
    "size none": lambda: chronas.measure(
        "nasbench201",
        dev,
        size="cifar10",
        networks=2,
    ),
    "measure networks 0": lambda: chronas.measure(
        "nasbench201",
        dev,
        size=size,
        networks=0,
    ),
    "measure networks neg": lambda: chronas.measure(
        "nasbench201",
        dev,
        size=size,
        networks=-3,
    ),
    "measure networks text": lambda: chronas.measure(
        "nasbench201",
        dev,
        size=size,
        networks="many",
    ),
    "measure networks list of text": lambda: chronas.measure(
        "nasbench201", dev, size=size, networks=["a"], progress=False
    ),
    "measure device none": lambda: chronas.measure(
        "nasbench201",
        None,
        size=size,
        networks=2,
    ),
    "measure device class": lambda: chronas.measure(
        "nasbench201",
        type(dev),
        size=size,
        networks=2,
    ),
    "measure costs text": lambda: chronas.measure(
        "nasbench201", dev, size=size, networks=2, costs="energy", progress=False
    ),
    "measure costs unknown": lambda: chronas.measure(
        "nasbench201", dev, size=size, networks=2, costs=["carbon"], progress=False
    ),
    "measure plan dict": lambda: chronas.measure(
        "nasbench201", dev, size=size, networks=2, plan={"rounds": 3}, progress=False
    ),
    "measure out int": lambda: chronas.measure(
        "nasbench201",
        dev,
        size=size,
        networks=2,
        out=3,
    ),
    "measure seed none": lambda: chronas.measure(
        "nasbench201",
        dev,
        size=size,
        networks=2,
        seed=None,
    ),
    "measure module no shape": lambda: chronas.measure(
        nn.Linear(3, 3),
        dev,
    ),
    "measure module bad shape": lambda: chronas.measure(
        nn.Conv2d(3, 3, 3), "eager-cpu", input_shape=(3), progress=False
    ),
    "measure module text shape": lambda: chronas.measure(
        nn.Conv2d(3, 3, 3), "eager-cpu", input_shape="3x8x8", progress=False
    ),
    "measure module neg shape": lambda: chronas.measure(
        nn.Conv2d(3, 3, 3), "eager-cpu", input_shape=(3, -8, 8), progress=False
    ),
    "device settings": lambda: chronas.device("simulated", thraeds=2),
    "device settings type": lambda: chronas.device("onnxruntime-cpu", threads="two"),
    "device settings zero": lambda: chronas.device("onnxruntime-cpu", threads=0),
    "device none": lambda: chronas.device(None),
    "device none settings": lambda: chronas.device(None, threads=2),
    "load_data none": lambda: chronas.load_data(None),
    "load_dataset none": lambda: load_dataset(None),
    "load_dataset int": lambda: load_dataset(7),
    "load_dataset share": lambda: load_dataset("digits", test_share=2),
    "load_dataset share text": lambda: load_dataset("digits", test_share="half"),
    "load_dataset limit": lambda: load_dataset("digits", limit=-3),
    "load_dataset limit float": lambda: load_dataset("digits", limit=50.5),
    "load_dataset option": lambda: chronas.load_data(
        "digits",
        limt=3,
    ),
    "load_dataset empty": lambda: load_dataset(""),
    "load_dataset nul": lambda: load_dataset("a\0b"),
    "load_dataset surrogate": lambda: load_dataset("caf\udce9"),
    "dataset empty": lambda: load_dataset(Items(0)),
    "dataset label": lambda: load_dataset(Items(40, "cat")),
    "dataset label none": lambda: load_dataset(Items(40, 1.5)),
    "dataset label huge": lambda: load_dataset(Items(40, 10**12)),
    "dataset label neg": lambda: load_dataset(Items(40, -1)),
    "fit none": lambda: chronas.fit(None),
    "fit path": lambda: chronas.fit("costs.parquet"),
    "fit frame": lambda: chronas.fit(table.frame),
    "fit name": lambda: chronas.fit(table, "lmp"),
    "fit none predictor": lambda: chronas.fit(table, None),
    "fit folds": lambda: chronas.fit(table, folds=0),
    "fit folds many": lambda: chronas.fit(table, folds=1000),
    "fit folds text": lambda: chronas.fit(table, folds="five"),
    "fit seed": lambda: chronas.fit(table, seed=None),
    "fit config": lambda: chronas.fit(table, config={"alpha": 1}),
    "fit config other": lambda: chronas.fit(table, config=Plan()),
    "load_table int": lambda: chronas.load_table(3),
    "load_table none": lambda: chronas.load_table(None),
    "load_table missing": lambda: chronas.load_table("missing.parquet"),
    "table load str": lambda: CostTable.load("missing.parquet"),
    "table load bytes": lambda: CostTable.load(b"missing.parquet"),
    "table save none": lambda: table.save(None),
    "table of": lambda: table.of("energy_mj"),
    "table of none": lambda: table.of(None),
    "journal str": lambda: read_journal("missing.sqlite"),
    "journal none": lambda: read_journal(None),
    "load_predictor str": lambda: load_predictor("missing.safetensors"),
    "load_predictor none": lambda: chronas.load_predictor(None),
    "query none": lambda: Query(None),
    "query empty": lambda: Query([]),
    "query text": lambda: Query(["a.parquet"]),
    "query where": lambda: Query([table]).where("latency_ms <= 3"),
    "query where none": lambda: Query([table]).where([None]),
    "query column": lambda: Query([table]).column("x"),
    "query column none": lambda: Query([table]).column(None),
    "query pareto": lambda: Query([table]).pareto(["latency_ms"]),
    "query at": lambda: Query([table]).at("3"),
    "query records": lambda: Query([table]).records("x"),
    "query records none": lambda: Query([table]).records(None),
    "search nothing": lambda: chronas.search("nasbench201"),
    "search evaluate text": lambda: chronas.search(
        "nasbench201",
        evaluate="nothing",
    ),
    "search evaluate int": lambda: chronas.search("nasbench201", evaluate=3, architectures=2),
    "search evaluate text out": lambda: chronas.search(
        "nasbench201",
        evaluate=lambda a: ["x"] * len(a),
    ),
    "search evaluate None out": lambda: chronas.search(
        "nasbench201",
        evaluate=lambda a: None,
    ),
    "search limits unknown": lambda: chronas.search(
        "nasbench201",
        evaluate=scores,
        limits={"latency_ms": 1},
    ),
    "search limits neg": lambda: chronas.search(
        "nasbench201",
        evaluate=scores,
        limits={"latency_ms": -1},
    ),
    "search limits text": lambda: chronas.search(
        "nasbench201", evaluate=scores, limits={"latency_ms": "fast"}, **QUICK
    ),
    "search limits list": lambda: chronas.search(
        "nasbench201",
        evaluate=scores,
        limits=[3],
    ),
    "search weights nan": lambda: chronas.search(
        "nasbench201", evaluate=scores, weights={"latency_ms": float("nan")}, **QUICK
    ),
    "search setting": lambda: chronas.search("nasbench201", evaluate=scores, searcher="evolution", architecturs=12),
    "search setting zero": lambda: chronas.search(
        "nasbench201", evaluate=scores, searcher="evolution", architectures=0
    ),
    "search searcher": lambda: chronas.search("nasbench201", evaluate=scores, searcher="evolutoin"),
    "search searcher none": lambda: chronas.search("nasbench201", evaluate=scores, searcher=None),
    "search seed": lambda: chronas.search(
        "nasbench201", evaluate=scores, searcher="evolution", seed=None, architectures=12
    ),
    "search cost text": lambda: chronas.search(
        "nasbench201",
        evaluate=scores,
        costs={"latency_ms": "x"},
    ),
    "search cost scalar": lambda: chronas.search(
        "nasbench201", evaluate=scores, costs={"latency_ms": lambda c: 1.0}, **QUICK
    ),
    "search share": lambda: chronas.search(
        "nasbench201", "digits", validation_share=3, searcher="random", architectures=2
    ),
    "search folder": lambda: chronas.search(
        "nasbench201", evaluate=scores, searcher="evolution", folder=3, architectures=12
    ),
    "search preset": lambda: chronas.search("nasbench201", evaluate=scores, preset="digits", searcher="evolution"),
    "search space none": lambda: chronas.search(None, evaluate=scores),
    "table evaluator 500": lambda: TableEvaluator({"a": 500.0}),
    "table evaluator nan": lambda: TableEvaluator({"a": float("nan")}),
    "train none": lambda: chronas.train(None, "digits"),
    "train text": lambda: chronas.train("|nor_conv_3x3~0|", "digits"),
    "train recipe": lambda: chronas.train(archs[0], "digits", recipe="x"),
    "train recipe none": lambda: chronas.train(archs[0], "digits", recipe=None),
    "train share": lambda: chronas.train(archs[0], "digits", validation_share=1.5),
    "train size": lambda: chronas.train(archs[0], "digits", size="small"),
    "train module outputs": lambda: chronas.train(
        nn.Sequential(nn.Flatten(), nn.Linear(64, 3)), "digits", recipe="digits-small", progress=False
    ),
    "train module shape": lambda: chronas.train(
        nn.Sequential(nn.Flatten(), nn.Linear(63, 10)), "digits", recipe="digits-small", progress=False
    ),
    "export no shape": lambda: chronas.export(nn.Linear(3, 3), "o"),
    "export none": lambda: chronas.export(None, "o"),
    "export batch": lambda: chronas.export(nn.Linear(3, 3), "o2", input_shape=(3), batch=0),
    "export folder": lambda: chronas.export(nn.Linear(3, 3), None, input_shape=(3)),
    "count none": lambda: chronas.count(None),
    "count no shape": lambda: chronas.count(nn.Linear(3, 3)),
    "count bad shape": lambda: chronas.count(nn.Linear(3, 3), (4)),
    "count list": lambda: chronas.count(nn.Linear(3, 3), [3]),
    "count batch": lambda: chronas.count(nn.Linear(3, 3), (3), 0),
    "run preset": lambda: chronas.run(preset="x"),
    "run data none out": lambda: chronas.run(None, None),
    "run setting": lambda: chronas.run("digits", "o3", netwoks=10),
    "run device": lambda: chronas.run("digits", "o4", device=3),
    "run data int": lambda: chronas.run(3, "o5"),
    "run limit": lambda: chronas.run("digits", "o6", limit_ms=-1),
    "run weight": lambda: chronas.run("digits", "o7", latency_weight=1e308),
    "register none": lambda: chronas.register(None),
    "register text": lambda: chronas.register("x"),
    "register kind": lambda: chronas.register(3, "x", "thing"),
    "register name": lambda: chronas.register(space, "../x"),
    "run open": lambda: Run.open("nowhere"),
    "run open none": lambda: Run.open(None),
    "accuracies none": lambda: read_accuracies(None, space),
    "accuracies space": lambda: read_accuracies("x.csv", "nasbench201"),
    "foreign": lambda: read_foreign(3, space),
    "state": lambda: load_state(None),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_wrong_argument_is_one_line(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ChronasError) as caught:
        CALLS[name]()
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_setting_of_a_preset_acts() -> None:
    config = make_preset("digits-cpu", {"limit_ms": 0.1, "networks": 50, "searcher": "darts"})
    assert (config.limit_ms, config.networks, config.searcher, config.latency_weight) == (0.1, 50, "darts", 0.0)


def test_texts_are_taken_as_paths(tmp_path: Path) -> None:
    path = str(tmp_path / "table.parquet")
    table.save(path)  # type: ignore[arg-type]  # a text, where a `Path` is asked for
    assert len(CostTable.load(path)) == len(chronas.load_table(path)) == 40  # type: ignore[arg-type]
