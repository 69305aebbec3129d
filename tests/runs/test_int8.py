"""int8 from a run's device to its report: the file that is written is the one that is tested and measured."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from PIL import Image

from chronas.cli.main import main
from chronas.data import Normalisation, load_dataset
from chronas.devices import CpuConfig, Model, device_class, make_device
from chronas.errors import DataError, UsageError
from chronas.measurement import read_journal
from chronas.networks import read_onnx
from chronas.reports import verdict_on
from chronas.runs import (
    EXPORTED,
    INT8_MODEL,
    Int8Result,
    Run,
    execute,
    export,
    export_own,
    make_preset,
    quantise,
    read_int8,
    read_trained,
    show,
    train_architecture,
)
from chronas.spaces import NetworkScale, NetworkSize, make_space
from chronas.training import make_recipe

SPACE = make_space("nasbench201")
ARCHITECTURE = SPACE.sample(1, 3)[0]
SIZE = NetworkSize(input_shape=(1, 8, 8), outputs=10, width=4, depth=1)
RECIPE = make_recipe("digits-small").model_copy(update={"epochs": 2})


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished training; tests must not change it."""
    folder = tmp_path_factory.mktemp("training") / "mine"
    train_architecture(folder, ARCHITECTURE, SIZE, load_dataset("digits"), RECIPE, validation_share=0.2, seed=0)
    return folder


def accuracy(path: Path) -> float:
    """The accuracy of an ONNX file on the digits' test images, one by one in a plain session."""
    data = load_dataset("digits")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    images = Normalisation.of(data.train)(data.test.pixels).numpy()
    named = [session.run(None, {"images": image[None]})[0].argmax() for image in images]
    return 100.0 * float((np.array(named) == data.test.labels.numpy()).mean())


def test_an_int8_file_is_tested_as_it_is_and_the_same_each_time(trained: Path, tmp_path: Path) -> None:
    data = load_dataset("digits")
    found = [quantise(trained, tmp_path / name, data, batch=1, seed=0) for name in ("one", "two")]
    one, two = (tmp_path / name / INT8_MODEL for name in ("one", "two"))
    assert found[0] == found[1] == read_int8(tmp_path / "one") and one.read_bytes() == two.read_bytes()
    assert found[0].accuracy_percent == pytest.approx(accuracy(one))
    assert found[0].accuracy_percent == pytest.approx(read_trained(trained).accuracy_percent, abs=5)
    assert found[0].calibration_images == 256
    other = quantise(trained, tmp_path / "other", data, batch=1, seed=1)
    assert other.calibration_images == 256 and (tmp_path / "other" / INT8_MODEL).read_bytes() != one.read_bytes()
    kinds = [node.op_type for node in onnx.load(str(one)).graph.node]
    assert "QuantizeLinear" in kinds and {each.key for each in onnx.load(str(one)).metadata_props} == {
        "mean", "std", "class_names",
    }  # fmt: skip


def test_ranges_are_those_of_the_training_images(trained: Path, tmp_path: Path) -> None:
    """The first scale is that of the images: they have 0 and 16 of 16 levels, which noise has not."""
    quantise(trained, tmp_path, load_dataset("digits"), batch=None, seed=0)
    graph = onnx.load(str(tmp_path / INT8_MODEL)).graph
    first = next(node for node in graph.node if node.op_type == "QuantizeLinear" and node.input[0] == "images")
    scale = next(onnx.numpy_helper.to_array(each) for each in graph.initializer if each.name == first.input[1])
    (std,) = Normalisation.of(load_dataset("digits").train).std
    assert 255 * float(scale) == pytest.approx(1 / std, rel=1e-3)


def test_other_images_than_those_of_the_training_are_refused(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="was trained on other images than digits"):
        quantise(trained, tmp_path, load_dataset("digits", limit=120), batch=1, seed=0)
    assert not list(tmp_path.iterdir())


