"""Files of `torch.export.save`: read as modules, refused where they bring more than tensors and operators of aten."""

from __future__ import annotations

import copy
import json
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from chronas.devices import Model
from chronas.errors import ChronasError, DataError, UsageError
from chronas.networks import count, read_exported


def photo() -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Sequential(
        *(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3, 1, 1, groups=4)),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5)),
    )
    return layers.eval()


def save(path: Path, network: nn.Module, batch: int = 2, *, dynamic: bool = True, inputs: int = 1) -> Path:
    examples = tuple(torch.zeros(batch, 3, 16, 16) for _ in range(inputs))
    free = tuple({0: torch.export.Dim("n")} for _ in examples) if dynamic else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(torch.export.export(network, examples, dynamic_shapes=free), path)
    return path


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("pt2") / "a.pt2", photo())


def test_it_gives_the_same_outputs_and_counts_and_becomes_an_onnx_file(exported: Path) -> None:
    network, shape = read_exported(exported)
    assert shape == (3, 16, 16)
    images = torch.randn(4, *shape)
    torch.testing.assert_close(network(images), photo()(images))
    torch.testing.assert_close(copy.deepcopy(network).eval()(images), photo()(images))
    found, expected = count(network, shape), count(photo(), shape)
    assert (found.macs, found.parameters) == (expected.macs, expected.parameters)
    assert len(Model.of(network, shape).onnx(3)) > 1000


def test_a_fixed_batch_of_one_is_taken_and_others_are_refused(tmp_path: Path) -> None:
    network, shape = read_exported(save(tmp_path / "one.pt2", photo(), 1, dynamic=False))
    assert network(torch.zeros(1, *shape)).shape == (1, 5)
    with pytest.raises(UsageError, match="takes a batch of 4 and no other"):
        read_exported(save(tmp_path / "four.pt2", photo(), 4, dynamic=False))


class Two(nn.Module):
    def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        return first + second


def test_a_program_of_two_inputs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has 2 inputs"):
        read_exported(save(tmp_path / "two.pt2", Two(), inputs=2))


def changed(path: Path, out: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """A copy whose model was changed."""
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(out, "w") as kept:
        for name in archive.namelist():
            data = archive.read(name)
            if name.endswith("models/model.json"):
                content = json.loads(data)
                change(content)
                data = json.dumps(content).encode()
            kept.writestr(name, data)
    return out


def nodes(content: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = content["graph_module"]["graph"]["nodes"]
    return found


def sizes(content: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = content["graph_module"]["graph"]["tensor_values"]["input"]["sizes"]
    return found


HARMFUL: dict[str, Callable[[dict[str, Any]], object]] = {
    "a function of torch": lambda content: nodes(content)[0].update(target="torch.hub.load"),
    "a way out of aten": lambda content: nodes(content)[0].update(target="torch.ops.aten.conv2d.__class__.mro"),
    "a custom operator": lambda content: nodes(content)[0].update(target="torch.ops.mine.conv2d.default"),
    "a call in a size": lambda content: sizes(content)[0]["as_expr"].update(expr_str="__import__('os').getpid()"),
    "a text in a size": lambda content: sizes(content)[0]["as_expr"].update(expr_str="Symbol('a' if 1 else 'b')"),
    "an object": lambda content: nodes(content)[0]["inputs"].append({"name": "x", "arg": {"as_custom_obj": {}}}),
    "another container": lambda content: content["graph_module"]["module_call_graph"][0]["signature"].update(
        in_spec='[1, {"type": "os.system", "context": "null", "children_spec": []}]'
    ),
}


@pytest.mark.parametrize("name", HARMFUL)
def test_what_could_run_is_refused_before_pytorch_sees_it(
    name: str, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.export, "load", lambda _: pytest.fail("it was loaded"))
    with pytest.raises(DataError, match="which chronas does not run: export it again"):
        read_exported(changed(exported, tmp_path / "b.pt2", HARMFUL[name]))


def test_guards_are_not_compiled(exported: Path, tmp_path: Path) -> None:
    def guard(content: dict[str, Any]) -> None:
        content["guards_code"] = [f"open({str(tmp_path / 'made')!r}, 'w')"]

    network, shape = read_exported(changed(exported, tmp_path / "b.pt2", guard))
    assert network(torch.zeros(1, *shape)).shape == (1, 5) and not (tmp_path / "made").exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"no zip"], ids=["empty", "cut", "text"])
def test_a_file_that_is_none_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.pt2").write_bytes(content)
    with pytest.raises(DataError, match="a.pt2 is damaged, cut off or no file of torch.export"):
        read_exported(tmp_path / "a.pt2")


def test_damaged_files_are_one_line_or_read(exported: Path, tmp_path: Path) -> None:
    content = exported.read_bytes()
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        damaged = bytearray(content)
        for place in torch.randint(0, len(content), (6,), generator=generator).tolist():
            damaged[place] = (damaged[place] + 1) % 256
        (tmp_path / "b.pt2").write_bytes(damaged)
        try:
            read_exported(tmp_path / "b.pt2")
        except ChronasError as error:
            assert "\n" not in str(error)
