"""The found network of a run in int8, timed in float32 and in int8 in the same rounds: whether int8 pays here."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from chronas.files import read_as, write_json
from chronas.measurement import time_networks
from chronas.networks import read_onnx
from chronas.progress import Progress, silent
from chronas.records import Estimate
from chronas.runs.given_networks import read_network
from chronas.runs.int8 import INT8_MODEL
from chronas.runs.run import Run

FILE, SCHEMA = "both_dtypes.json", "chronas.both-dtypes/1"


@dataclass(frozen=True)
class BothDtypes:
    """Latencies of one network, measured side by side."""

    float32: Estimate
    int8: Estimate

    @property
    def share(self) -> float:
        """The latency in int8 as a share of that in float32."""
        return self.int8.value / self.float32.value


def time_both(run: Run, progress: Progress = silent) -> None:
    """Time the found network in both forms, and store `both_dtypes.json` beside its int8 file; a stored one is kept.

    Nothing is timed if the device does not compute in int8, is not here, or does not take the int8 file.
    """
    own = run.folder / "networks" / run.role
    if not run.facts.int8 or run.recorded or not run.device.takes_onnx or (own / FILE).exists():
        return
    device = type(run.device)(run.config.device_config.model_copy(update={"dtype": "float32"}))
    plain, int8 = read_network(str(own), space=run.space), read_onnx(own / INT8_MODEL)
    asked = [(device, plain.network, plain.shape), (device, int8, None)]  # the int8 file says its numbers itself
    with run.timed("compare dtypes", progress) as shown:
        float32, quantised = time_networks(asked, run.config.plan, shown)
    write_json(own / FILE, SCHEMA, asdict(BothDtypes(float32, quantised)))


def read_both(folder: Path) -> BothDtypes | None:
    """Read the result of `time_both` from a network's folder; None if there is none.

    Raises:
        DataError: the file is damaged.
    """
    return read_as(folder / FILE, SCHEMA, BothDtypes) if (folder / FILE).exists() else None
