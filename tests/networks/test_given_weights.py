"""Weights of files: what is taken by which names, what a network then computes, and which files are refused."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from chronas.errors import ChronasError, DataError, MismatchError, UsageError
from chronas.networks import (
    FittedWeights,
    GivenWeights,
    MobileNetwork,
    MobilePlan,
    build,
    efficientnet_lite0,
    fit_weights,
    mobilenet_v3,
    read_weights,
    save_state,
)
from chronas.reading import LARGEST
from chronas.spaces import NetworkSize, make_space
from foreign_weights import as_lite, as_timm, as_torchvision, lite_logits, published_lite0, with_random_norms

SIZE = NetworkSize(input_shape=(1, 8, 8), outputs=10, width=4, depth=1)
CELL = make_space("nasbench201").sample(1, 3)[0]
LARGE, SMALL, LITE = mobilenet_v3(classes=7), mobilenet_v3("small", classes=7), efficientnet_lite0(classes=7)
FINAL = ("classifier",)


def made(plan: MobilePlan, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return with_random_norms(MobileNetwork(plan), seed)


def saved(path: Path, content: Any) -> GivenWeights:
    torch.save(content, path)
    return read_weights(path)


def loaded(network: nn.Module, given: GivenWeights, epsilon: float | None = None) -> FittedWeights:
    found = fit_weights(network.state_dict(), given, final=FINAL, epsilon=epsilon)
    network.load_state_dict(found.tensors)
    return found


def test_our_own_file_comes_back_as_it_was(tmp_path: Path) -> None:
    first, second = build(CELL, SIZE, seed=1), build(CELL, SIZE, seed=2)
    save_state(tmp_path / "model.safetensors", first.state_dict(), {})
    found = loaded(second, read_weights(tmp_path / "model.safetensors"))
    assert all(torch.equal(tensor, second.state_dict()[name]) for name, tensor in first.state_dict().items())
    assert found.words == f"{len(first.state_dict())} of {len(first.state_dict())} tensors from model.safetensors"


@pytest.mark.parametrize("pixels", [(64, 96), (45, 38)])
def test_lite0_pads_as_its_weights_were_trained(pixels: tuple[int, int], tmp_path: Path) -> None:
    state = as_lite(made(efficientnet_lite0(classes=7), 1).state_dict())
    network = made(efficientnet_lite0(classes=7, pixels=pixels), 2)
    found = loaded(network, saved(tmp_path / "lite.pth", state), epsilon=1e-3)
    images = torch.randn(3, 3, *pixels, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.allclose(network(images), lite_logits(state, images), atol=1e-5)
    assert (found.owner, len(found.taken), found.unused) == ("efficientnet_lite_pytorch", 296, ())


def test_the_published_weights_give_their_logits_in_the_space() -> None:
    given, space = read_weights(published_lite0()), make_space("efficientnet-lite")
    size = space.sizes["imagenet"].model_copy(update={"input_shape": (3, 96, 96)})
    network = build(space.topology.ends(space)[1], size).eval()  # type: ignore[attr-defined]
    found = loaded(network, given, epsilon=1e-3)
    images = torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.allclose(network(images), lite_logits(given.tensors, images), atol=1e-5)
    assert found.words == f"296 of 296 tensors from {given.name}"


NAMED: list[tuple[str, MobilePlan, Callable[[dict[str, Tensor]], dict[str, Tensor]]]] = [
    ("timm's EfficientNet", LITE, lambda state: as_timm(state, (1, 2, 2, 3, 3, 4, 1))),
    ("timm's MobileNetV3", LARGE, lambda state: as_timm(state, (1, 2, 3, 4, 2, 3))),
    ("timm's MobileNetV3", SMALL, lambda state: as_timm(state, (1, 2, 3, 2, 3))),
    ("torchvision's MobileNetV3", LARGE, as_torchvision),
    ("torchvision's MobileNetV3", SMALL, as_torchvision),
]


@pytest.mark.parametrize(("owner", "plan", "names"), NAMED, ids=["lite", "large", "small", "tv large", "tv small"])
def test_names_of_other_packages_are_known(
    owner: str, plan: MobilePlan, names: Callable[[dict[str, Tensor]], dict[str, Tensor]], tmp_path: Path
) -> None:
    first, second = made(plan, 1), made(plan, 2)
    save_file(
        {name: tensor.contiguous() for name, tensor in names(first.state_dict()).items()}, tmp_path / "a.safetensors"
    )
    found = loaded(second, read_weights(tmp_path / "a.safetensors"))
    assert (found.owner, found.left, found.unused) == (owner, {}, ())
    assert all(torch.equal(tensor, second.state_dict()[name]) for name, tensor in first.state_dict().items())


def test_norms_that_add_more_to_the_variance_give_the_same_outputs(tmp_path: Path) -> None:
    first, second = made(SMALL, 1), made(SMALL, 2)
    state = as_torchvision(first.state_dict())
    for module in first.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 1e-3
    loaded(second, saved(tmp_path / "v3.pth", state), epsilon=1e-5)
    images = torch.randn(2, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.allclose(second(images), first(images), atol=1e-5)


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"model": {"state_dict": {f"module.{name}": tensor for name, tensor in state.items()}}},
        lambda state: {name: nn.Parameter(each, requires_grad=False) for name, each in state.items()},
        lambda state: {name: each.half() if each.is_floating_point() else each for name, each in state.items()},
    ],
    ids=["state_dict", "module", "parameters", "half"],
)
def test_wrappers_and_types_do_not_matter(wrapped: Callable[[dict[str, Tensor]], Any], tmp_path: Path) -> None:
    first, second = build(CELL, SIZE, seed=1), build(CELL, SIZE, seed=2)
    loaded(second, saved(tmp_path / "a.pt", wrapped(first.state_dict())))
    for name, tensor in second.state_dict().items():
        assert torch.allclose(tensor, first.state_dict()[name], rtol=1e-3, atol=1e-3)
        assert tensor.dtype == first.state_dict()[name].dtype


def test_a_last_layer_of_other_classes_stays_and_is_told(tmp_path: Path) -> None:
    given = saved(tmp_path / "lite.pth", {**as_lite(made(LITE, 1).state_dict()), "extra.weight": torch.zeros(1)})
    network = made(efficientnet_lite0(classes=10), 2)
    before = network.get_parameter("classifier.weight").clone()
    found = loaded(network, given)
    assert torch.equal(network.get_parameter("classifier.weight"), before)
    assert found.words == (
        "294 of 296 tensors from lite.pth; classifier new (10 classes, the file has 7); 1 of the file not used, "
        "such as 'extra.weight'"
    )


def lite_with(**changes: Tensor) -> dict[str, Tensor]:
    return {**as_lite(made(LITE, 1).state_dict()), **{name.replace("__", "."): each for name, each in changes.items()}}


@pytest.mark.parametrize(
    ("state", "kind", "message"),
    [
        (
            lambda: lite_with(_conv_stem__weight=torch.zeros(16, 3, 3, 3)),
            MismatchError,
            r"stem.0.weight \('_conv_stem.weight' in the file\) should be \[32, 3, 3, 3\], got \[16, 3, 3, 3\]: give",
        ),
        (
            lambda: lite_with(_fc__weight=torch.zeros(7, 1000)),
            MismatchError,
            r"classifier.weight .* should be \[7, 1280\], got \[7, 1000\]",
        ),
        (
            lambda: lite_with(_conv_stem__weight=torch.zeros(1).expand(10**6, 10**6)),
            MismatchError,
            r"should be \[32, 3, 3, 3\], got \[1000000, 1000000\]",
        ),
        (
            lambda: {name: each for name, each in lite_with().items() if name != "_conv_head.weight"},
            MismatchError,
            r"has no tensor for head.0.weight, of shape \[1280, 320, 1, 1\]",
        ),
        (
            lambda: {"layer1.0.conv1.weight": torch.zeros(1), "layer1\n2": torch.zeros(1)},
            MismatchError,
            r"names such as 'layer1.0.conv1.weight', .* this network has 'stem.0.weight', .* the names of chronas, ",
        ),
        (lambda: lite_with(_bn0__bias=torch.full((32,), torch.nan)), DataError, "'_bn0.bias' has a number that is not"),
        (lambda: lite_with(_bn0__bias=torch.zeros(32, dtype=torch.int64)), MismatchError, "stem.1.bias"),
    ],
    ids=["shape", "features", "expanded", "missing", "names", "nan", "type"],
)
def test_what_does_not_fit_is_named(
    state: Callable[[], dict[str, Tensor]], kind: type[ChronasError], message: str, tmp_path: Path
) -> None:
    given = saved(tmp_path / "lite.pth", state())
    with pytest.raises(kind, match=message) as caught:
        fit_weights(MobileNetwork(LITE).state_dict(), given, final=FINAL)
    assert "\n" not in str(caught.value)


class Malicious:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("was-here"),)


def script(path: Path) -> Path:
    torch.jit.save(torch.jit.trace(nn.Linear(2, 2), torch.zeros(1, 2)), str(path / "s.pt"))
    return path / "s.pt"


def written(name: str, content: bytes) -> Callable[[Path], Path]:
    def write(path: Path) -> Path:
        (path / name).write_bytes(content)
        return path / name

    return write


def stored(content: Any, cut: int | None = None) -> Callable[[Path], Path]:
    def write(path: Path) -> Path:
        torch.save(content, path / "a.pth")
        (path / "a.pth").write_bytes((path / "a.pth").read_bytes()[:cut])
        return path / "a.pth"

    return write


@pytest.mark.parametrize(
    ("write", "kind", "message"),
    [
        (stored({"a": Malicious()}), DataError, "holds Python objects besides tensors"),
        (stored(nn.Linear(2, 2)), DataError, "holds Python objects besides tensors.*save the weights alone"),
        (stored({"a": torch.zeros(99)}, 300), DataError, "is damaged, cut off or no file of torch.save"),
        (stored([torch.zeros(2)]), DataError, "should have tensors by name, got none"),
        (stored({}), DataError, "should have tensors by name, got none"),
        (stored({"a": torch.zeros(2).to_sparse(), "b": 3, 4: torch.zeros(1)}), DataError, "tensors by name, got none"),
        (stored({"model": {"model": {"model": {"model": {"model": {}}}}}}), DataError, "tensors by name, got none"),
        (written("a.pth", b""), DataError, "is damaged, cut off or no file of torch.save"),
        (written("a.pth", b"\x80\x02cos\nsystem\n."), DataError, "a.pth"),
        (written("a.safetensors", b"\xff" * 20), DataError, "damaged, cut off or no safetensors file"),
        (written("a.onnx", b""), UsageError, "expected weights in a file .safetensors, .pth or .pt, got"),
        (lambda path: path / "none.pth", DataError, "cannot read .*none.pth"),
        (lambda path: path, UsageError, "expected weights in a file"),
    ],
)
def test_other_files_are_refused_in_a_line(
    write: Callable[[Path], Path],
    kind: type[ChronasError],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(kind, match=message) as caught:
        read_weights(write(tmp_path))
    assert "\n" not in str(caught.value)
    assert not Path("was-here").exists()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_program_is_not_loaded(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is a TorchScript program, whose code is not loaded"):
        read_weights(script(tmp_path))


def test_a_file_that_grows_is_refused_before_it_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(tmp_path / "a.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\0" * 10**6)
    monkeypatch.setitem(LARGEST, "weights", 10**5)
    with pytest.raises(DataError, match="grows to 1000000 bytes, more than a network has"):
        read_weights(tmp_path / "a.pth")