def test_a_training_of_an_older_version_says_what_it_lacks(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained, tmp_path / "old")
    path = tmp_path / "old" / "architecture.json"
    path.write_text(json.dumps({k: v for k, v in json.loads(path.read_text()).items() if k != "preprocessing"}))
    with pytest.raises(UsageError, match="does not tell how pixels are scaled"):
        quantise(tmp_path / "old", tmp_path / "out", load_dataset("digits"), batch=1, seed=0)


@pytest.mark.parametrize("batch", [1, 3, None])
def test_an_export_in_int8_has_everything(batch: int | None, trained: Path, tmp_path: Path) -> None:
    paths = export(trained, tmp_path / "out", batch=batch, calibration=load_dataset("digits"))
    assert [path.name for path in paths] == [*EXPORTED, INT8_MODEL]
    for name in ("model.onnx", INT8_MODEL):
        first = onnx.load(str(tmp_path / "out" / name)).graph.input[0].type.tensor_type.shape.dim[0]
        assert (first.dim_param, first.dim_value) == (("batch", 0) if batch is None else ("", batch))
    assert INT8_MODEL in (tmp_path / "out" / "infer.py").read_text()


def test_so_has_one_of_a_network_that_scales_its_images(tmp_path: Path) -> None:
    space, data = make_space("mobilenetv3"), load_dataset("digits")
    architecture = space.parse(" | ".join(["r50 w50", *["k3_e3 k3_e3"] * 5]))
    size = NetworkSize(input_shape=(1, 8, 8), outputs=10, width=16, depth=1)
    train_architecture(tmp_path / "mine", architecture, size, data, RECIPE, validation_share=0.2, seed=0)
    export(tmp_path / "mine", tmp_path / "out", batch=None, calibration=data)
    before = read_trained(tmp_path / "mine").accuracy_percent
    assert int8_of(tmp_path / "out").accuracy_percent == pytest.approx(before, abs=5)
    assert accuracy(tmp_path / "out" / INT8_MODEL) == pytest.approx(int8_of(tmp_path / "out").accuracy_percent)


@pytest.mark.parametrize("int8", [False, True])
def test_the_example_beside_an_export_names_what_the_model_names(int8: bool, trained: Path, tmp_path: Path) -> None:
    data = load_dataset("digits")
    export(trained, tmp_path / "out", calibration=data if int8 else None)
    for number, pixels in enumerate(data.test.pixels[:8]):
        Image.fromarray(pixels[0].numpy()).save(tmp_path / f"{number}.png")
    images = [str(tmp_path / f"{number}.png") for number in range(8)]
    command = [sys.executable, "-I", str(tmp_path / "out" / "infer.py"), *images]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    path = tmp_path / "out" / (INT8_MODEL if int8 else "model.onnx")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    prepared = Normalisation.of(data.train)(data.test.pixels[:8]).numpy()
    named = [data.class_names[session.run(None, {"images": image[None]})[0].argmax()] for image in prepared]
    assert [line.split()[1] for line in answer.stdout.splitlines()] == named


@pytest.mark.parametrize("name", ["onnxruntime-cpu", "openvino-cpu"])
def test_a_device_runs_the_calibrated_file_of_an_architecture(name: str, trained: Path, tmp_path: Path) -> None:
    if device_class(name).unavailable() is not None:
        pytest.skip(f"{name} is not on this machine")
    quantise(trained, tmp_path, load_dataset("digits"), batch=2, seed=0)
    device = make_device(name, CpuConfig(batch=2, dtype="int8"))
    runner: Any = device.prepare(ARCHITECTURE, SIZE, weights=tmp_path / INT8_MODEL)
    feeds = read_onnx(tmp_path / INT8_MODEL).feeds(2)
    session = onnxruntime.InferenceSession(str(tmp_path / INT8_MODEL), providers=["CPUExecutionProvider"])
    (expected,) = session.run(None, feeds)
    got = runner._logits(runner._run())
    assert np.corrcoef(got.ravel(), expected.ravel())[0, 1] > 0.99
    assert name == "openvino-cpu" or np.array_equal(got, expected)
    runner.close()
    with pytest.raises(DataError, match=r"takes examples of \(1, 8, 8\), not of \(1, 16, 16\)"):
        device.prepare(
            ARCHITECTURE, SIZE.model_copy(update={"input_shape": (1, 16, 16)}), weights=tmp_path / INT8_MODEL
        )
    with pytest.raises(UsageError, match="takes a batch of 2 and no other"):
        make_device(name, CpuConfig(dtype="int8")).prepare(ARCHITECTURE, SIZE, weights=tmp_path / INT8_MODEL)


