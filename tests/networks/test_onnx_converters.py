from __future__ import annotations

import logging
import re
from collections.abc import Callable

import onnx
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from chronas.errors import UsageError
from chronas.networks import OPERATIONS, make_operation, onnx_bytes

Change = Callable[[nn.Module], nn.Module]
Check = Callable[..., onnx.ModelProto]


class Function(nn.Module):
    """A network that is one function."""

    def __init__(self, function: object) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x)


class TwoReaders(nn.Module):
    """A convolution that a batch norm and another step read: it cannot be folded."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 1)
        self.bn = nn.BatchNorm2d(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv(x)
        return self.bn(y) + y


class SharedConvolution(nn.Module):
    """One convolution that is folded with two batch norms, so that it has two different weights in the file."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.first = nn.BatchNorm2d(4)
        self.second = nn.BatchNorm2d(4, affine=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.conv(self.first(self.conv(x))))


class OwnWeight(nn.Module):
    """A network that reads a parameter itself, and one that nothing needs."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.rand(4, 1, 1))
        self.unread = nn.Conv2d(4, 64, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.unread(x)
        return x * self.scale


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(("shape", "even"), [((6, 8, 8), True), ((6, 7, 9), False), ((7, 1, 1), False)])
def test_every_operation_of_every_space(
    name: str, stride: int, shape: tuple[int, int, int], even: bool, lived_in: Change, same_in_onnxruntime: Check
) -> None:
    for affine in (True, False):
        operation = make_operation(name, shape[0], stride, affine=affine, even=even)
        network = nn.Sequential(nn.Conv2d(shape[0], shape[0], 1), lived_in(operation))
        same_in_onnxruntime(network, shape, batch=1 if affine else 5)


LAYERS = {
    "convolution with all settings": nn.Conv2d(4, 6, (3, 2), (2, 1), (1, 0), (1, 2), groups=2),
    "bias and norm": nn.Sequential(nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6)),
    "norm first": nn.BatchNorm2d(4),
    "norm without scale": nn.BatchNorm2d(4, affine=False),
    "max pool rounding up": nn.MaxPool2d(3, 2, ceil_mode=True),
    "max pool dilated": nn.MaxPool2d((3, 2), (1, 2), (1, 0), dilation=2),
    "average pool rounding up": nn.AvgPool2d(2, 2, ceil_mode=True, count_include_pad=False),
    "average pool with padding": nn.AvgPool2d(3, 2, 1),
    "global pool and linear": nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3, bias=False)),
    "padding": nn.Sequential(nn.ZeroPad2d((1, 0, 2, 3)), nn.ConstantPad2d(1, 0.5)),
    "channel shuffle": nn.ChannelShuffle(2),
    "nothing": nn.Sequential(nn.Identity(), nn.Dropout()),
    "two readers": TwoReaders(),
    "shared convolution": SharedConvolution(),
    "own weight": OwnWeight(),
}
FUNCTIONS = {
    "relu": lambda x: torch.relu(F.relu(x) + x.relu()),
    "numbers": lambda x: 2 * x + 1 + x.mul(0.5).add(0.25),
    "pad": lambda x: F.pad(x, (0, 1, 2, 0), value=0.25),
    "slices": lambda x: x[:, 1:, ::2, 1:-1],
    "first slice": lambda x: torch.cat([x[0:], x], 1),
    "mean": lambda x: x.mean([2, 3]) + torch.mean(x, dim=-1, keepdim=True).mean((2, 3)),
    "shapes": lambda x: torch.flatten(x, 1) + x.flatten(1) + x.reshape(x.shape[0], 252) + x.view(-1, 252),
    "zeros": lambda x: torch.zeros_like(x[:, :2, ::2]),
    "concatenation": lambda x: torch.cat((x, x, torch.zeros_like(x)), dim=-1),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name: str, lived_in: Change, same_in_onnxruntime: Check) -> None:
    network = nn.Sequential(LAYERS[name])
    same_in_onnxruntime(lived_in(network), (4, 7, 9), batch=2)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name: str, same_in_onnxruntime: Check) -> None:
    same_in_onnxruntime(Function(FUNCTIONS[name]), (4, 7, 9), batch=2)


def test_what_is_not_needed_is_not_written(same_in_onnxruntime: Check) -> None:
    names = {weight.name for weight in same_in_onnxruntime(nn.Sequential(OwnWeight()), (4, 7, 9)).graph.initializer}
    assert names == {"0.scale"}


def test_norms_after_convolutions_are_folded_and_others_stay(lived_in: Change, same_in_onnxruntime: Check) -> None:
    kinds = [
        node.op_type
        for node in same_in_onnxruntime(lived_in(make_operation("sep_conv_3x3", 4, 1)), (4, 8, 8)).graph.node
    ]
    assert kinds == ["Relu", "Conv", "Conv", "Relu", "Conv", "Conv", "Identity"]
    kinds = [node.op_type for node in same_in_onnxruntime(lived_in(TwoReaders()), (4, 8, 8)).graph.node]
    assert kinds == ["Conv", "BatchNormalization", "Add", "Identity"]


@pytest.mark.parametrize(
    ("layer", "named"),
    [
        (nn.GELU(), "GELU 1 "),
        (nn.Conv2d(4, 4, 3, padding="same"), "Conv2d 1 with padding 'same'"),
        (nn.AdaptiveAvgPool2d((7, 3)), r"AdaptiveAvgPool2d 1 to \(7, 3\)"),
        (nn.Linear(9, 2), r"Linear 1 to \(2, 4, 7, 2\)"),
        (Function(lambda x: x.mean()[None]), "mean at mean over everything"),
        (Function(lambda x: x[:, 0]), r"getitem at getitem of \(slice\(None, None, None\), 0\)"),
        (Function(lambda x: F.pad(x, (1, 1, 1, 1), mode="reflect")), "pad at pad of reflect"),
        (Function(lambda x: torch.add(x, x, alpha=2)), "add at add has no"),
        (Function(lambda x: x.add(x, alpha=2)), "add at add with"),
    ],
)
def test_what_has_no_form_goes_through_the_exporter_and_says_so(
    layer: nn.Module, named: str, caplog: pytest.LogCaptureFixture, same_in_onnxruntime: Check
) -> None:
    network = nn.Sequential(nn.Conv2d(4, 4, 1), layer)
    with caplog.at_level(logging.WARNING):
        same_in_onnxruntime(network, (4, 7, 9), batch=2)
    assert len(caplog.messages) == 1
    assert "torch.onnx.export writes the network" in caplog.text
    assert re.search(named, caplog.text)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (nn.FractionalMaxPool2d(2, output_size=2), "FractionalMaxPool2d 1 has no ONNX form"),
        (nn.AvgPool2d(2, divisor_override=3), "AvgPool2d 1 has a divisor of its own"),
        (nn.AvgPool2d(3, 2, 1, ceil_mode=True), "counts padding while rounding up"),
        (nn.MaxPool2d(2, return_indices=True), "one tensor in eval mode to become an ONNX file, got a tuple"),
        (nn.BatchNorm2d(4, track_running_stats=False), "BatchNorm2d 1 has no running statistics"),
    ],
)
def test_what_cannot_be_written_is_refused_by_name(layer: nn.Module, message: str) -> None:
    network = nn.Sequential(nn.Conv2d(4, 4, 1), layer)
    with pytest.raises(UsageError, match=message) as caught:
        onnx_bytes(network, (4, 7, 9))
    assert "\n" not in str(caught.value)
