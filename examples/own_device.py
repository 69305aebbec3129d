"""Bring your own device: anything that can time a network is one small class.

Here a runner asks a function for its timings; yours would send the ONNX bytes to a board and read the numbers back.

python examples/own_device.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import onnx

from chronas.devices import CpuConfig, Device, Model, Runner
from chronas.measurement import Plan, run_campaign
from chronas.networks import onnx_bytes
from chronas.spaces import NetworkSize, make_space
from chronas.tables import CostTable


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


space = make_space("nasbench201")
size = NetworkSize(input_shape=(3, 16, 16), outputs=10, width=8, depth=1)
with tempfile.TemporaryDirectory() as folder:
    journal = Path(folder) / "journal.sqlite"
    run_campaign(Board(CpuConfig()), size, space.sample(10, seed=0), Plan(), journal)
    table = CostTable.from_journal(journal)
for architecture, latency_ms in zip(table.architectures(), table.costs(), strict=True):
    print(f"{latency_ms:.2f} ms  {architecture}")
