"""Published networks of inverted residual blocks have their published numbers, and ONNX files that agree."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from chronas.networks import MobileNetwork, MobilePlan, count, efficientnet_lite0, mobilenet_v3, write_onnx
from chronas.runs import check_onnx

PUBLISHED = [  # plan, parameters, MACs with 1,000 classes at 224 pixels
    pytest.param(mobilenet_v3("large"), 5_483_032, 216_589_760, id="MobileNetV3-Large"),  # torchvision: 0.22 GMACs
    pytest.param(mobilenet_v3("small"), 2_542_856, 56_510_400, id="MobileNetV3-Small"),  # torchvision: 0.06 GMACs
    pytest.param(efficientnet_lite0(), 4_652_008, 385_187_552, id="EfficientNet-Lite0"),
]


@pytest.mark.parametrize(("plan", "parameters", "macs"), PUBLISHED)
def test_published_networks_have_their_published_numbers(plan: MobilePlan, parameters: int, macs: int) -> None:
    found = count(MobileNetwork(plan), (3, 224, 224))
    assert (found.parameters, found.macs) == (parameters, macs)


@pytest.mark.parametrize("plan", [mobilenet_v3("small", classes=3), efficientnet_lite0(classes=3)], ids=["v3", "lite"])
def test_their_onnx_files_agree_with_torch(plan: MobilePlan, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = MobileNetwork(plan).eval()
    write_onnx(tmp_path / "model.onnx", network, (3, 40, 48))
    assert check_onnx(tmp_path / "model.onnx", network, (1, 3, 40, 48)) < 1e-5
