"""`chronas measure run`, `bundle` and `check`, and `chronas table build`: tables of costs of whole networks."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

from chronas.cli.flags import AdaptiveOptions, BundleOptions, CheckOptions, LookupOptions, MeasureOptions
from chronas.cli.options import Call, Groups
from chronas.cli.output import note, resumable, write, write_json, write_table
from chronas.cli.steps import check_new, find_costs, published_size, run_of, size_of
from chronas.cli.table import show_table
from chronas.cli.table_flags import BuildOptions
from chronas.devices import DEVICES, CpuConfig, device_class, device_like, make_device
from chronas.errors import UsageError
from chronas.files import Commit, finish_commit
from chronas.measurement import Plan, read_journal, write_bundle
from chronas.predictors import AdaptiveMeasurement, Lookup, make_predictor, measure_until, predictor_class
from chronas.progress import progress_display
from chronas.runs import Run, measure
from chronas.spaces import SPACES, Architecture, Space, make_space
from chronas.tables import (
    BlockCosts,
    BlockNetworks,
    CostTable,
    added_up,
    as_block_table,
    expanded,
    journal_beside,
    remeasured,
    representatives,
    shipped_tables,
    table_path,
)
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
    path = path / "costs.parquet" if path.is_dir() else table_path(path)
    if path in shipped_tables():
        raise UsageError(f"{options.table} comes with chronas and was not measured here: give a table of yours")
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
    note(f"{len(asked)} networks to measure, for {len(every)} architectures of {space.name}")
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


# ----
# `chronas measure lookup`: costs of each distinct block of a chain of layers, and the accuracy of their sums.

MICROSECONDS = 1000.0  # in a millisecond


def lookup_groups_of(options: LookupOptions) -> Groups:
    """Size, device and plan.

    Raises:
        UsageError: the space is not a chain of layers, or has no such data set.
    """
    space = make_space(options.space)
    if space.topology.cells:
        layered = [name for name in SPACES if not make_space(name).topology.cells]
        raise UsageError(f"{space.name} is no chain of layers, so it has no blocks: give one of {', '.join(layered)}")
    config = device_class(options.device).Config()
    return Groups({"size": published_size(space, options.dataset), "device": config, "plan": Plan()})


def lookup(call: Call[LookupOptions]) -> int:
    """Measure, then show the costs of blocks and the accuracy of their sums."""
    options = call.options
    finished = finish_commit(options.out)
    if not finished:
        check_new(options.out, options.save_blocks, options.save_predictor)
    space, journal = make_space(options.space), journal_beside(options.out)
    size = size_of(call, space)
    networks = BlockNetworks.of(space, size)
    device = make_device(options.device, call.groups["device"])
    single = networks.architectures
    asked = [*single, *space.sample(options.networks, options.seed, exclude=frozenset(single))]
    blocks, table = added_up(find_costs(call, device, size, asked, journal), networks)
    if not finished:
        with Commit(options.out) as commit:
            table.save(commit.staged(options.out))
            if options.save_blocks is not None:
                dataset = options.dataset or next(iter(space.sizes))
                as_block_table(table, networks, dataset).save(commit.staged(options.save_blocks))
            if options.save_predictor is not None:
                Lookup.of_blocks(table).save(commit.staged(options.save_predictor))
    rows = _rows(space, networks, blocks)
    if options.json_answer:
        write_json({"path": str(options.out), "plain_ms": blocks.base, "blocks": rows, **dict(table.describe())})
        return 0
    write(f"what a block adds to {blocks.base:.4g} ms of the network of cheapest blocks, in us")
    write_table(tuple(rows[0]), [tuple(row.values()) for row in rows])
    show_table(table, options.out, as_json=False, rows=0)
    return 0


def _rows(space: Space, networks: BlockNetworks, blocks: BlockCosts) -> list[dict[str, str | float]]:
    """For layers of one shape: the name of each block and its additional cost in one of them, in us."""
    return [
        {"layers": ", ".join(map(str, place))}
        | {
            name: float(blocks.slots[space.offsets[place[0]] + option]) * MICROSECONDS
            for option, name in enumerate(space.decisions[place[0]].options)
        }
        for place in networks.places
    ]


# ----
# `chronas measure adaptive`: measures as many networks as a predictor needs, and no more.

WORDS = {
    "error": "Reached: the error is below {wanted:g} %.",
    "noise": "The error is as small as the measurements' own noise: more networks will not bring it to {wanted:g} %, "
    "more rounds (--plan.rounds) may.",
    "budget": "The budget of {networks} networks is spent before {wanted:g} %: move the table away and give more "
    "--networks; the journal is continued.",
}


def adaptive_groups_of(options: AdaptiveOptions) -> Groups:
    """Size, device, plan and predictor."""
    return Groups(
        {
            "size": published_size(make_space(options.space), None),
            "device": device_class(options.device).Config(),
            "plan": Plan(),
            "predictor": predictor_class(options.predictor).Config(),
        }
    )


def adaptive(call: Call[AdaptiveOptions]) -> int:
    """Measure, then report the number of networks and the error."""
    options = call.options
    check_new(options.out)
    if options.cost is not None and options.cost not in {"latency_ms", *options.costs}:
        raise UsageError(f"--cost {options.cost} is not measured: give it to --costs too")
    space, journal = make_space(options.space), journal_beside(options.out)
    device, size = make_device(options.device, call.groups["device"]), size_of(call, space)

    def measure(architectures: Sequence[Architecture]) -> CostTable:
        return find_costs(call, device, size, architectures, journal, options.costs)

    begun = [space.parse(text) for text in read_journal(journal).networks] if journal.exists() else []
    found = measure_until(
        make_predictor(options.predictor, space, size, call.groups["predictor"]),
        measure,
        error_percent=options.until_mape,
        budget=options.networks,
        seed=options.seed,
        begun=begun,
        cost=options.cost,
    )
    chance = f"{found.steps[-1].random} networks at random, others where {options.predictor} was unsure,"
    found.table.from_source(f"{found.table.provenance.source}; {chance}").save(options.out)
    _show(found, options)
    return 0


def _show(found: AdaptiveMeasurement, options: AdaptiveOptions) -> None:
    """The steps and the result."""
    rows = [(s.networks, s.random, s.error_percent, s.standard_error_percent, s.noise_percent) for s in found.steps]
    columns = ("networks", "random", "error %", "+-", "noise %")
    if options.json_answer:
        keys = ("networks", "random", "error_percent", "standard_error_percent", "noise_percent")
        steps = [dict(zip(keys, row, strict=True)) for row in rows]
        write_json({"path": str(options.out), "reason": found.reason, "steps": steps})
        return
    write_table(columns, rows)
    write("\n" + WORDS[found.reason].format(wanted=options.until_mape, networks=len(found.table)))
    write(f"table: {options.out}")
