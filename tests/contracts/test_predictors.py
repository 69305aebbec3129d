"""The contract of predictors on all that come with chronas."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from chronas.errors import UsageError
from chronas.predictors import PREDICTORS, Predictor, make_predictor, predictor_class
from chronas.spaces import NetworkSize, make_space
from chronas.testing import PredictorContract

SIZE = NetworkSize(input_shape=(3, 16, 16), outputs=10, width=8, depth=3)
SPACE = make_space("nasbench201")


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


for name in PREDICTORS:
    found = predictor_class(name)
    suite = f"Test_{name}"
    reason = found.unavailable()
    globals()[suite] = pytest.mark.skipif(reason is not None, reason=str(reason))(
        type(suite, (OurContract,), {"predictor": found})
    )


def test_an_unknown_predictor_is_refused_with_the_nearest_names() -> None:
    with pytest.raises(UsageError, match="did you mean lookup"):
        make_predictor("lookups", SPACE, SIZE)
