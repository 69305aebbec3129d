"""Objects of a user's own, wherever a name is taken: each test is a thing that was stopped once."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import onnxruntime
import pytest
import torch
from pydantic import BaseModel
from torch import Tensor, nn
from torch.utils.data import TensorDataset

import chronas
from chronas.errors import NotRegisteredError, UsageError
from chronas.predictors import Prediction, Predictor, fit_and_report, load_predictor, make_predictor, measure_until
from chronas.runs import Run
from chronas.search import SearchImages, Task, make_searcher
from chronas.search.blackbox.evolution import Evolution, EvolutionConfig
from chronas.spaces import Architecture
from chronas.tables import CostTable
from chronas.training import make_recipe
from outside_space import PatchPlan, PatchSpace, PatchSupernet

SPACE = PatchSpace()
SIZE = SPACE.sizes["digits"]
ONE_EPOCH = make_recipe("digits-small").model_copy(update={"epochs": 1})


def few_operations(architectures: Sequence[Architecture]) -> list[float]:
    """As an accuracy in percent: the more pools, the better."""
    return [100.0 * str(each).count("pool") / 2 for each in architectures]


@pytest.fixture(scope="module")
def table() -> CostTable:
    return chronas.measure(SPACE, "simulated", networks=24, progress=False)


@pytest.fixture(scope="module")
def data() -> chronas.Dataset:
    return chronas.load_data("digits", limit=200, progress=False)


# ---- spaces


def test_a_table_of_an_own_space_is_saved_and_loaded(table: CostTable, tmp_path: Path) -> None:
    assert table.space is SPACE
    assert all(each.space is SPACE for each in table.architectures())
    table.save(tmp_path / "own.parquet")
    again = chronas.load_table(tmp_path / "own.parquet", SPACE)
    assert again.frame.equals(table.frame)


@pytest.mark.parametrize("what", ["table", "predictor"])
def test_what_is_missing_is_named_and_no_file_is_called_damaged(what: str, tmp_path: Path) -> None:
    class Unknown(PatchSpace):
        name = "never-registered"

    table = chronas.measure(Unknown(), "simulated", networks=12, progress=False)
    path = tmp_path / f"own.{what}"
    if what == "table":
        table.save(path)
    else:
        fit_and_report("macs", table)[0].save(path)
    with pytest.raises(NotRegisteredError, match="never-registered") as error:
        chronas.load_table(path).architectures() if what == "table" else chronas.load_predictor(path)
    assert "is damaged" not in str(error.value)
    assert "Unknown" in str(error.value)
    assert "chronas.register" in str(error.value)
    assert "chronas.spaces" in str(error.value)


@pytest.mark.parametrize("name", ["macs", "lookup", "pairs", "gp"])
def test_predictors_of_an_own_space_are_fitted_saved_and_loaded(name: str, table: CostTable, tmp_path: Path) -> None:
    predictor, report = fit_and_report(name, table)
    assert report.scores.kendall > 0.5
    predictor.save(tmp_path / "p.safetensors")
    again = load_predictor(tmp_path / "p.safetensors", SPACE)
    codes = SPACE.encode(SPACE.sample(20, seed=3))
    assert np.array_equal(again.predict(codes).mean, predictor.predict(codes).mean)


SCRIPT = """
    import sys
    sys.path.insert(0, {tests!r})
    import chronas
    from outside_space import PatchSpace

    class Mine(PatchSpace):
        name = "of-a-script"

    if __name__ == "__main__":
        data = chronas.load_data("digits", limit=120, progress=False)
        settings = dict(architectures=4, initial_random=2, epochs=1, workers=2, width=4, depth=1)
        found = chronas.search(Mine(), data, searcher={searcher!r}, progress=False, {settings})
        print(found.best.architecture)
