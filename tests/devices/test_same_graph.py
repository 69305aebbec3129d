"""Cells that a space calls the same graph are the same to a runtime that drops dead nodes: one may be measured for all.

What is compared is the runtime's own optimised model: its steps, what each takes from which, and the shapes of weights.
"""

from __future__ import annotations

import importlib.util
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from chronas.devices import CpuConfig, make_device
from chronas.devices.openvino import OpenVinoCpu, settings
from chronas.networks import build, onnx_bytes
from chronas.spaces import Architecture, NetworkSize, make_space

SPACE = make_space("nasbench201")
SIZE = NetworkSize(input_shape=(3, 8, 8), outputs=4, width=16, depth=1)
SUMS = {"Add", "Eltwise", "Subgraph"}  # as ONNX and OpenVINO call them; the latter also joins sums with what follows
Graph = Counter[str]


def model_of(architecture: Architecture) -> bytes:
    return onnx_bytes(build(architecture, SIZE).eval(), SIZE.input_shape)


def told(steps: list[tuple[str, list[str], list[str]]], known: dict[str, str]) -> Graph:
    """How often there is each step, told by its kind and all that it is computed from; sums in any order."""
    for kind, inputs, outputs in steps:
        terms = [known[name] for name in inputs if name]
        text = f"{kind}({','.join(sorted(terms) if kind in SUMS else terms)})"
        known.update(dict.fromkeys(outputs, f"{hash(text):x}"))
    return Counter(f"{kind} {known[outputs[0]]}" for kind, _, outputs in steps)


def by_onnxruntime(architecture: Architecture, folder: Path) -> Graph:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    options.optimized_model_filepath = str(folder / "optimised.onnx")
    onnxruntime.InferenceSession(model_of(architecture), options, providers=["CPUExecutionProvider"])
    graph = onnx.load(folder / "optimised.onnx").graph
    known = {weight.name: str(list(weight.dims)) for weight in graph.initializer} | {"images": "images"}
    return told([(node.op_type, list(node.input), list(node.output)) for node in graph.node], known)


def by_openvino(architecture: Architecture, folder: Path) -> Graph:  # noqa: ARG001 - as by ONNX Runtime
    device = make_device("openvino-cpu", CpuConfig())
    assert isinstance(device, OpenVinoCpu)
    model: Any = device.core.read_model(model=model_of(architecture), weights=b"")
    compiled = device.core.compile_model(model, "CPU", settings(CpuConfig())).get_runtime_model()
    steps = [
        (
            step.get_rt_info()["layerType"].value,
            [value.get_source_output().get_node().get_friendly_name() for value in step.inputs()],
            [step.get_friendly_name()],
        )
        for step in compiled.get_ordered_ops()
    ]
    return told(steps, {})


runtimes = pytest.mark.parametrize(
    ("optimised", "count"),  # OpenVINO takes its time to compile
    [
        pytest.param(by_onnxruntime, 50, id="onnxruntime"),
        pytest.param(
            by_openvino,
            20,
            id="openvino",
            marks=pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="openvino is not installed"),
        ),
    ],
)


def classes(key: Callable[[Architecture], object]) -> list[list[Architecture]]:
    found: dict[object, list[Architecture]] = {}
    for architecture in SPACE.every():
        found.setdefault(key(architecture), []).append(architecture)
    return [members for members in found.values() if len(members) > 1]


def pairs(key: Callable[[Architecture], object], count: int) -> list[tuple[Architecture, Architecture]]:
    generator, every = np.random.default_rng(0), classes(key)
    picked = [every[int(number)] for number in generator.permutation(len(every))[:count]]
    drawn = [(members, generator.permutation(len(members))) for members in picked]
    return [(members[order[0]], members[order[1]]) for members, order in drawn]


@runtimes
def test_cells_of_one_graph_are_optimised_to_the_same_steps(
    optimised: Callable[[Architecture, Path], Graph], count: int, tmp_path: Path
) -> None:
    for one, other in pairs(Architecture.pruned, count):
        assert optimised(one, tmp_path) == optimised(other, tmp_path), f"{one} and {other}"


@runtimes
def test_isomorphic_cells_of_different_graphs_are_not(
    optimised: Callable[[Architecture, Path], Graph], count: int, tmp_path: Path
) -> None:
    """Else the comparison sees nothing, or the official classes could be measured, which are fewer."""
    isomorphic = [(one, other) for one, other in pairs(Architecture.canonical, count) if one.pruned() != other.pruned()]
    assert len(isomorphic) >= count // 4
    differing = [optimised(one, tmp_path) != optimised(other, tmp_path) for one, other in isomorphic]
    assert sum(differing) >= len(isomorphic) // 2
