"""`chronas measure run`, `bundle` and `check`, and `chronas table build`: tables of costs of whole networks."""

from __future__ import annotations

import sys
from contextlib import nullcontext

from chronas.cli.errors import resumable
from chronas.cli.flags import BuildOptions, BundleOptions, CheckOptions, MeasureOptions
from chronas.cli.options import Call, Groups
from chronas.cli.output import write, write_json
from chronas.cli.steps import check_new, find_costs, journal_beside, published_size, run_of, size_of
from chronas.cli.table import show_table
from chronas.devices import DEVICES, CpuConfig, device_class, device_like, make_device
from chronas.errors import UsageError
from chronas.measurement import Plan, write_bundle
from chronas.progress import progress_display
from chronas.runs import Run, measure
from chronas.spaces import Architecture, Space, make_space
from chronas.tables import CostTable, expanded, remeasured, representatives
from chronas.units import mib_from_bytes


def groups_of(options: MeasureOptions | BundleOptions | BuildOptions) -> Groups:
    """Size, device and plan."""
    size = published_size(make_space(options.space), getattr(options, "dataset", None))
    return Groups({"size": size, "device": device_class(options.device).Config(), "plan": Plan()})


def run(call: Call[MeasureOptions]) -> int:
    """Measure, then describe the table."""
    own = run_of(call, "measure run")
    if own is not None:
        return _of_run(own, again=call.options.again, as_json=call.options.json_answer)
    options = call.options
    check_new(options.out)
    space, journal = make_space(options.space), journal_beside(options.out)
    size = size_of(call, space)
    device = make_device(options.device, call.groups["device"])
    table = find_costs(call, device, size, space.sample(options.networks, options.seed), journal, options.costs)
    table.save(options.out)
    show_table(table, options.out, as_json=options.json_answer)
    return 0


def _of_run(own: Run, *, again: bool, as_json: bool) -> int:
    with own.working(), resumable(f"chronas measure run {own.folder}"), progress_display() as progress:
        if again:
            own.set_aside("costs.parquet", "journal.sqlite")
        table = measure(own, progress)
    show_table(table, own.folder / "costs.parquet", as_json=as_json)
    return 0


def bundle(call: Call[BundleOptions]) -> int:
    """Write the folder, then explain its use."""
    options, config = call.options, call.groups["device"]
    if not device_class(options.device).bundles or not isinstance(config, CpuConfig) or config.dtype != "float32":
        able = [name for name in DEVICES if device_class(name).bundles]
        raise UsageError(f"a bundle is for --device {' or '.join(able)} in float32: run.py times that, no other")
    space = make_space(options.space)
    architectures = space.sample(options.networks, options.seed)
    with progress_display() as progress:
        write_bundle(
            options.out,
            size_of(call, space),
            architectures,
            Plan.model_validate(call.groups["plan"]),
            threads=config.threads,
            batch=config.batch,
            progress=progress,
        )
    size = sum(path.stat().st_size for path in options.out.rglob("*") if path.is_file())
    if options.json_answer:
        write_json({"path": str(options.out), "networks": len(architectures), "bytes": size})
    else:
        write((options.out / "README.txt").read_text(encoding="utf-8"))
        write(f"\n{options.out}: {len(architectures)} networks, {mib_from_bytes(size):.1f} MiB")
    return 0


def check(call: Call[CheckOptions]) -> int:
    """Measure a sample of a table again."""
    options, path = call.options, call.options.table
    own = Run.open(path) if path.is_dir() else None
    path = path / "costs.parquet" if path.is_dir() else path
    with nullcontext() if own is None else own.working():
        table = CostTable.load(path)
        journal = path.with_name(f"{path.stem}.check-{len(table.provenance.checks) + 1}.sqlite")
        device = device_like(table.provenance.device)
        with resumable("the same command"), progress_display() as progress:
            table = remeasured(table, device, journal, networks=options.networks, seed=options.seed, progress=progress)
        table.save(path)
    show_table(table, path, as_json=options.json_answer, rows=0)
    return 0


def build(call: Call[BuildOptions]) -> int:
    """Measure a whole space, then describe the table."""
    options = call.options
    check_new(options.out)
    space, journal = make_space(options.space), journal_beside(options.out)
    every = _shuffled(space, options.seed)
    device = make_device(options.device, call.groups["device"])
    asked = representatives(every, device)
    if options.networks is not None and options.networks > len(asked):
        raise UsageError(f"--networks: {device.name} tells {len(asked)} networks of {space.name} apart, ask for fewer")
    asked = asked[: options.networks]
    sys.stderr.write(f"{len(asked)} networks to measure, for {len(every)} architectures of {space.name}\n")
    table = expanded(find_costs(call, device, size_of(call, space), asked, journal, options.costs), device)
    table.save(options.out)
    show_table(table, options.out, as_json=options.json_answer)
    return 0


def _shuffled(space: Space, seed: int) -> list[Architecture]:
    """All architectures of a space in a random order."""
    if not space.listable:
        raise UsageError(
            f"{space.name} has {space.cardinality:.1e} architectures, too many to build a table of: "
            f"take a sample by `chronas measure run --space {space.name} --networks N`"
        )
    return space.sample(space.cardinality, seed)
