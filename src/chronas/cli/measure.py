"""`chronas measure`: a table of costs, as a step of a run or as a loose file."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from chronas.cli import adaptive, lookup, remeasure
from chronas.cli.costs import find_costs
from chronas.cli.errors import resumable
from chronas.cli.options import Options, part, read_names, read_options, with_names, with_parts
from chronas.cli.output import progress_display, write, write_json
from chronas.cli.run_argument import take_run
from chronas.cli.table import journal_beside, show_table
from chronas.devices import DEVICES, CpuConfig, Device, device_class, make_device
from chronas.errors import UsageError
from chronas.measurement import Cost, Plan, write_bundle
from chronas.runs import Run, measure
from chronas.spaces import SPACES, NetworkSize, Space, make_space
from chronas.units import mib_from_bytes

DESCRIPTION = """Measure random networks of a space on a device: a table of costs, and a journal of every sample.

`chronas measure --check TABLE` measures a sample of a table again and tells how well that agrees.
`chronas measure --lookup` measures each distinct block of a space of layers (fbnet), and how well blocks add up.
`chronas measure --until-mape 4` measures as many networks as a predictor needs for an error of 4 %, and no more.
With --bundle FOLDER the networks are measured elsewhere, by the run.py of that folder; `chronas table import` reads
what comes back.

Given a run folder, `chronas measure RUN` does this step of the run; --again does it anew and keeps the old result."""


class MeasureOptions(Options):
    """Options of `chronas measure` that do not depend on names."""

    networks: int = Field(default=500, ge=1, description="random architectures, distinct, uniform over the space")
    seed: int = Field(default=0, ge=0, description="of the architectures")
    out: Path = Field(default=Path("costs.parquet"), description="table to write; the journal lies beside it (.sqlite)")
    bundle: Path | None = Field(
        default=None, description="measure elsewhere: write a folder that needs numpy and onnxruntime alone, no table"
    )
    plan: Plan = Field(default=Plan())
    costs: tuple[Cost, ...] = Field(default=(), description="what to measure beside the latency, after it")


def main(words: list[str]) -> int:
    """Measure, then describe the table."""
    given = {word.partition("=")[0] for word in words}
    if "--check" in given:
        return remeasure.main(words)
    if "--lookup" in given:
        return lookup.main([word for word in words if word != "--lookup"])
    if "--until-mape" in given:
        return adaptive.main(words)
    run, again, words = take_run(words, "chronas measure")
    if run is not None:
        return _of_run(run, words, again=again)
    valid = {"space": SPACES, "device": DEVICES}
    names, words = read_names(words, valid, {"space": "darts", "device": "onnxruntime-cpu"})
    space = make_space(names["space"])
    size = next(iter(space.sizes.values()))
    named = with_names(MeasureOptions, valid, names)
    model = with_parts(named, {"size": size, "device": device_class(names["device"]).Config()})
    options = read_options(model, words, prog="chronas measure", description=DESCRIPTION)
    if options.bundle is not None:
        return _bundle(options, options.bundle, space, device_class(names["device"]), out="--out" in given)
    if options.out.exists():
        raise UsageError(f"{options.out} exists; choose another --out, nothing is overwritten")
    journal = journal_beside(options.out)
    chosen = _size(options, space)
    device = make_device(names["device"], part(options, "device"))
    architectures = space.sample(options.networks, options.seed)
    table = find_costs(device, chosen, architectures, options.plan, options.costs, journal, words)
    table.save(options.out)
    show_table(table, options.out, as_json=options.json_answer)
    return 0


def _size(options: MeasureOptions, space: Space) -> NetworkSize:
    chosen = NetworkSize.model_validate(part(options, "size"))
    if chosen.stem not in space.topology.stems:
        raise UsageError(f"space {space.name} has no {chosen.stem} stem: give one of {', '.join(space.topology.stems)}")
    return chosen


def _bundle(options: MeasureOptions, folder: Path, space: Space, device: type[Device], *, out: bool) -> int:
    config = part(options, "device")
    if not device.bundles or not isinstance(config, CpuConfig) or config.dtype != "float32":
        able = [name for name in DEVICES if device_class(name).bundles]
        raise UsageError(f"--bundle is for --device {' or '.join(able)} in float32: run.py times that, no other")
    if out:
        raise UsageError("--bundle writes no table, so --out does nothing: leave it out, give it to `table import`")
    if options.costs:
        raise UsageError("--bundle times networks and measures nothing else: leave --costs out")
    architectures = space.sample(options.networks, options.seed)
    with progress_display() as progress:
        write_bundle(
            folder,
            _size(options, space),
            architectures,
            options.plan,
            threads=config.threads,
            batch=config.batch,
            progress=progress,
        )
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    if options.json_answer:
        write_json({"path": str(folder), "networks": len(architectures), "bytes": size})
    else:
        write((folder / "README.txt").read_text(encoding="utf-8"))
        write(f"\n{folder}: {len(architectures)} networks, {mib_from_bytes(size):.1f} MiB")
    return 0


def _of_run(run: Run, words: list[str], *, again: bool) -> int:
    options = read_options(Options, words, prog="chronas measure RUN", description=DESCRIPTION)
    with run.working(), resumable(f"chronas measure {run.folder}"), progress_display() as progress:
        if again:
            run.set_aside("costs.parquet", "journal.sqlite")
        table = measure(run, progress)
    show_table(table, run.folder / "costs.parquet", as_json=options.json_answer)
    return 0
