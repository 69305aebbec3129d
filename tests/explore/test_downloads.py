from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from chronas.explore.page import onnx_file, python_file
from chronas.networks import build
from explored import NETWORKS, SIZE


@pytest.mark.parametrize("number", [0, 7])
def test_the_onnx_file_is_the_network(number: int) -> None:
    images = np.random.default_rng(0).normal(size=(1, *SIZE.input_shape)).astype(np.float32)
    session = onnxruntime.InferenceSession(onnx_file(NETWORKS[number], SIZE))
    (logits,) = session.run(None, {"images": images})
    expected = build(NETWORKS[number], SIZE).eval()(torch.from_numpy(images)).detach().numpy()
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)


def test_the_python_file_builds_it(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_bytes(python_file(NETWORKS[0], SIZE))
    names: dict[str, object] = {"__name__": "model"}
    exec(
        compile((tmp_path / "model.py").read_text(), "model.py", "exec", dont_inherit=True), names
    )  # our own file, as users run it
    network = names["network"]()  # type: ignore[operator]
    assert network(torch.zeros(2, *SIZE.input_shape)).shape == (2, SIZE.outputs)