# ---- a whole run

SETTINGS: Mapping[str, Any] = {
    "networks": 16,
    "data_limit": 300,
    "baseline": False,
    "latency_weight": 0.0,
    "limit_ms": 1000.0,
}


@pytest.fixture(scope="module")
def int8_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run on ONNX Runtime in int8, as small as it can be; tests must not change it."""
    names = {"space": "nasbench201", "device": "onnxruntime-cpu", "predictor": "lookup", "searcher": "darts"}
    base = make_preset("digits-cpu", names)
    searcher = base.searcher_config.model_copy(update={"epochs": 1, "warmup_epochs": 0, "width": 4, "depth": 1})
    changes = {
        **SETTINGS,
        "size": NetworkScale(width=4, depth=1),
        "plan": base.plan.model_copy(update={"rounds": 2, "max_rounds": 2, "rebuild_every": 0}),
        "searcher_config": searcher,
        "recipe": base.recipe.model_copy(update={"epochs": 2}),
        "device_config": CpuConfig(dtype="int8", batch=2),
    }
    run = Run.create(tmp_path_factory.mktemp("runs") / "int8", base.model_copy(update=changes), command="chronas run")
    execute(run)
    return run


def test_a_run_in_int8_writes_the_file_that_it_tested(int8_run: Run) -> None:
    own = int8_run.folder / "networks" / "limit"
    assert (int8_run.folder / INT8_MODEL).read_bytes() == (own / INT8_MODEL).read_bytes()
    (network,) = show(int8_run).networks
    trained = read_trained(own)
    assert trained.int8 is not None
    assert network.accuracy_percent == trained.int8.accuracy_percent
    assert network.float32_accuracy_percent == trained.accuracy_percent
    assert network.confusion is not None and network.confusion.accuracy_percent == pytest.approx(
        network.accuracy_percent
    )
    assert set(map(str, export_own(int8_run))) == {str(int8_run.folder / name) for name in (*EXPORTED, INT8_MODEL)}


def test_it_measures_that_file_at_the_end_and_holds_the_limit_by_it(
    int8_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(int8_run.folder, tmp_path / "copy")
    copy = Run.open(tmp_path / "copy")
    copy.set_aside("final.sqlite", "report.html")
    seen: list[tuple[str, bytes | None]] = []
    prepare = type(copy.device)._prepare  # type: ignore[attr-defined]

    def spied(self: Any, model: Model) -> Any:
        seen.append((model.name, None if model.file is None else model.file.fixed(2)))
        return prepare(self, model)

    monkeypatch.setattr(type(copy.device), "_prepare", spied)
    report = execute(copy)
    (network,) = report.networks
    measured = [content for name, content in seen if name.endswith(f"|{network.architecture}") and content is not None]
    assert measured and all(Model.of(  # the campaign's reference network has no file of its own
        copy.space.parse(network.architecture), copy.size, copy.folder / INT8_MODEL
    ).onnx(2) == content for content in measured)  # fmt: skip
    assert report.verdict.met is True
    assert network.latency.value == read_journal(copy.folder / "final.sqlite").latencies()[network.architecture].value


def test_the_report_and_the_answer_show_both_accuracies(int8_run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    (network,) = show(int8_run).networks
    int8, before = f"{network.accuracy_percent:.2f} %", f"{network.float32_accuracy_percent:.2f} %"
    page = (int8_run.folder / "report.html").read_text()
    assert f"{int8} test accuracy in int8 ({before} in float32" in page
    images = int8_of(int8_run.folder / "networks" / "limit").calibration_images
    assert "Test accuracy in int8" in page and f"quantised to int8 on {images} training images" in page
    assert main(["report", str(int8_run.folder)]) == 0
    said = capsys.readouterr().out
    assert "int8 accuracy %" in said and f"{int8} test accuracy in int8 ({before} in float32" in said
    assert main(["report", str(int8_run.folder), "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["networks"]
    assert (row["accuracy_percent"], row["float32_accuracy_percent"]) == (
        network.accuracy_percent,
        network.float32_accuracy_percent,
    )


def test_it_says_whether_int8_pays(int8_run: Run) -> None:
    (network,) = show(int8_run).networks
    share = network.int8_latency_share
    assert share is not None and share > 0
    words = verdict_on([network], network.name, {}, 60)
    assert f"in int8 it takes {share:.2f} times its latency in float32" in words.text
    for other, warned in ((0.8, False), (1.7, True)):
        found = verdict_on([replace(network, int8_latency_share=other)], network.name, {}, 60)
        assert any("int8 does not pay here" in each and f"{other:.2f}" in each for each in found.warnings) == warned
    both = int8_run.folder / "networks" / "limit" / "both_dtypes.json"
    before = both.stat().st_mtime_ns
    execute(int8_run)
    assert both.stat().st_mtime_ns == before, "it is measured once"


def test_a_killed_quantisation_is_done_again_with_the_same_bytes(int8_run: Run, tmp_path: Path) -> None:
    shutil.copytree(int8_run.folder, tmp_path / "copy")
    copy = Run.open(tmp_path / "copy")
    own = copy.folder / "networks" / "limit"
    before = (own / INT8_MODEL).read_bytes()
    (own / "int8.json").unlink()
    (own / INT8_MODEL).write_bytes(b"half")
    (copy.folder / INT8_MODEL).unlink()
    execute(copy)
    assert (own / INT8_MODEL).read_bytes() == before == (copy.folder / INT8_MODEL).read_bytes()


# ---- the command line


def test_export_makes_int8_of_a_training_or_a_run(
    trained: Path, copied: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "training"
    line = ["export", "--network", str(trained), "--dtype", "int8", "--batch", "dynamic", "--out", str(out)]
    assert main(line) == 2
    assert "give --data" in capsys.readouterr().err and not out.exists()
    assert main([*line, "--data", "digits"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[:-1] == [str(out / name) for name in (*EXPORTED, INT8_MODEL)]
    before = read_trained(trained).accuracy_percent
    assert said[-1] == f"test accuracy {int8_of(out).accuracy_percent:.2f} % in int8, {before:.2f} % in float32"

    of_run = tmp_path / "run"
    assert main(["export", str(copied.folder), "--dtype", "int8", "--out", str(of_run), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (
        answer["files"][-1] == str(of_run / INT8_MODEL)
        and answer["accuracy_percent"] == int8_of(of_run).accuracy_percent
    )
    assert not (copied.folder / INT8_MODEL).exists(), "the run itself is in float32"
    network = ["--network", str(copied.folder / "networks" / "random")]
    for flags in (["--network", str(trained)], [*network, "--dtype", "int8"]):
        for images in (["--data", "digits"], ["--image-size", "8"]):
            assert main(["export", *flags, *images, "--out", str(tmp_path / "x")]) == 2, "every option acts"
    assert not (tmp_path / "x").exists()
    assert main(["export", *network, "--dtype", "int8", "--out", str(tmp_path / "random")]) == 0, "with the run's data"


def int8_of(folder: Path) -> Int8Result:
    found = read_int8(folder)
    assert found is not None
    return found


def test_the_warning_of_a_large_loss_says_what_would_help(int8_run: Run) -> None:
    network = replace(show(int8_run).networks[0], int8_latency_share=None)
    for loss, warned in ((0.9, False), (1.1, True), (-2.0, False)):
        other = replace(network, accuracy_percent=70.0, float32_accuracy_percent=70.0 + loss, still_learning=False)
        words = " ".join(verdict_on([other], other.name, {}, 60).warnings)
        assert (f"int8 costs {loss:.2f} points of accuracy" in words) == warned
        assert ("--device.dtype float32" in words) == warned
