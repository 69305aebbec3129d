from __future__ import annotations

import json
import runpy
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnxruntime import InferenceSession

from chronas.data import Normalisation, load_dataset
from chronas.errors import ChronasError, DataError, MismatchError
from chronas.networks import Preprocessing, build, count, load_state, write_onnx
from chronas.runs import (
    EXPORTED,
    Run,
    check_onnx,
    export,
    export_own,
    measure_found,
    read_architecture,
    read_choices,
    read_preprocessing,
    read_trained,
    train_architecture,
    train_network,
    write_architecture,
)
from chronas.runs.summary import asked
from chronas.spaces import NetworkSize, make_space
from chronas.training import Recipe, make_recipe
from tiny_run import tiny_config

SPACE = make_space("nasbench201")
FIRST, SECOND = SPACE.sample(2, 3)
SIZE = NetworkSize(input_shape=(1, 8, 8), outputs=10, width=4, depth=1)
RECIPE = make_recipe("digits-small").model_copy(update={"epochs": 1})


def train(
    folder: Path, architecture=FIRST, size: NetworkSize = SIZE, recipe: Recipe = RECIPE, seed: int = 0, limit=100
) -> None:  # type: ignore[no-untyped-def]
    data = load_dataset("digits", limit=limit)
    train_architecture(folder, architecture, size, data, recipe, validation_share=0.2, seed=seed)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished training; tests must not change it."""
    folder = tmp_path_factory.mktemp("training") / "mine"
    train(folder)
    return folder


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_training_tells_what_it_is_of_and_what_it_gave(trained: Path) -> None:
    found = read_trained(trained)
    assert (found.role, found.architecture, found.size) == ("mine", FIRST, SIZE)
    counts = count(build(FIRST, SIZE), SIZE.input_shape)
    assert (found.macs, found.parameters) == (counts.macs, counts.parameters)
    assert 0 <= found.accuracy_percent <= 100
    assert found.training_s > 0


@pytest.mark.parametrize(
    "other",
    [
        {"architecture": SECOND},
        {"size": SIZE.model_copy(update={"width": 6})},
        {"seed": 1},
        {"recipe": RECIPE.model_copy(update={"epochs": 2})},
        {"recipe": RECIPE.model_copy(update={"learning_rate": 0.05})},
        {"limit": 120},
    ],
)
def test_another_training_in_the_same_folder_is_refused_and_changes_nothing(
    other: dict[str, object], trained: Path
) -> None:
    before = content(trained)
    with pytest.raises(MismatchError, match="another"):
        train(trained, **other)  # type: ignore[arg-type]
    assert content(trained) == before


def test_the_same_training_again_gives_the_same(trained: Path) -> None:
    before = read_trained(trained)
    train(trained)
    assert read_trained(trained) == before


def test_an_architecture_file_reads_back(tmp_path: Path) -> None:
    write_architecture(tmp_path / "a.json", SECOND, SIZE)
    assert read_architecture(tmp_path / "a.json") == (SECOND, SIZE)


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("space", "darst", "of space 'darst'"),
        ("architecture", "|nor_conv|", "expected three nodes"),
        ("size", {"width": 0}, r"damaged \(size\.width"),
    ],
)
def test_an_architecture_file_that_does_not_fit_is_one_line(
    field: str, value: object, expected: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.json"
    write_architecture(path, FIRST, SIZE)
    path.write_text(json.dumps({**json.loads(path.read_text()), field: value}))
    with pytest.raises(ChronasError, match=expected):
        read_architecture(path)


@pytest.mark.parametrize("batch", [1, 3])
def test_an_export_is_whole_and_has_the_batch(batch: int, trained: Path, tmp_path: Path) -> None:
    paths = export(trained, tmp_path / "deep" / "exported", batch=batch)
    assert [path.name for path in paths] == list(EXPORTED)
    shape = onnx.load(str(paths[1])).graph.input[0].type.tensor_type.shape
    assert [each.dim_value for each in shape.dim] == [batch, 1, 8, 8]
    tensors, said = load_state(paths[0])
    assert said == {"architecture": str(FIRST), "space": "nasbench201"}
    network = build(FIRST, SIZE)
    network.load_state_dict(tensors)
    assert check_onnx(paths[1], network.eval(), (batch, 1, 8, 8)) <= 1e-4


def test_the_exported_files_alone_classify_raw_pixels_as_training_did(trained: Path, tmp_path: Path) -> None:
    """Who deploys has uint8 images and wants a class: scale and names are in each file that may travel alone."""
    model_py = export(trained, tmp_path / "exported", batch=359)[2]
    data = load_dataset("digits", limit=100)
    pixels, names = data.test.pixels, data.class_names
    assert len(pixels) == 359
    module = runpy.run_path(str(model_py))
    assert module["CLASSES"] == names
    prepared = module["prepared"](pixels)
    assert torch.equal(prepared, Normalisation.of(data.train)(pixels))
    with torch.no_grad():
        logits = module["network"](tmp_path / "exported" / "model.safetensors")(prepared)
    right = 100.0 * float((logits.argmax(dim=1) == data.test.labels).double().mean())
    assert right == pytest.approx(read_trained(trained).accuracy_percent)

    session = InferenceSession(str(tmp_path / "exported" / "model.onnx"), providers=["CPUExecutionProvider"])
    said = {key: json.loads(text) for key, text in session.get_modelmeta().custom_metadata_map.items()}
    mean, std = (np.array(said[key], dtype=np.float32).reshape(-1, 1, 1) for key in ("mean", "std"))
    (answer,) = session.run(None, {"images": (pixels.numpy().astype(np.float32) / 255 - mean) / std})
    assert [said["class_names"][n] for n in answer.argmax(axis=1)] == [names[n] for n in logits.argmax(dim=1).tolist()]

    preprocessing = read_preprocessing(tmp_path / "exported" / "architecture.json")
    assert preprocessing == Preprocessing(tuple(said["mean"]), tuple(said["std"]), names)
    assert read_preprocessing(trained / "architecture.json") == preprocessing


def test_a_training_of_an_older_version_is_exported_without_what_it_did_not_keep(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained, tmp_path / "old")
    path = tmp_path / "old" / "architecture.json"
    path.write_text(json.dumps({k: v for k, v in json.loads(path.read_text()).items() if k != "preprocessing"}))
    assert read_preprocessing(path) is None
    _, onnx_path, model_py, _ = export(tmp_path / "old", tmp_path / "exported")
    assert not onnx.load(str(onnx_path)).metadata_props
    assert "prepared" not in runpy.run_path(str(model_py))
    with pytest.raises(MismatchError, match="of other images|another"):
        train(tmp_path / "old", limit=120)
    assert read_preprocessing(path) is None, "what other images say is not taken for this training's"
    train(tmp_path / "old")
    assert read_preprocessing(path) == read_preprocessing(trained / "architecture.json")
    assert "normalised as in training" in model_py.read_text()


def test_an_onnx_file_of_other_weights_is_not_usable(tmp_path: Path) -> None:
    write_onnx(tmp_path / "m.onnx", build(FIRST, SIZE, seed=1).eval(), SIZE.input_shape)
    with pytest.raises(DataError, match=r"differs from PyTorch by .* relative, more than 1e-04: not usable"):
        check_onnx(tmp_path / "m.onnx", build(FIRST, SIZE, seed=0).eval(), (1, 1, 8, 8))


def test_outputs_that_are_not_numbers_are_not_usable(tmp_path: Path) -> None:
    network = build(FIRST, SIZE).eval()
    write_onnx(tmp_path / "m.onnx", network, SIZE.input_shape)
    with torch.no_grad():
        next(network.parameters()).fill_(float("nan"))
    with pytest.raises(DataError, match="differs from PyTorch by nan"):
        check_onnx(tmp_path / "m.onnx", network, (1, 1, 8, 8))


def test_a_folder_without_a_finished_training_is_not_exported(trained: Path, tmp_path: Path) -> None:
    write_architecture(tmp_path / "half" / "architecture.json", FIRST, SIZE)
    with pytest.raises(DataError, match="holds no trained network: train one with `chronas train` first"):
        export(tmp_path / "half", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_run_exports_once_and_makes_what_is_missing(copied: Run) -> None:
    before = {path: path.stat().st_mtime_ns for path in export_own(copied)}
    assert {path: path.stat().st_mtime_ns for path in export_own(copied)} == before
    whole = {path: path.read_bytes() for path in before}
    (copied.folder / "model.onnx").unlink()
    export_own(copied)
    assert {path: path.read_bytes() for path in before} == whole


def test_a_run_that_is_not_trained_says_which_step_comes_first(copied: Run) -> None:
    copied.set_aside(*EXPORTED, "networks/latency-term/result.json")
    with pytest.raises(DataError, match=f"run `chronas train {copied.folder}` first"):
        export_own(copied)


def test_found_networks_are_measured_together_once(copied: Run) -> None:
    (copied.folder / "final.sqlite").unlink()
    told: list[tuple[int, int]] = []
    measure_found(copied, read_choices(copied), lambda step, done, total, note: told.append((done, total)))
    assert told[-1] == (48, 48)  # four networks, twelve rounds
    told.clear()
    measure_found(copied, read_choices(copied), lambda step, done, total, note: told.append((done, total)))
    assert not [done for done, total in told if 0 < done < total]


def test_a_result_is_of_the_folder_it_lies_in(finished: Run) -> None:
    own = read_trained(finished.folder / "networks" / "random")
    assert own.role == "random"
    assert replace(own, role="x") != own


def test_an_onnx_file_that_computes_something_else_is_not_kept(
    copied: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other(path: Path, network: torch.nn.Module, shape: tuple[int, ...]) -> float:
        raise DataError(f"{path} differs from PyTorch")

    monkeypatch.setattr("chronas.runs.exported.check_onnx", other)
    with pytest.raises(DataError, match="differs from PyTorch"):
        export(copied.folder / "networks" / copied.role, tmp_path / "exported")
    assert not (tmp_path / "exported" / "model.onnx").exists()


def test_a_run_trains_for_its_budget_and_reports_it(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", tiny_config(space="nasbench201", train_steps=3), command="x")
    told: list[str] = []
    trained = train_network(run, "latency-term", FIRST, lambda step, *_: told.append(step))
    assert trained.steps == 3 and told == ["train latency-term"] * 3
    assert asked(run)["training"] == "3 steps, batch 64"
    assert run.config.length_flag == "--train-steps, now 3"
    timed = Run.create(tmp_path / "timed", tiny_config(space="nasbench201", train_minutes=1e-6), command="x")
    told.clear()
    assert train_network(timed, "latency-term", FIRST, lambda step, *_: told.append(step)).steps == 1
    assert told == ["plan training latency-term", "train latency-term"]
    assert Run.open(timed.folder).config.length_flag == "--train-minutes, now 1e-06"
