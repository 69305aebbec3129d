"""ONNX files for any batch: the first axis has a name, and the outputs are PyTorch's at several batches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from chronas.devices import CpuConfig, device_class
from chronas.errors import DataError
from chronas.networks import build, onnx_bytes, quantised, read_onnx, write_onnx
from chronas.runs import check_onnx, export_network
from chronas.spaces import NetworkSize, make_space

SHAPE = (3, 16, 16)
SCALED = (3, 48, 48)  # images that a network halves
ZEROS = "|none~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|none~2|"  # a cell with steps that give zeros


def network_of(space: str, seed: int = 3) -> nn.Module:
    size = NetworkSize(input_shape=SHAPE, outputs=7, width=16, depth=3, stem=make_space(space).topology.stems[0])
    return build(make_space(space).sample(1, seed=seed)[0], size).eval()


def zeros() -> nn.Module:
    size = NetworkSize(input_shape=SHAPE, outputs=7, width=4, depth=1)
    return build(make_space("nasbench201").parse(ZEROS), size).eval()


def shuffled() -> nn.Module:
    layers = (nn.Conv2d(3, 8, 3), nn.ChannelShuffle(2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 7))
    return nn.Sequential(*layers).eval()


def by_the_exporter() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.Hardswish(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 7)
    ).eval()


def scaling(space: str) -> nn.Module:
    """A network that scales its images by half."""
    text = str(make_space(space).sample(1, seed=1)[0]).partition(" | ")[2]
    size = NetworkSize(input_shape=SCALED, outputs=7, width=16, depth=1, stem="small")
    return build(make_space(space).parse(f"r50 w50 | {text}"), size).eval()


NETWORKS = {
    **{space: lambda space=space: network_of(space) for space in ("darts", "nasbench201", "fbnet")},
    "zeros": zeros,
    "shuffled": shuffled,
}


def outputs(model: bytes, images: Tensor) -> np.ndarray:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    found: np.ndarray = session.run(None, {"images": images.numpy()})[0]
    return found


def check(model: bytes, network: nn.Module, shape: tuple[int, ...] = SHAPE) -> None:
    ends = [onnx.load_from_string(model).graph.input[0], onnx.load_from_string(model).graph.output[0]]
    assert [end.type.tensor_type.shape.dim[0].dim_param for end in ends] == ["batch", "batch"]
    for batch in (1, 3, 8):
        images = torch.randn(batch, *shape, generator=torch.Generator().manual_seed(batch))
        with torch.no_grad():
            np.testing.assert_allclose(outputs(model, images), network(images).numpy(), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_file_for_any_batch_computes_what_pytorch_does(name: str) -> None:
    network = NETWORKS[name]()
    model = onnx_bytes(network, SHAPE, batch=None)
    check(model, network)
    assert model == onnx_bytes(network, SHAPE, batch=None), "the same bytes each time"


@pytest.mark.parametrize("space", ["mobilenetv3", "mobilenetv3-plain", "efficientnet-lite"])
def test_so_does_one_that_scales_its_images_and_its_int8_file(space: str, tmp_path: Path) -> None:
    network = scaling(space)
    plain = export_network(network, tmp_path, SCALED, batch=None)[1].read_bytes()
    check(plain, network, SCALED)
    images = torch.randn(24, *SCALED, generator=torch.Generator().manual_seed(0))
    int8 = quantised(plain, [{"images": part.numpy()} for part in images.split(8)])
    kinds = [node.op_type for node in onnx.load_from_string(int8).graph.node]
    assert "Resize" in kinds and "QuantizeLinear" in kinds
    assert not {"Relu", "Clip"} & set(kinds), "they are part of their convolutions"
    for batch in (1, 3):
        got, expected = outputs(int8, images[:batch]), outputs(plain, images[:batch])
        assert np.corrcoef(got.ravel(), expected.ravel())[0, 1] > 0.99


def test_a_clip_that_leaves_zero_out_stays_in_int8() -> None:
    images = {"images": np.random.default_rng(0).standard_normal((4, *SHAPE), dtype=np.float32)}
    for low, stays in ((0.0, False), (0.5, True)):
        plain = onnx.load_from_string(onnx_bytes(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU6()), SHAPE, batch=4))
        bound = next(node for node in plain.graph.node if node.op_type == "Clip").input[1]
        for each in plain.graph.initializer:
            if each.name == bound:
                each.CopyFrom(onnx.numpy_helper.from_array(np.array(low, dtype=np.float32), bound))
        int8 = quantised(plain.SerializeToString(), [images])
        assert ("Clip" in [node.op_type for node in onnx.load_from_string(int8).graph.node]) == stays
        assert outputs(int8, torch.from_numpy(images["images"])).min() >= low - 0.02


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_so_does_one_of_pytorchs_own_exporter() -> None:
    network = by_the_exporter()
    check(onnx_bytes(network, SHAPE, batch=None), network)


def test_it_is_measured_and_quantised_with_any_batch(tmp_path: Path) -> None:
    network = network_of("nasbench201")
    plain = onnx_bytes(network, SHAPE, batch=None)
    feeds = [{"images": np.random.default_rng(n).standard_normal((4, *SHAPE), dtype=np.float32)} for n in range(3)]
    int8 = quantised(plain, feeds)
    (tmp_path / "model.onnx").write_bytes(int8)
    file = read_onnx(tmp_path / "model.onnx")
    assert file.batch is None and file.quantised
    for batch in (1, 5):
        assert outputs(int8, torch.randn(batch, *SHAPE)).shape == (batch, 7)
        device = device_class("onnxruntime-cpu")(CpuConfig(batch=batch, dtype="int8"))
        runner = device.prepare(file)
        assert runner.input_shape == (batch, *SHAPE) and min(runner.round(0, 1, 2)) > 0
        runner.close()


def test_a_file_that_takes_another_batch_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    write_onnx(path, zeros(), SHAPE, batch=2)
    with pytest.raises(DataError, match="does not run with a batch of 3"):
        check_onnx(path, zeros(), (3, *SHAPE))


def test_an_export_for_any_batch_is_compared_with_pytorch_at_two(tmp_path: Path) -> None:
    path = export_network(shuffled(), tmp_path, SHAPE, batch=None)[1]
    assert read_onnx(path).batch is None
