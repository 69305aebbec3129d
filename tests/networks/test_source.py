from __future__ import annotations

import ast
import dataclasses
import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from chronas.errors import DataError, UsageError
from chronas.networks import Preprocessing, build, load_state, save_state, write_source
from chronas.spaces import Architecture, NetworkSize, make_space

CASES = [
    ("darts", NetworkSize(input_shape=(3, 17, 14), outputs=5, width=6, depth=4)),
    ("darts", NetworkSize(input_shape=(2, 64, 64), outputs=3, width=4, depth=3, stem="imagenet")),
    ("nasbench201", NetworkSize(input_shape=(3, 9, 16), outputs=4, width=4, depth=1)),
    ("fbnet", NetworkSize(input_shape=(3, 33, 20), outputs=4, width=4, depth=1, stem="imagenet")),
]
SINGLE_PROCESS = """
import importlib.util, json, sys
import torch
answers = []
for folder in sys.argv[1:]:
    specification = importlib.util.spec_from_file_location("model", folder + "/model.py")
    model = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(model)
    images = model.read_safetensors(folder + "/images.safetensors")["images"]
    network = model.network(folder + "/model.safetensors")
    assert not network.training and not model.network().training
    with torch.no_grad():
        answers.append(network(images).tolist())
foreign = {"chronas", "safetensors", "pydantic", "onnx"} & {name.partition(".")[0] for name in sys.modules}
print(json.dumps({"answers": answers, "foreign": sorted(foreign)}))
"""


def architecture(space: str) -> Architecture:
    return make_space(space).sample(1, seed=4)[0]


def test_the_file_alone_gives_the_same_logits_without_chronas(tmp_path: Path) -> None:
    folders, expected = [], []
    for number, (space, size) in enumerate(CASES):
        folder = tmp_path / str(number)
        network = build(architecture(space), size, seed=number, auxiliary=True)
        images = torch.randn(8, *size.input_shape, generator=torch.Generator().manual_seed(number))
        network.train()(images)
        save_state(folder / "model.safetensors", network.state_dict(), {"note": "with the auxiliary head's weights"})
        save_state(folder / "images.safetensors", {"images": images}, {})
        write_source(folder / "model.py", architecture(space), size)
        folders.append(str(folder))
        with torch.no_grad():
            expected.append(network.eval()(images))
    command = [sys.executable, "-I", "-c", SINGLE_PROCESS, *folders]
    output = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert output["foreign"] == []
    for got, logits in zip(output["answers"], expected, strict=True):
        assert torch.allclose(torch.tensor(got), logits, rtol=1e-6, atol=1e-6)


def interface_of(size: NetworkSize, classes: int) -> Preprocessing:
    """Long numbers, and names as folders may have them."""
    channels = size.input_shape[0]
    names = ('a "quoted" name', "naïve\\n", "x" * 130, *map(str, range(classes)))[:classes]
    return Preprocessing((0.4914008984375,) * channels, (1.0 / 3.0,) * channels, names)


@pytest.mark.parametrize("classes", [None, 2, 100])
@pytest.mark.parametrize(("space", "size"), CASES)
def test_the_file_reads_well(space: str, size: NetworkSize, classes: int | None, tmp_path: Path) -> None:
    path = tmp_path / "model.py"
    preprocessing = None if classes is None else interface_of(size, classes)
    write_source(path, architecture(space), size, preprocessing)
    if preprocessing is not None:
        module = runpy.run_path(str(path))
        assert (module["MEAN"], module["STD"], module["CLASSES"]) == (*dataclasses.astuple(preprocessing),)
    settings = ["--isolated", "--line-length", "120", "--target-version", "py311"]
    checks = [
        ["check", "--select", "E,W,F,I,B,UP,D1,RET,ERA", "--ignore", "D107,E501" if classes == 100 else "D107"],
        ["format", "--check"],
    ]
    for check in checks:
        command = [sys.executable, "-m", "ruff", *check, *settings, str(path)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout
    documentation = str(ast.get_docstring(ast.parse(path.read_text())))
    assert make_space(space).parse(documentation.split("\n\n")[1].replace("\n", " ")) == architecture(space)
    assert str(size) in documentation


def test_operations_that_the_architecture_lacks_are_left_out(tmp_path: Path) -> None:
    text = (
        "Genotype(normal=[('skip_connect', 0), ('skip_connect', 1), ('skip_connect', 0), ('skip_connect', 1), "
        "('skip_connect', 0), ('skip_connect', 1), ('skip_connect', 0), ('dil_conv_5x5', 1)], "
        "normal_concat=range(2, 6), reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('max_pool_3x3', 0), "
        "('max_pool_3x3', 1), ('max_pool_3x3', 0), ('max_pool_3x3', 1), ('max_pool_3x3', 0), ('max_pool_3x3', 1)], "
        "reduce_concat=range(2, 6))"
    )
    path = tmp_path / "model.py"
    write_source(path, make_space("darts").parse(text), CASES[0][1])
    source = path.read_text()
    assert "class DilConv5x5(DilatedConv)" in source
    assert "class MaxPool3x3" in source
    for absent in ("SepConv", "SeparableConv", "DilConv3x3", "AvgPool3x3", "NorConv", "chronas.", "import chronas"):
        assert absent not in source


def test_weights_of_another_network_and_an_impossible_skeleton_are_refused(tmp_path: Path) -> None:
    space, size = CASES[0]
    write_source(tmp_path / "model.py", architecture(space), size)
    module = runpy.run_path(str(tmp_path / "model.py"))
    other = build(architecture(space), size.model_copy(update={"width": 8}))
    save_state(tmp_path / "other.safetensors", other.state_dict(), {})
    with pytest.raises(RuntimeError, match="size mismatch"):
        module["network"](tmp_path / "other.safetensors")
    with pytest.raises(UsageError, match="stem"):
        write_source(tmp_path / "b.py", architecture("nasbench201"), size.model_copy(update={"stem": "imagenet"}))
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot write"):
        write_source(tmp_path / "file" / "model.py", architecture(space), size)
    assert load_state(tmp_path / "other.safetensors")[0].keys() == other.state_dict().keys()
