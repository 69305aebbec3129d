"""`chronas table build`: the costs of a whole space on a device, or of a random part of it."""

from __future__ import annotations

import sys
from pathlib import Path

from pydantic import Field

from chronas.cli.costs import find_costs
from chronas.cli.options import Options, part, read_names, read_options, with_names, with_parts
from chronas.cli.table import journal_beside, show_table
from chronas.devices import DEVICES, device_class, make_device
from chronas.errors import UsageError
from chronas.measurement import Cost, Plan
from chronas.spaces import SPACES, Architecture, NetworkSize, Space, make_space
from chronas.tables import expanded, representatives

DESCRIPTION = """Measure all architectures of a space on a device: a table with their official indices.

Architectures that are the same graph are measured once where the device drops what a network does not need.
What was killed goes on with the same command. --networks measures a random part; the same command with more of them,
once the table is moved away, adds to it."""


class BuildOptions(Options):
    """Options of `chronas table build` that do not depend on names."""

    networks: int | None = Field(default=None, ge=1, description="measure so many random networks instead of all")
    seed: int = Field(default=0, ge=0, description="of the order in which networks are taken")
    out: Path = Field(default=Path("costs.parquet"), description="table to write; the journal lies beside it (.sqlite)")
    plan: Plan = Field(default=Plan())
    costs: tuple[Cost, ...] = Field(default=(), description="what to measure beside the latency, after it")


def main(words: list[str]) -> int:
    """Measure, then describe the table."""
    valid = {"space": SPACES, "device": DEVICES}
    names, words = read_names(words, valid, {"space": "nasbench201", "device": "onnxruntime-cpu"})
    space = make_space(names["space"])
    chosen, words = read_names(words, {"dataset": space.sizes}, {"dataset": next(iter(space.sizes))})
    size = space.sizes[chosen["dataset"]]
    named = with_names(BuildOptions, {**valid, "dataset": space.sizes}, names | chosen)
    model = with_parts(named, {"size": size, "device": device_class(names["device"]).Config()})
    options = read_options(model, words, prog="chronas table build", description=DESCRIPTION)
    if options.out.exists():
        raise UsageError(f"{options.out} exists; choose another --out, nothing is overwritten")
    journal = journal_beside(options.out)
    every = _shuffled(space, options.seed)
    device = make_device(names["device"], part(options, "device"))
    asked = representatives(every, device)
    if options.networks is not None and options.networks > len(asked):
        raise UsageError(f"--networks: {device.name} tells {len(asked)} networks of {space.name} apart, ask for fewer")
    asked = asked[: options.networks]
    sys.stderr.write(f"{len(asked)} networks to measure, for {len(every)} architectures of {space.name}\n")
    size = NetworkSize.model_validate(part(options, "size"))
    found = find_costs(device, size, asked, options.plan, options.costs, journal, words)
    table = expanded(found, device)
    table.save(options.out)
    show_table(table, options.out, as_json=options.json_answer)
    return 0


def _shuffled(space: Space, seed: int) -> list[Architecture]:
    """All architectures of a space in a random order."""
    if not space.listable:
        raise UsageError(
            f"{space.name} has {space.cardinality:.1e} architectures, too many to build a table of: "
            f"take a sample by `chronas measure --space {space.name} --networks N`"
        )
    return space.sample(space.cardinality, seed)
