"""Networks of the user side by side: files, functions, modules and what chronas found, with accuracies."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import nn

import chronas
from chronas.data import load_dataset
from chronas.errors import ChronasError, DataError, DeviceError, UsageError
from chronas.measurement import Plan
from chronas.runs import Run, confusion_of, read_network, read_trained

PLAN = Plan(rounds=2, max_rounds=2, repeats=2, warmup=1, priority="normal")
SOURCE = """
import torch
from beside import Doubled
from torch import nn

def make():
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(144, 10), Doubled())

def broken():
    raise RuntimeError("no weights here")

def pair():
    return 3
"""
BESIDE = """
from torch import nn

class Doubled(nn.Module):
    def forward(self, x):
        return 2 * x
"""


@pytest.fixture
def mine(tmp_path: Path) -> str:
    (tmp_path / "mine.py").write_text(SOURCE)
    (tmp_path / "beside.py").write_text(BESIDE)
    return str(tmp_path / "mine.py")


def test_all_kinds_of_networks_are_on_one_plane(finished: Run, mine: str) -> None:
    sources = [str(finished.folder / "model.onnx"), str(finished.folder), f"{mine}:make"]
    found = chronas.compare(sources, "onnxruntime-cpu", input_shape=(1, 8, 8), data="digits", plan=PLAN, progress=False)
    frame = found.frame
    assert set(frame["network"]) == set(sources) and frame["latency_ms"].is_sorted() and frame["latency_ms"].min() > 0
    by_name = {row["network"]: row for row in frame.to_dicts()}
    own = read_trained(finished.folder / "networks" / finished.role, finished.space)
    for source in sources[:2]:
        assert by_name[source]["accuracy"] == pytest.approx(own.accuracy_percent, abs=0.3)
        assert by_name[source]["macs"] == own.macs
    assert by_name[sources[1]]["parameters"] == own.parameters
    assert by_name[sources[2]]["parameters"] == 4 * 9 + 4 + 144 * 10 + 10
    assert "MACs" in found._repr_html_() and sources[0] in repr(found)
    assert list(found.to_pandas().columns) == frame.columns


def test_each_device_has_a_row_and_says_what_it_does_not_run(finished: Run, mine: str) -> None:
    file = str(finished.folder / "model.onnx")
    devices = ["onnxruntime-cpu", "eager-cpu"]
    found = chronas.compare([file, f"{mine}:make"], devices, input_shape=(1, 8, 8), plan=PLAN, progress=False)
    refused = [(each.network, each.device) for each in found.rows if each.latency is None]
    assert refused == [(file, "eager-cpu")] and len(found.rows) == 4
    assert "takes networks of PyTorch, not the ONNX file" in str(found.rows[-1].why_not)
    with pytest.raises(DeviceError, match="takes networks of PyTorch, not the ONNX file"):
        chronas.compare([file], "eager-cpu", plan=PLAN, progress=False)


def test_equal_networks_are_equally_fast_on_an_exact_device() -> None:
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3))
    found = chronas.compare({"a": module, "b": module}, "simulated", input_shape=(3, 16, 16), progress=False)
    first, second = (each.latency for each in found.rows)
    assert first is not None and second is not None and first.value == pytest.approx(second.value, rel=0.02)
    larger = nn.Sequential(nn.Conv2d(3, 64, 3), nn.ReLU(), nn.Conv2d(64, 64, 3))
    found = chronas.compare({"large": larger, "small": module}, "simulated", input_shape=(3, 16, 16), progress=False)
    assert [each.network for each in found.rows] == ["small", "large"]


def test_memory_and_energy_are_shown_where_they_are_known() -> None:
    small = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3))
    large = nn.Sequential(nn.Conv2d(3, 64, 3), nn.ReLU(), nn.Conv2d(64, 64, 3))
    networks = {"small": small, "large": large}
    exact = chronas.compare(networks, "simulated", input_shape=(3, 64, 64), plan=PLAN, progress=False)
    assert all(each.costs["energy_mj"] > 0 for each in exact.rows) and "peak_memory_mib" not in exact.rows[0].costs
    assert exact.frame["energy_mj"].is_sorted() and exact.frame["peak_memory_mib"].null_count() == 2
    if sys.platform == "linux":
        found = chronas.compare(networks, input_shape=(3, 128, 128), plan=PLAN, progress=False)
        memory = {each.network: each.costs["peak_memory_mib"] for each in found.rows}
        images = 4 * 64 * (126**2 + 124**2) / 2**20  # the large network's feature maps in float32
        assert memory["large"] > memory["small"] > 0 and memory["large"] > images
        assert "peak memory MiB" in found.columns()[0] and "peak memory" in found._repr_html_()


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's counter of peak memory is Linux's")
def test_memory_is_known_of_modules_of_ones_own_files_and_of_exported_programs(mine: str, tmp_path: Path) -> None:
    program = str(tmp_path / "program.pt2")
    module = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10)).eval()
    torch.export.save(torch.export.export(module, (torch.zeros(1, 1, 8, 8),)), program)
    devices = ["onnxruntime-cpu", "eager-cpu"]
    found = chronas.compare([program, f"{mine}:make"], devices, input_shape=(1, 8, 8), plan=PLAN, progress=False)
    known = {(each.network, each.device): each for each in found.rows}
    for network in (program, f"{mine}:make"):
        assert known[network, "onnxruntime-cpu"].costs["peak_memory_mib"] > 0
        each = known[network, "eager-cpu"]  # which runs the module itself, in another process
        assert ("peak_memory_mib" in each.costs) != ("process that measures memory" in str(each.unknown))


def test_classes_in_another_order_are_put_right_and_other_classes_are_refused(finished: Run, tmp_path: Path) -> None:
    data = load_dataset("digits", limit=100)
    proto = onnx.load(finished.folder / "model.onnx")
    expected = confusion_of(read_network(str(finished.folder / "model.onnx")), data).counts
    (names,) = (each for each in proto.metadata_props if each.key == "class_names")
    order = [3, 0, 1, 2, 4, 5, 6, 7, 8, 9]
    last = next(node for node in proto.graph.node if node.output[0] == proto.graph.output[0].name)
    weights = {each.name: each for each in proto.graph.initializer}
    for name in last.input[1:]:
        turned = onnx.numpy_helper.to_array(weights[name])
        axis = turned.shape.index(10)
        weights[name].CopyFrom(onnx.numpy_helper.from_array(np.take(turned, order, axis=axis), name))
    names.value = str([str(each) for each in order]).replace("'", '"')
    onnx.save(proto, tmp_path / "turned.onnx")
    assert confusion_of(read_network(str(tmp_path / "turned.onnx")), data).counts == expected
    names.value = str([f"class {each}" for each in order]).replace("'", '"')
    onnx.save(proto, tmp_path / "other.onnx")
    with pytest.raises(UsageError, match="trained on other classes than the data's"):
        confusion_of(read_network(str(tmp_path / "other.onnx")), data)


class Means(nn.Module):
    """Names class 1 where the mean of the scaled pixels is above zero."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        mean = images.mean(dim=(1, 2, 3))
        return torch.stack([-mean, mean], dim=1)