"""


@pytest.mark.parametrize(
    ("searcher", "settings"),
    [
        ("bayesian", "architectures=4, initial_random=2, epochs=1, workers=2"),
        ("random", "architectures=3, epochs=1, workers=2"),
    ],
)
def test_a_space_of_a_script_is_searched_by_several_processes(searcher: str, settings: str, tmp_path: Path) -> None:
    tests = str(Path(__file__).parents[1])
    text = textwrap.dedent(SCRIPT).format(tests=tests, searcher=searcher, settings=settings)
    (tmp_path / "mine.py").write_text(text)
    answer = subprocess.run([sys.executable, "mine.py"], cwd=tmp_path, capture_output=True, text=True)
    assert SPACE.parse(answer.stdout), answer.stderr


# ---- evaluators and costs


@pytest.mark.parametrize("searcher", ["bayesian", "random", "evolution", "nsga2", "local-search"])
def test_a_search_with_an_evaluator_asks_for_no_images(searcher: str) -> None:
    found = chronas.search(SPACE, evaluate=few_operations, searcher=searcher, architectures=36, progress=False, seed=1)
    assert str(found.best.architecture).count("pool") == 2
    assert found.task.images is None


def test_neither_images_nor_evaluator_is_wrong_use() -> None:
    with pytest.raises(UsageError, match="data="):
        chronas.search(SPACE, progress=False)


class Weighted(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(1.0, 2.0, SPACE.encoding_length))

    def forward(self, codes: Tensor) -> Tensor:
        return codes @ self.weight


@pytest.mark.parametrize("cost", [Weighted(), lambda codes: codes.sum(dim=1) + codes[:, 0]], ids=["module", "function"])
@pytest.mark.parametrize("searcher", ["evolution", "darts"])
def test_a_cost_is_any_module_or_function(cost: Any, searcher: str, data: chronas.Dataset) -> None:
    codes = torch.from_numpy(SPACE.encode(list(SPACE.every())))
    limit = float(cost(codes).detach().median())
    settings = {"epochs": 2, "warmup_epochs": 1} if searcher == "darts" else {"epochs": 1, "architectures": 10}
    found = chronas.search(
        SPACE, data, searcher=searcher, costs={"parts": cost}, limits={"parts": limit}, progress=False, **settings
    )
    best = torch.from_numpy(SPACE.encode([found.best.architecture]))
    assert float(cost(best).detach()[0]) <= limit * (1 + 1e-6)


def test_a_cost_of_a_wrong_shape_is_wrong_use() -> None:
    with pytest.raises(UsageError, match="one number for each"):
        chronas.search(
            SPACE, evaluate=few_operations, costs={"x": lambda codes: codes}, limits={"x": 1}, progress=False
        )


@pytest.mark.usefixtures("unregistered")
def test_an_evaluator_is_registered_by_a_name() -> None:
    chronas.register(few_operations, "few-operations", kind="evaluator")
    found = chronas.search(SPACE, evaluate="few-operations", searcher="random", architectures=36, progress=False)
    assert str(found.best.architecture).count("pool") == 2


# ---- predictors


class MeanConfig(BaseModel):
    shift: float = 0.0


class Mean(Predictor):
    """Predicts the mean of what it has seen."""

    name: ClassVar[str] = "mean-of-all"
    Config: ClassVar[type[MeanConfig]] = MeanConfig

    def _fit(self, codes: Tensor, costs: Tensor, seed: int) -> dict[str, Tensor]:
        return {"mean": costs.mean()[None], "std": costs.std()[None]}

    def _mean(self, codes: Tensor, state: Mapping[str, Tensor]) -> Tensor:
        return state["mean"].expand(len(codes)) + codes.sum() * 0

    def _std(self, codes: Tensor, state: Mapping[str, Tensor]) -> Tensor:
        return state["std"].expand(len(codes))

    def _shapes(self) -> dict[str, tuple[int | str, ...]]:
        return {"mean": (1,), "std": (1,)}


def test_an_own_predictor_is_judged_saved_and_loaded(table: CostTable, tmp_path: Path) -> None:
    predictor, report = fit_and_report(Mean, table)
    assert report.predictor == "mean-of-all"
    predictor.save(tmp_path / "mean.safetensors")
    with pytest.raises(NotRegisteredError, match="mean-of-all"):
        load_predictor(tmp_path / "mean.safetensors", SPACE)
    again = load_predictor(tmp_path / "mean.safetensors", SPACE, Mean)
    codes = SPACE.encode(SPACE.sample(4, seed=0))
    assert isinstance(again.predict(codes), Prediction)
    assert np.array_equal(again.predict(codes).mean, predictor.predict(codes).mean)


def test_an_own_predictor_says_when_enough_is_measured(table: CostTable) -> None:
    def measure(architectures: Sequence[Architecture]) -> CostTable:
        return chronas.measure(SPACE, "simulated", networks=list(architectures), progress=False)

    found = measure_until(make_predictor(Mean, SPACE, SIZE), measure, error_percent=90.0, budget=30, seed=0)
    assert found.reason == "error"


# ---- supernets and searchers


def test_an_own_supernet_is_searched_by_samples(data: chronas.Dataset, tmp_path: Path) -> None:
    class Counted(PatchSupernet):
        calls = 0

        def _logits(self, *arguments: Any) -> Tensor:
            Counted.calls += 1
            return super()._logits(*arguments)

    plan: PatchPlan = SPACE.topology.plan(SPACE.first(), SIZE)
    searcher = Evolution(EvolutionConfig(epochs=1, architectures=4), supernet=Counted(SPACE, plan))
    task = Task(space=SPACE, size=SIZE, folder=tmp_path, images=SearchImages.of(data.train, 0.5, 0), seed=0)
    assert searcher.search(task).history
    assert Counted.calls > 0


# ---- networks


class Vision(nn.Module):
    """A small transformer on patches."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, 16, 2, 2)
        layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.classifier = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        return self.classifier(self.encoder(tokens).mean(dim=1))


def small() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.Hardswish(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10)
    )


@pytest.mark.parametrize("device", ["onnxruntime-cpu", "eager-cpu", "openvino-cpu"])
def test_an_own_module_is_timed(device: str) -> None:
    latency = chronas.measure(small(), device, input_shape=(1, 8, 8), progress=False)
    assert 0 < latency.low <= latency.value <= latency.high
    assert latency.unit == "ms"


