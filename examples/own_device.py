"""Bring your own device: anything that can time a network is one small class.

Here a runner asks a function for its timings; yours would send the ONNX bytes to a board and read the numbers back.

python examples/own_device.py
"""

from __future__ import annotations

import onnx

import chronas
from chronas.devices import CpuConfig, Device, Model, Runner
from chronas.networks import onnx_bytes


def time_on_my_board(model: bytes) -> float:
    """Milliseconds of one run; this stand-in charges every node of the graph 10 microseconds."""
    return 0.01 * len(onnx.load_from_string(model).graph.node)


class BoardRunner(Runner):
    """One network on the board."""

    def __init__(self, model: bytes, input_shape: tuple[int, ...]) -> None:
        self.model = model
        self.input_shape = input_shape

    def _round(self, index: int, warmup: int, repeats: int) -> list[float]:
        timed = [time_on_my_board(self.model) for _ in range(warmup + repeats)]
        return timed[warmup:]

    def close(self) -> None:
        self.model = b""


class Board(Device):
    """My board; an entry point in the group `chronas.devices` would make it a `--device` of the command line."""

    name = "my-board"
    Config = CpuConfig
    prunes_dead_nodes = False

    @classmethod
    def unavailable(cls) -> str | None:
        return None

    @property
    def hardware(self) -> str:
        return "my board"

    def fingerprint(self) -> dict[str, str | int | float]:
        return {"name": self.name, "hardware": self.hardware, "runtime": "mine", "threads": 1, "batch": 1}

    def _prepare(self, model: Model) -> Runner:
        return BoardRunner(onnx_bytes(model.module(), model.input_shape), (1, *model.input_shape))


size = chronas.NetworkSize(input_shape=(3, 16, 16), outputs=10, width=8, depth=1)
table = chronas.measure("nasbench201", Board(CpuConfig()), size=size, networks=10)
for architecture, latency_ms in zip(table.architectures(), table.costs(), strict=True):
    print(f"{latency_ms:.2f} ms  {architecture}")