def test_pixels_are_scaled_as_told(tmp_path: Path) -> None:
    pixels = np.zeros((40, 8, 8), np.uint8)
    pixels[1::2] = 100
    np.savez(tmp_path / "grey.npz", images=pixels, labels=np.arange(40) % 2)

    def accuracy(**scaling: Any) -> float:
        found = chronas.compare(
            {"means": Means()}, "eager-cpu", input_shape=(1, 8, 8), data=tmp_path / "grey.npz", plan=PLAN,
            progress=False, **scaling,
        )  # fmt: skip
        (right,) = (each.confusion for each in found.rows)
        assert right is not None
        return right.accuracy_percent

    assert accuracy(mean=(0.2,), std=(0.1,)) == 100.0
    assert accuracy(mean=(0.5,)) == 50.0


CASES: dict[str, tuple[Callable[[str], object], type[ChronasError], str]] = {
    "none": (lambda mine: chronas.compare([]), UsageError, "at least one network"),
    "one text": (lambda mine: chronas.compare("a.onnx"), UsageError, "networks should be"),
    "twice": (lambda mine: chronas.compare([mine + ":make"] * 2, input_shape=(1, 8, 8)), UsageError, "given twice"),
    "device twice": (
        lambda mine: chronas.compare([mine + ":make"], ["simulated", "simulated"], input_shape=(1, 8, 8)),
        UsageError, "each device should be given once",
    ),
    "no shape": (lambda mine: read_network(mine + ":make"), UsageError, "--input-shape 3 224 224"),
    "no function": (lambda mine: read_network(mine), UsageError, "needs the name of a function"),
    "wrong function": (lambda mine: read_network(mine + ":mak", (1, 8, 8)), UsageError, "has no function 'mak'.*make"),
    "broken": (
        lambda mine: read_network(mine + ":broken", (1, 8, 8)), UsageError, r"ended \(RuntimeError: no weights here\)"
    ),
    "no module": (lambda mine: read_network(mine + ":pair", (1, 8, 8)), UsageError, "should return a torch.nn.Module"),
    "no file": (lambda mine: read_network("there.py:make", (1, 8, 8)), DataError, "there is no file there.py"),
    "no onnx": (lambda mine: read_network("there.onnx"), DataError, "cannot read there.onnx"),
    "weights": (lambda mine: read_network("there.pth"), UsageError, "holds weights, and no network"),
    "folder": (lambda mine: read_network(str(Path(mine).parent)), DataError, "has no trained network"),
    "shape": (
        lambda mine: chronas.compare([mine + ":make"], input_shape=(3, 8, 8), progress=False), UsageError, "input"
    ),
    "other images": (
        lambda mine: chronas.compare({"a": nn.Conv2d(3, 3, 3)}, input_shape=(3, 8, 8), data="digits", progress=False),
        UsageError, "takes examples of 3 x 8 x 8, the data has 1 x 8 x 8",
    ),
    "other outputs": (
        lambda mine: chronas.compare({"a": nn.Conv2d(1, 3, 3)}, input_shape=(1, 8, 8), data="digits", progress=False),
        UsageError, "gives 3 x 6 x 6 numbers for an image, but the data has 10 classes",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_what_cannot_be_compared_is_said_in_one_line(name: str, mine: str) -> None:
    call, kind, message = CASES[name]
    with pytest.raises(kind, match=message) as caught:
        call(mine)
    assert "\n" not in str(caught.value)
