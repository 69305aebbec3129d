"""ONNX files of users: inputs of any kind, open sizes, counts, and files that cannot be used."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from chronas.errors import ChronasError, DataError, UsageError
from chronas.networks import OnnxNetwork, count, read_onnx


class Photo(nn.Module):
    """A small convolutional network with all kinds of layers that are counted."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 1, 1, groups=8), nn.Conv2d(8, 12, 1)),
            *(nn.ConvTranspose2d(12, 6, 2, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 5)),
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layers(images)


class Words(nn.Module):
    """A transformer on token ids and a mask."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(50, 8)
        self.key, self.query, self.out = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = self.embedding(ids)
        weights = (self.query(x) @ self.key(x).transpose(1, 2) + mask[:, None]).softmax(-1)
        return self.out(weights @ x), weights


def exported(path: Path, network: nn.Module, inputs: tuple[Any, ...], names: Sequence[str], **options: Any) -> Path:
    """As users export with PyTorch."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(network.eval(), inputs, path, input_names=names, dynamo=False, **options)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files with a static batch, a free batch, free sizes, and token ids."""
    folder = tmp_path_factory.mktemp("onnx")
    images = torch.zeros(2, 3, 16, 16)
    exported(folder / "static.onnx", Photo(), (images,), ["x"])
    exported(folder / "batch.onnx", Photo(), (images,), ["x"], dynamic_axes={"x": {0: "n"}})
    exported(folder / "open.onnx", Photo(), (images,), ["x"], dynamic_axes={"x": {0: "n", 2: "h", 3: "w"}})
    ids, mask = torch.zeros(1, 7, dtype=torch.int64), torch.zeros(1, 7)
    axes = {"ids": {0: "n", 1: "words"}, "mask": {0: "n", 1: "words"}}
    exported(folder / "words.onnx", Words(), (ids, mask), ["ids", "mask"], dynamic_axes=axes)
    return folder


def run(network: OnnxNetwork, batch: int) -> list[Any]:
    session = onnxruntime.InferenceSession(network.fixed(batch), providers=["CPUExecutionProvider"])
    return session.run(None, network.feeds(batch))


@pytest.mark.parametrize("name", ["static", "batch", "open"])
def test_an_image_network_is_counted_and_runs_with_the_batches_that_it_takes(name: str, folder: Path) -> None:
    network = read_onnx(folder / f"{name}.onnx", (3, 16, 16) if name == "open" else None)
    expected = count(Photo(), (3, 16, 16))
    assert (network.counts().macs, network.counts().parameters) == (expected.macs, expected.parameters)
    assert network.input_shape == (3, 16, 16) and network.batch == (2 if name == "static" else None)
    assert run(network, 2)[0].shape == (2, 5)
    if name == "static":
        with pytest.raises(UsageError, match="takes a batch of 2 and no other: measure with --device.batch 2"):
            network.feeds(1)
    else:
        assert run(network, 5)[0].shape == (5, 5)


def test_token_ids_and_a_mask_share_an_open_size(folder: Path) -> None:
    network = read_onnx(folder / "words.onnx", (7,))
    feeds = network.feeds(3)
    assert {name: (each.shape, each.dtype.kind) for name, each in feeds.items()} == {
        "ids": ((3, 7), "i"),
        "mask": ((3, 7), "f"),
    }
    assert [each.shape for each in run(network, 3)] == [(3, 7, 3), (3, 7, 7)]
    assert network.counts().macs == 7 * 8 * 8 * 2 + 7 * 7 * 8 * 2 + 7 * 8 * 3
    assert network.counts().parameters == 50 * 8 + 2 * (8 * 8 + 8) + 8 * 3 + 3


def test_open_sizes_have_to_be_said_and_fixed_ones_cannot_be_changed(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"input x of .*open.onnx leaves sizes open \(3 x \? x \? after the batch\)"):
        read_onnx(folder / "open.onnx")
    with pytest.raises(UsageError, match="takes examples of 3 x 16 x 16, not of 3 x 32 x 32"):
        read_onnx(folder / "batch.onnx", (3, 32, 32))
    with pytest.raises(UsageError, match="such as --input-shape 224"):
        read_onnx(folder / "words.onnx")


def test_operators_that_are_not_counted_leave_the_macs_unknown(tmp_path: Path) -> None:
    path = exported(tmp_path / "a.onnx", nn.LSTM(4, 6, batch_first=True), (torch.zeros(1, 5, 4),), ["x"])
    counts = read_onnx(path).counts()
    assert counts.macs is None and counts.parameters > 4 * 6 * 4


def test_weights_beside_the_file_are_read_and_others_are_not(folder: Path, tmp_path: Path) -> None:
    proto = onnx.load(folder / "static.onnx")
    onnx.save(proto, tmp_path / "a.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    assert run(read_onnx(tmp_path / "a.onnx"), 2)[0].shape == (2, 5)
    (tmp_path / "inner").mkdir()
    proto = onnx.load(tmp_path / "a.onnx", load_external_data=False)
    for tensor in proto.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = "../weights.bin"
    (tmp_path / "inner" / "a.onnx").write_bytes(proto.SerializeToString())
    with pytest.raises(DataError, match="a.onnx is damaged"):
        read_onnx(tmp_path / "inner" / "a.onnx")
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(DataError):
        read_onnx(tmp_path / "a.onnx")


@pytest.mark.parametrize("content", [b"", b"no", b"\x08\x07", bytes(100)], ids=["empty", "text", "no graph", "zeros"])
def test_a_file_that_is_none_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(content)
    with pytest.raises(DataError, match="a.onnx is damaged, cut off or no ONNX file"):
        read_onnx(tmp_path / "a.onnx")


def test_damaged_files_are_one_line_or_read(folder: Path, tmp_path: Path) -> None:
    content = (folder / "words.onnx").read_bytes()
    generator = np.random.default_rng(0)
    for number in range(300):
        changed = bytearray(content)
        if number % 5 == 0:
            del changed[generator.integers(len(content)) :]
        for place in generator.integers(0, len(changed), 4):
            changed[place] = generator.integers(256)
        (tmp_path / "a.onnx").write_bytes(changed)
        try:
            read_onnx(tmp_path / "a.onnx", (7,)).counts()
        except ChronasError as error:
            assert "\n" not in str(error)
