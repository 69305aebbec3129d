"""What several tests of networks need: networks as training leaves them, and ONNX Runtime's word on them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from chronas.networks import onnx_bytes

Shape = tuple[int, int, int]


@pytest.fixture
def lived_in() -> Callable[[nn.Module], nn.Module]:
    """Give a network statistics, scales and shifts as training leaves them: none at 0 or 1."""

    def change(network: nn.Module) -> nn.Module:
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for norm in network.modules():
                if isinstance(norm, nn.BatchNorm2d):
                    norm.running_mean.normal_(0, 0.3, generator=generator)
                    norm.running_var.uniform_(0.3, 3, generator=generator)
                    if norm.affine:
                        norm.weight.uniform_(0.5, 1.5, generator=generator)
                        norm.bias.normal_(0, 0.3, generator=generator)
        return network

    return change


@pytest.fixture
def same_in_onnxruntime() -> Callable[..., onnx.ModelProto]:
    """Assert that ONNX Runtime gives what PyTorch gives, relative to the largest number; give the model."""

    def check(network: nn.Module, shape: Shape, batch: int = 1, tolerance: float = 1e-5) -> onnx.ModelProto:
        data = onnx_bytes(network, shape, batch=batch)
        model = onnx.load_from_string(data)
        onnx.checker.check_model(model, full_check=True)
        images = torch.randn(batch, *shape, generator=torch.Generator().manual_seed(1))
        with torch.no_grad():
            expected = network.eval()(images).numpy()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        got = onnxruntime.InferenceSession(data, options).run(None, {"images": images.numpy()})[0]
        assert got.shape == expected.shape
        assert np.abs(got - expected).max() <= tolerance * max(np.abs(expected).max(), 1e-6)
        return model

    return check
