"""Writes bundles: folders that time networks on machines without chronas, with only numpy and onnxruntime.

    write_bundle(Path("bundle"), size, space.sample(200, seed=0), Plan())

The networks share one file of random weights (`external_weights.py`). `run.py` and its imports come from the folder
`runner`. `manifest.json` lists the networks and the plan. `results.py` reads the results.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from scipy.special import stdtrit

from chronas import __version__
from chronas.errors import UsageError
from chronas.files import sha256, whole_folder, write_text
from chronas.measurement.bundle.external_weights import ExternalWeights
from chronas.measurement.bundle.runner.run import BUNDLE_SCHEMA
from chronas.measurement.state import reference_of
from chronas.measurement.timing import CONFIDENCE, Plan
from chronas.networks import build, onnx_bytes
from chronas.progress import Progress, silent
from chronas.spaces import Architecture, NetworkSize

NETWORKS = "networks"
WEIGHTS = "weights.bin"
# Files of chronas that a bundle runs, by package.
COPIED = {
    "chronas.measurement.bundle.runner": ("run.py", "schedule.py", "timer.py", "lines.py"),
    "chronas.measurement": ("drift.py",),
    "chronas.devices": ("hardware.py",),
}
COPIED_IMPORT = re.compile(r"from chronas\.measurement(?:\.bundle\.runner)?\.(\w+) import")
MACHINE = """\"\"\"Facts about this machine, and real-time priority while timing.\"\"\"

from program.hardware import NORMAL, cpu_model, operating_system, realtime_priority, usable_cores

__all__ = ["NORMAL", "cpu_model", "operating_system", "realtime_priority", "usable_cores"]
"""
README = """\
{count} networks of the space {space} ({size}), to be timed on any machine.

1. Copy this folder to that machine. It needs Python 3.9 or newer: pip install numpy onnxruntime
2. There: python run.py
   It shows the time left. After a stop, the same command resumes. Let nothing else run in the meantime; on
   Linux, root (sudo) may also keep other programs out by real-time priority.
3. Copy results.jsonl back, and where chronas is: chronas table import results.jsonl

Up to {block} networks are held in memory at a time. Too many? Make the bundle again with a smaller --plan.block.
`python run.py --help` lists options for threads and other execution providers.
"""


class BundleFile(BaseModel):
    """A file of a bundle."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str = Field(description="its path in the bundle")
    sha256: str = Field(description="checksum of its bytes, in hexadecimal digits")


class BundleNetwork(BundleFile):
    """A network of a bundle."""

    architecture: str = Field(description="its text form")


class Manifest(BaseModel):
    """The description of a bundle: `manifest.json`, also stored with its results."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    schema_name: Literal["chronas.bundle/1", "chronas.bundle/2"] = Field(alias="schema", description="kind of file")
    version: str = Field(description="version of chronas")
    created: str = Field(description="date and time (UTC, ISO 8601)")
    space: str = Field(description="name of the space")
    size: NetworkSize = Field(description="size of the networks")
    plan: Plan = Field(description="how they are measured")
    quantiles: tuple[float, ...] = Field(
        description="97.5 % quantiles of Student's t with 1, 2, ... degrees of freedom"
    )
    threads: int = Field(ge=1, le=1024, description="threads that a network may use")
    batch: int = Field(ge=1, le=4096, description="images in one timed run")
    weights: BundleFile = Field(description="the shared weights of all networks")
    reference: BundleNetwork = Field(description="the network that shows drift")
    networks: tuple[BundleNetwork, ...] = Field(min_length=1, description="networks to measure, in the order of blocks")


def write_bundle(
    folder: Path,
    size: NetworkSize,
    architectures: Sequence[Architecture],
    plan: Plan,
    *,
    threads: int = 1,
    batch: int = 1,
    progress: Progress = silent,
) -> Manifest:
    """Write a bundle; the folder is written completely or not at all.

    Args:
        folder: the new folder.
        size: size of the networks.
        architectures: architectures of one space; duplicates are measured once.
        plan: rounds, repeats, and the wanted width of intervals.
        threads: threads that a network may use; `run.py --threads` overrides it.
        batch: images in one timed run.
        progress: called after each network ("bundle").

    Raises:
        UsageError: the folder exists, there is no architecture, there are several spaces, or the size does not fit.
        DataError: the folder cannot be written.
    """
    if folder.exists():
        raise UsageError(f"{folder} exists; choose another --out, nothing is overwritten")
    spaces = {architecture.space.name: architecture.space for architecture in architectures}
    if len(spaces) != 1:
        raise UsageError(f"a bundle has architectures of one space, got {len(architectures)} of {sorted(spaces)}")
    (space,) = spaces.values()
    with whole_folder(folder) as unfinished:
        writer = _Writer(unfinished, size, batch)
        distinct = list(dict.fromkeys(architectures))
        networks = []
        for number, architecture in enumerate(distinct):
            networks.append(writer.add(architecture, f"{number:05d}"))
            progress("bundle", number + 1, len(distinct), "writing networks")
        manifest = Manifest(
            schema=BUNDLE_SCHEMA,
            version=__version__,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            space=space.name,
            size=size,
            plan=plan,
            quantiles=tuple(float(stdtrit(n, (1 + CONFIDENCE) / 2)) for n in range(1, plan.max_rounds)),
            threads=threads,
            batch=batch,
            reference=writer.add(reference_of(space), "reference"),
            weights=writer.weights(),
            networks=tuple(networks),
        )
        writer.finish(manifest)
    return manifest


class _Writer:
    """A bundle while it is written."""

    def __init__(self, folder: Path, size: NetworkSize, batch: int) -> None:
        self.folder, self.size, self.batch = folder, size, batch
        self.shared = ExternalWeights(WEIGHTS)
        (folder / NETWORKS).mkdir()

    def add(self, architecture: Architecture, name: str) -> BundleNetwork:
        """Write a network without its weights."""
        network = build(architecture, self.size).eval()
        model = self.shared.share(onnx_bytes(network, self.size.input_shape, batch=self.batch))
        file = f"{NETWORKS}/{name}.onnx"
        (self.folder / file).write_bytes(model)
        return BundleNetwork(file=file, sha256=hashlib.sha256(model).hexdigest(), architecture=str(architecture))

    def weights(self) -> BundleFile:
        """Write the weights of all networks so far."""
        path = self.shared.write(self.folder / NETWORKS)
        return BundleFile(file=f"{NETWORKS}/{WEIGHTS}", sha256=sha256(path))

    def finish(self, manifest: Manifest) -> None:
        """Write the manifest, the program, and a text for people."""
        write_text(self.folder / "manifest.json", manifest.model_dump_json(by_alias=True, indent=1) + "\n")
        for name, content in program().items():
            write_text(self.folder / name, content)
        what = {"count": len(manifest.networks), "space": manifest.space, "size": manifest.size}
        write_text(self.folder / "README.txt", README.format(**what, block=manifest.plan.block))


def program() -> dict[str, str]:
    """The texts of `run.py` and its imports, by path in the bundle; they need only numpy and onnxruntime."""
    found = {"program/machine.py": MACHINE}
    for package, names in COPIED.items():
        for name in names:
            text = resources.files(package).joinpath(name).read_text(encoding="utf-8")
            text = text.replace("from chronas.devices import", "from program.machine import")
            text = COPIED_IMPORT.sub(r"from program.\1 import", text)
            found[name if name == "run.py" else f"program/{name}"] = text
    return found
