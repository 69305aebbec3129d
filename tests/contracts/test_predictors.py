"""The contract of predictors on all that come with chronas."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from chronas.errors import UsageError
from chronas.networks import load_state, save_state
from chronas.predictors import PREDICTORS, Predictor, load_predictor, make_predictor, predictor_class
from chronas.spaces import NetworkSize, make_space
from chronas.testing import PredictorContract

SIZE = NetworkSize(input_shape=(3, 16, 16), outputs=10, width=8, depth=3)
SPACE = make_space("nasbench201")


EARLIER = {
    "base": "base_ms",
    "coefficients": "slopes",
    "covariance": "covariance_ms2",
    "median": "median_ms",
    "variance": "variance_ms2",
}


class OurContract(PredictorContract):
    """What predictors that come with chronas promise beyond the contract."""

    def test_its_name_is_its_key(self) -> None:
        assert predictor_class(self.predictor.name) is self.predictor

    def test_more_multiply_accumulates_cost_more_by_the_gradient(self, differentiable: Predictor) -> None:
        codes = torch.from_numpy(self.data(20, seed=4)[0]).requires_grad_()
        (gradient,) = torch.autograd.grad(differentiable.cost(codes).sum(), codes)
        options = SPACE.decisions[0].options
        by_option = gradient.sum(dim=0).reshape(-1, len(options)).sum(dim=0)
        assert by_option[options.index("nor_conv_3x3")] > by_option[options.index("nor_conv_1x1")] > by_option[0]
        assert np.isfinite(gradient.numpy()).all()

    def test_a_file_of_the_earlier_version_is_read(self, fitted: Predictor, tmp_path: Path) -> None:
        fitted.save(tmp_path / "new.safetensors")
        tensors, content = load_state(tmp_path / "new.safetensors")
        tensors = {
            ".".join(EARLIER.get(part, part) for part in name.split(".")): each for name, each in tensors.items()
        }
        size = content.pop("size")
        skeleton = {("classes" if name == "outputs" else name): value for name, value in size.items()}
        earlier = {**content, "schema": "chronas.predictor/1", "skeleton": skeleton}
        save_state(tmp_path / "old.safetensors", tensors, earlier)
        codes = self.data(50, seed=3)[0]
        read = load_predictor(tmp_path / "old.safetensors")
        assert read.predict(codes).mean.tobytes() == fitted.predict(codes).mean.tobytes()
        assert read.predict(codes).std.tobytes() == fitted.predict(codes).std.tobytes()


for name in PREDICTORS:
    found = predictor_class(name)
    suite = f"Test_{name}"
    reason = found.unavailable()
    globals()[suite] = pytest.mark.skipif(reason is not None, reason=str(reason))(
        type(suite, (OurContract,), {"predictor": found})
    )


@pytest.mark.parametrize("name", ["gp", "lpm"])
def test_a_scale_of_the_earlier_version_is_read(name: str, tmp_path: Path) -> None:
    config = predictor_class(name).Config.model_validate({"scale": "linear"})
    predictor = make_predictor(name, SPACE, SIZE, config)
    codes = SPACE.encode(SPACE.sample(30, seed=0))
    predictor.fit(codes, 1.0 + codes.sum(axis=1) + codes[:, 1], seed=0)
    predictor.save(tmp_path / "new.safetensors")
    tensors, content = load_state(tmp_path / "new.safetensors")
    content["config"]["scale"] = "ms"
    save_state(tmp_path / "old.safetensors", tensors, content)
    assert load_predictor(tmp_path / "old.safetensors").config == config


def test_an_unknown_predictor_is_refused_with_the_nearest_names() -> None:
    with pytest.raises(UsageError, match="did you mean lookup"):
        make_predictor("lookups", SPACE, SIZE)
