from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
import torch
from torch import nn

from chronas.errors import DataError, UsageError
from chronas.networks import build, onnx_bytes, write_onnx
from chronas.spaces import NetworkSize, make_space
from chronas.spaces.darts import GENOTYPES

Change = Callable[[nn.Module], nn.Module]
Check = Callable[..., onnx.ModelProto]
TOLERANCE = 1e-4


def trained(network: nn.Module, shape: tuple[int, int, int], steps: int = 3) -> nn.Module:
    """The network after a few real steps."""
    generator = torch.Generator().manual_seed(2)
    optimiser = torch.optim.SGD(network.parameters(), 0.05, momentum=0.9)
    for _ in range(steps):
        images = torch.randn(4, *shape, generator=generator)
        loss = nn.functional.cross_entropy(network.train()(images), torch.randint(0, 4, (4,), generator=generator))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return network


@pytest.mark.parametrize(
    ("space", "size"),
    [
        ("darts", NetworkSize(input_shape=(3, 16, 16), outputs=10, width=8, depth=6)),
        ("darts", NetworkSize(input_shape=(1, 17, 23), outputs=4, width=6, depth=4)),
        ("darts", NetworkSize(input_shape=(3, 65, 83), outputs=7, width=8, depth=3, stem="imagenet")),
        ("nasbench201", NetworkSize(input_shape=(3, 16, 16), outputs=10, width=8, depth=2)),
        ("nasbench201", NetworkSize(input_shape=(3, 13, 19), outputs=4, width=8, depth=1)),
        ("fbnet", NetworkSize(input_shape=(3, 15, 32), outputs=4, width=8, depth=1)),
        ("fbnet", NetworkSize(input_shape=(2, 41, 64), outputs=4, width=4, depth=2, stem="imagenet")),
    ],
)
def test_random_architectures_give_the_same_logits_as_in_torch(
    space: str, size: NetworkSize, lived_in: Change, same_in_onnxruntime: Check
) -> None:
    for number, architecture in enumerate(make_space(space).sample(3, seed=size.depth)):
        network = trained(build(architecture, size), size.input_shape)
        same_in_onnxruntime(network, size.input_shape, 1 if number else 5, TOLERANCE)
        same_in_onnxruntime(lived_in(network), size.input_shape, 5 if number else 1, TOLERANCE)


def test_a_published_network_of_full_size(lived_in: Change, same_in_onnxruntime: Check) -> None:
    space = make_space("darts")
    network = build(space.parse(GENOTYPES["PC_DARTS_cifar"]), space.sizes["cifar10"])
    same_in_onnxruntime(lived_in(network), (3, 32, 32), 1, TOLERANCE)


@pytest.mark.parametrize(
    "text",
    [
        "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|",
        "|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|",
        "|none~0|+|none~0|nor_conv_1x1~1|+|none~0|none~1|avg_pool_3x3~2|",
    ],
)
def test_disconnected_cells_and_dead_edges(text: str, lived_in: Change, same_in_onnxruntime: Check) -> None:
    size = NetworkSize(input_shape=(3, 8, 8), outputs=4, width=4, depth=1)
    network = lived_in(build(make_space("nasbench201").parse(text), size))
    model = same_in_onnxruntime(network, (3, 8, 8), 2, TOLERANCE)
    assert not any("blocks_0_edges" in node.name and node.op_type == "Conv" for node in model.graph.node)


def test_the_file_is_static_small_deterministic_and_says_nothing_of_the_machine(tmp_path: Path) -> None:
    size = NetworkSize(input_shape=(3, 16, 16), outputs=10, width=8, depth=3)
    architecture = make_space("darts").sample(1, seed=0)[0]
    network = build(architecture, size, auxiliary=True).train()
    write_onnx(tmp_path / "new" / "model.onnx", network, (3, 16, 16), batch=7)
    data = (tmp_path / "new" / "model.onnx").read_bytes()
    assert data == onnx_bytes(build(architecture, size), (3, 16, 16), batch=7)
    assert network.training
    model = onnx.load_from_string(data)
    ends = [
        (e.name, [d.dim_value for d in e.type.tensor_type.shape.dim]) for e in (*model.graph.input, *model.graph.output)
    ]
    assert ends == [("images", [7, 3, 16, 16]), ("logits", [7, 10])]
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 17)]
    assert not model.metadata_props
    assert model.doc_string == ""
    names = [weight.name for weight in model.graph.initializer]
    assert "classifier.weight" in names
    assert len(names) == len(set(names))
    assert len([name for name in names if name.startswith("integers")]) <= 4
    assert len(data) < 1.1 * sum(4 * weight.numel() for weight in build(architecture, size).parameters()) + 2e5


def test_a_file_that_cannot_be_written_and_a_network_that_does_not_fit(tmp_path: Path) -> None:
    size = NetworkSize(input_shape=(3, 16, 16), outputs=10, width=8, depth=2)
    network = build(make_space("darts").sample(1, seed=0)[0], size)
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot write"):
        write_onnx(tmp_path / "file" / "model.onnx", network, (3, 16, 16))
    with pytest.raises(UsageError, match="does not fit images of 1x16x16"):
        onnx_bytes(network, (1, 16, 16))
