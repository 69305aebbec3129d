from __future__ import annotations

import pytest
import torch
from torch import nn

from chronas.networks import OPERATIONS, make_operation

every_operation = pytest.mark.parametrize("name", OPERATIONS)
PLAIN = {"none", "max_pool_3x3", "avg_pool_3x3", "skip_connect"}


def _parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@every_operation
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(8, 8), (7, 10), (1, 1), (2, 3)])
def test_the_size_is_halved_rounding_up(name: str, stride: int, size: tuple[int, int]) -> None:
    operation = make_operation(name, 6, stride).eval()
    expected = tuple(-(-side // stride) for side in size)
    images = torch.randn(2, 6, *size)
    kept = images.clone()
    result = operation(images)
    assert result.shape == (2, 6, *expected)
    assert torch.isfinite(result).all()
    assert torch.equal(images, kept), "works in place"


@every_operation
@pytest.mark.parametrize("stride", [1, 2])
def test_knowing_that_a_size_is_even_changes_nothing_but_speed(name: str, stride: int) -> None:
    images = torch.randn(2, 4, 6, 8)
    plain, even = make_operation(name, 4, stride).eval(), make_operation(name, 4, stride, even=True).eval()
    even.load_state_dict(plain.state_dict())
    assert torch.equal(plain(images), even(images))
    assert not any(isinstance(module, nn.ZeroPad2d) for module in even.modules())


@every_operation
def test_batch_norms_are_affine_or_not(name: str) -> None:
    for affine in (True, False):
        norms = [m for m in make_operation(name, 4, 2, affine=affine).modules() if isinstance(m, nn.BatchNorm2d)]
        assert all(norm.affine is affine for norm in norms)


@pytest.mark.parametrize(
    ("name", "stride", "parameters"),
    [
        ("skip_connect", 1, 0),
        ("skip_connect", 2, 2 * 8 * 4 + 16),
        ("sep_conv_3x3", 1, 2 * (9 * 8 + 64 + 16)),
        ("sep_conv_5x5", 2, 2 * (25 * 8 + 64 + 16)),
        ("dil_conv_3x3", 1, 9 * 8 + 64 + 16),
        ("dil_conv_5x5", 2, 25 * 8 + 64 + 16),
        ("nor_conv_1x1", 1, 64 + 16),
        ("nor_conv_3x3", 1, 9 * 64 + 16),
        ("max_pool_3x3", 1, 0),
        ("avg_pool_3x3", 1, 0),
        ("none", 1, 0),
    ],
)
def test_parameters_are_those_of_the_papers(name: str, stride: int, parameters: int) -> None:
    assert _parameters(make_operation(name, 8, stride)) == parameters


def test_a_skip_is_the_identity_and_none_is_zero() -> None:
    images = torch.randn(1, 3, 5, 5)
    assert torch.equal(make_operation("skip_connect", 3, 1)(images), images)
    assert not make_operation("none", 3, 1)(images * float("inf")).any()


def test_pools_have_no_batch_norm_and_leave_the_border_out() -> None:
    ones = torch.ones(1, 1, 4, 4)
    assert torch.equal(make_operation("avg_pool_3x3", 1, 1)(ones), ones)
    assert torch.equal(make_operation("max_pool_3x3", 1, 1)(-ones), -ones)


def test_dilated_convolutions_reach_two_pixels_a_step() -> None:
    operation = make_operation("dil_conv_3x3", 1, 1).eval()
    point = torch.zeros(1, 1, 9, 9)
    point[0, 0, 4, 4] = 1.0
    reached = (operation(point) != operation(torch.zeros_like(point))).nonzero()[:, 2:].unique(dim=0).tolist()
    assert reached == [[y, x] for y in (2, 4, 6) for x in (2, 4, 6)]


def test_halving_by_a_factorized_reduce_sees_even_and_odd_pixels() -> None:
    operation = make_operation("skip_connect", 2, 2).eval()
    for pixel in ((0, 0), (1, 1), (2, 2), (4, 4)):
        point = torch.zeros(1, 2, 5, 5)
        point[..., pixel[0], pixel[1]] = 1.0
        assert operation(point).any(), f"pixel {pixel} is lost"


@every_operation
def test_gradients_reach_input_and_weights(name: str) -> None:
    operation = make_operation(name, 4, 2)
    images = torch.randn(2, 4, 6, 6, requires_grad=True)
    result = operation(images).square().sum()
    if name == "none":
        assert not result.requires_grad
        return
    result.backward()
    assert images.grad is not None
    assert all(parameter.grad is not None for parameter in operation.parameters())
    assert (_parameters(operation) == 0) == (name in PLAIN - {"skip_connect"})