def test_an_own_module_is_trained_exported_and_counted(data: chronas.Dataset, tmp_path: Path) -> None:
    model = chronas.train(small(), data, recipe=ONE_EPOCH, progress=False)
    assert 0 <= model.accuracy_percent <= 100
    paths = model.export(tmp_path / "out", batch=None, calibration=data)
    files = {"model.safetensors", "model.onnx", "model.int8.onnx", "infer.py", "infer.cpp"}
    assert {path.name for path in paths} == files
    tested = json.loads((tmp_path / "out" / "int8.json").read_text())["accuracy_percent"]
    assert tested == pytest.approx(model.accuracy_percent, abs=10)
    with pytest.raises(UsageError, match="int8 needs the scaling of pixels, which a module lacks"):
        chronas.export(model.network, tmp_path / "plain", input_shape=(1, 8, 8), calibration=data)
    session = onnxruntime.InferenceSession(tmp_path / "out" / "model.onnx")
    image = torch.rand(1, 1, 8, 8)
    (logits,) = session.run(None, {session.get_inputs()[0].name: image.numpy()})
    assert np.allclose(logits, model.network(image).detach().numpy(), atol=1e-5)
    assert chronas.count(small(), (1, 8, 8)).macs == 64 * 8 * 9 + 80


def test_a_transformer_is_counted() -> None:
    counts = chronas.count(Vision(), (1, 8, 8))
    tokens, width, inner = 16, 16, 32
    projections = tokens * width * width * 4
    attention = 2 * tokens * tokens * width
    feed_forward = 2 * tokens * width * inner
    stem, head = tokens * width * 4, width * 10
    assert counts.macs == stem + projections + attention + feed_forward + head
    assert counts.parameters == sum(each.numel() for each in Vision().parameters())


# ---- data


def test_a_torch_data_set_is_taken_as_data(data: chronas.Dataset) -> None:
    pixels, labels = data.train.pixels.float() / 255, data.train.labels
    loaded = chronas.load_data(TensorDataset(pixels, labels), progress=False)
    assert loaded.classes == 10
    model = chronas.train(
        small(), loaded, recipe=make_recipe("digits-small").model_copy(update={"epochs": 1}), progress=False
    )
    assert model.history.height == 1


def archive(folder: Path, data: chronas.Dataset) -> Path:
    arrays = {"x_train": data.train.pixels.numpy()[:, 0], "y_train": data.train.labels.numpy()}
    np.savez(folder / "mine.npz", **arrays)
    return folder / "mine.npz"


def test_a_path_is_taken_as_data_by_a_training(data: chronas.Dataset, tmp_path: Path) -> None:
    file = archive(tmp_path, data)
    trained = [chronas.train(small(), source, recipe=ONE_EPOCH, progress=False) for source in (file, str(file))]
    assert all(each.history.height == 1 for each in trained)


# ---- runs


def test_a_run_takes_a_path_as_data_and_can_be_opened_again(data: chronas.Dataset, tmp_path: Path) -> None:
    file = archive(tmp_path, data)
    settings: dict[str, Any] = {"networks": 30, "baseline": False, "progress": False, "recipe": ONE_EPOCH}
    chronas.run(
        file, tmp_path / "run", space="nasbench201", device="simulated", searcher="random", evaluate=few_operations,
        **settings,
    )  # fmt: skip
    assert Run.open(tmp_path / "run").config.data == str(file)


def test_a_run_takes_own_space_device_data_predictor_and_evaluator(data: chronas.Dataset, tmp_path: Path) -> None:
    device = chronas.device("simulated", overhead_us=20.0)
    settings: dict[str, Any] = {
        "space": SPACE,
        "device": device,
        "predictor": Mean,
        "evaluate": few_operations,
        "searcher": make_searcher("random"),
        "recipe": ONE_EPOCH,
        "networks": 24,
        "baseline": False,
        "progress": False,
    }
    done = chronas.run(data, tmp_path / "run", **settings)
    assert done.networks[0].architecture.count("pool") == 2
    again = chronas.run(data, tmp_path / "run", **settings)
    assert again.networks == done.networks
    with pytest.raises(NotRegisteredError, match="patches|mean-of-all"):
        Run.open(tmp_path / "run")


def test_a_network_learns_from_a_module_for_some_steps() -> None:
    data = chronas.load_data("digits", progress=False, limit=200)
    teacher = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    model = chronas.train(small(), data, recipe="digits-small", steps=5, teacher=teacher, progress=False)
    assert model.history.height == 2 and not teacher.training
    with pytest.raises(UsageError, match="steps or minutes, not both: leave one out"):
        chronas.train(small(), data, recipe="digits-small", steps=5, minutes=1, progress=False)
    with pytest.raises(UsageError, match="gives 3 numbers for an image, but the data has 10 classes"):
        wrong = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
        chronas.train(small(), data, recipe="digits-small", teacher=wrong, progress=False)
