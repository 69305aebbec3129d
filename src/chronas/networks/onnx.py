"""ONNX files of networks, written directly from their graph in float32, for one batch or for any.

`torch.onnx.export` takes seconds for each network, and campaigns write thousands. Walking the traced graph and mapping
our closed set of operations takes about a tenth of that. Networks with other operations go through `torch.onnx.export`,
with a warning.

Runtimes since 2022 read opset 17 (ONNX Runtime 1.12, OpenVINO 2022.3, TensorRT 8.6); nothing newer is needed. A batch
norm that is the only reader of a convolution is folded into it in double precision, as ONNX Runtime does at load.
Sessions start sooner, files are smaller, and runtimes that do not fold are measured fairly. Unused steps are left out.
"""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path

import onnx
import torch
from onnx import TensorProto, helper
from torch import fx, nn

from chronas.errors import UsageError
from chronas.files import write_bytes
from chronas.networks.graph import Graph, trace
from chronas.networks.onnx_converters import (
    BATCH_NAME,
    CONSTANTS,
    CONVERTERS,
    INPUT_NAME,
    Steps,
    UnknownStepError,
    unknown_step,
)

OPSET = 17
IR_VERSION = 8
OUTPUT_NAME = "logits"
TRACED = 2  # examples in a file for any batch while it is written; with one, exporters may drop the axis
logger = logging.getLogger(__name__)


def write_onnx(
    path: Path,
    network: nn.Module,
    input_shape: tuple[int, ...],
    *,
    batch: int | None = 1,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write `onnx_bytes` of a network to a file by one atomic rename.

    Raises:
        UsageError: as `onnx_bytes`.
        DataError: the file cannot be written.
    """
    write_bytes(path, onnx_bytes(network, input_shape, batch=batch, metadata=metadata))


def onnx_bytes(
    network: nn.Module,
    input_shape: tuple[int, ...],
    *,
    batch: int | None = 1,
    metadata: Mapping[str, str] | None = None,
) -> bytes:
    """A network in eval mode as an ONNX model: `images` [batch, C, H, W] -> `logits` [batch, classes].

    The same network gives the same bytes. A layer that writes itself with the batch in its shapes makes a file that
    takes no other one: compare a file for any batch with PyTorch at two batches.

    Args:
        network: returns one tensor in eval mode; its own mode does not change.
        input_shape: shape of one example: channels, height and width of an image.
        batch: number of examples in one call; None: any, the first axis is named `batch`.
        metadata: texts by name to store in the model.

    Raises:
        UsageError: the network cannot be traced, does not fit the input, or has a step that neither this writer nor
            `torch.onnx.export` knows.
    """
    graph = trace(network, input_shape, batch or TRACED)
    try:
        model: bytes = _model(graph, dynamic=batch is None).SerializeToString(deterministic=True)
    except UnknownStepError as error:
        logger.warning("%s has no direct ONNX form: torch.onnx.export writes the network, slowly; check it", error)
        images = torch.zeros(batch or TRACED, *input_shape, device=graph.device)
        model = _exported(network, images, str(error), dynamic=batch is None)
    return model if metadata is None else _with_metadata(model, metadata)


def _with_metadata(model: bytes, metadata: Mapping[str, str]) -> bytes:
    proto = onnx.load_from_string(model)
    helper.set_model_props(proto, dict(metadata))
    found: bytes = proto.SerializeToString(deterministic=True)
    return found


def _model(graph: Graph, *, dynamic: bool) -> onnx.ModelProto:
    images, output = graph.nodes[0], graph.nodes[-1]
    logits = output.args[0]
    if not isinstance(logits, fx.Node) or not isinstance(graph.values[output], torch.Tensor):
        got = type(graph.values[output]).__name__
        raise UsageError(f"a network should return one tensor in eval mode to become an ONNX file, got a {got}")
    steps = Steps(graph, dynamic=dynamic)
    steps.names[images] = INPUT_NAME
    used = _used(output)
    for node in graph.nodes[1:-1]:
        if node in used and isinstance(graph.values[node], torch.Tensor):
            _write(steps, node)
    steps.protos.append(helper.make_node("Identity", [steps.names[logits]], [OUTPUT_NAME], name=OUTPUT_NAME))
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, steps.declared(node))
        for name, node in ((INPUT_NAME, images), (OUTPUT_NAME, logits))
    ]
    proto = helper.make_graph(steps.protos, "network", ends[:1], ends[1:], [*steps.initializers.values()])
    opsets = [helper.make_opsetid("", OPSET)]
    return helper.make_model(proto, opset_imports=opsets, ir_version=IR_VERSION, producer_name="chronas")


def _write(steps: Steps, node: fx.Node) -> None:
    if node.op == "get_attr":
        steps.names[node] = steps.initializer(str(node.target), steps.graph.attribute(node))
        return
    kind = type(steps.graph.layer(node)) if node.op == "call_module" else node.target
    if kind not in CONVERTERS:
        raise unknown_step(steps.graph, node)
    CONVERTERS[kind](steps, node)


def _used(output: fx.Node) -> set[fx.Node]:
    """The steps that the output depends on; constants depend on nothing."""
    found: set[fx.Node] = set()
    waiting = [output]
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            if node.target not in CONSTANTS:
                waiting.extend(node.all_input_nodes)
    return found


def _exported(network: nn.Module, images: torch.Tensor, step: str, *, dynamic: bool) -> bytes:
    """The model by PyTorch's older exporter, because the newer one needs the package onnxscript."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", message="Constant folding", category=UserWarning)
        path = Path(folder) / "model.onnx"
        try:
            torch.onnx.export(
                network,
                (images,),
                path,
                input_names=[INPUT_NAME],
                output_names=[OUTPUT_NAME],
                opset_version=OPSET,
                dynamic_axes={name: {0: BATCH_NAME} for name in (INPUT_NAME, OUTPUT_NAME)} if dynamic else None,
                dynamo=False,
            )
        except (torch.onnx.errors.OnnxExporterError, RuntimeError) as error:
            reason = str(error).partition("\n")[0]
            raise UsageError(
                f"{step} has no ONNX form, in torch.onnx.export neither ({reason}): use another"
            ) from error
        return path.read_bytes()
