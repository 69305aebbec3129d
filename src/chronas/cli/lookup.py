"""`chronas measure --lookup`: what each distinct block of a chain of layers costs, and how well that adds up."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from chronas.cli.costs import find_costs
from chronas.cli.options import Options, part, read_names, read_options, with_names, with_parts
from chronas.cli.output import write, write_json, write_table
from chronas.cli.table import journal_beside, show_table
from chronas.devices import DEVICES, device_class, make_device
from chronas.errors import UsageError
from chronas.measurement import Plan
from chronas.predictors import Lookup
from chronas.spaces import SPACES, NetworkSize, Space, make_space
from chronas.tables import BlockCosts, BlockNetworks, added_up, as_block_table

DESCRIPTION = """Measure each distinct block of a space of layers, and how well blocks add up to whole networks.

A block is measured in a network of cheapest blocks (skip), in all layers of its shape at once. The table has these
networks and the whole ones. What was killed goes on with the same command."""
MICROSECONDS = 1000.0  # in a millisecond


class LookupOptions(Options):
    """Options of `chronas measure --lookup` that do not depend on names."""

    networks: int = Field(default=200, ge=2, description="whole random networks that sums of blocks are compared with")
    seed: int = Field(default=0, ge=0, description="of these networks")
    out: Path = Field(
        default=Path("blocks.parquet"), description="table to write; the journal lies beside it (.sqlite)"
    )
    save_blocks: Path | None = Field(
        default=None, description="also write the blocks' costs, as `chronas table query` reads them (.parquet)"
    )
    save_predictor: Path | None = Field(
        default=None, description="also write the sums of blocks as a predictor (.safetensors)"
    )
    plan: Plan = Field(default=Plan())


def main(words: list[str]) -> int:
    """Measure, then tell what blocks cost and how well they add up."""
    layered = {name: SPACES[name] for name in SPACES if not make_space(name).topology.cells}
    valid = {"space": layered, "device": DEVICES}
    names, words = read_names(words, valid, {"space": next(iter(layered)), "device": "onnxruntime-cpu"})
    space = make_space(names["space"])
    chosen, words = read_names(words, {"dataset": space.sizes}, {"dataset": next(iter(space.sizes))})
    named = with_names(LookupOptions, {**valid, "dataset": space.sizes}, names | chosen)
    config = device_class(names["device"]).Config()
    model = with_parts(named, {"size": space.sizes[chosen["dataset"]], "device": config})
    options = read_options(model, words, prog="chronas measure --lookup", description=DESCRIPTION)
    written = [path for path in (options.out, options.save_blocks, options.save_predictor) if path is not None]
    for path in written:
        if path.exists() or written.count(path) > 1:
            raise UsageError(f"{path} exists or is given twice; choose another name, nothing is overwritten")
    journal = journal_beside(options.out)
    size = NetworkSize.model_validate(part(options, "size"))
    networks = BlockNetworks.of(space, size)
    device = make_device(names["device"], part(options, "device"))
    single = networks.architectures
    asked = [*single, *space.sample(options.networks, options.seed, exclude=frozenset(single))]
    blocks, table = added_up(find_costs(device, size, asked, options.plan, (), journal, words), networks)
    table.save(options.out)
    if options.save_blocks is not None:
        as_block_table(table, networks, chosen["dataset"]).save(options.save_blocks)
    if options.save_predictor is not None:
        Lookup.of_blocks(table).save(options.save_predictor)
    rows = _rows(space, networks, blocks)
    if options.json_answer:
        write_json({"path": str(options.out), "plain_ms": blocks.base, "blocks": rows, **dict(table.describe())})
        return 0
    write(f"what a block adds to {blocks.base:.4g} ms of the network of cheapest blocks, in us")
    write_table(tuple(rows[0]), [tuple(row.values()) for row in rows])
    show_table(table, options.out, as_json=False, rows=0)
    return 0


def _rows(space: Space, networks: BlockNetworks, blocks: BlockCosts) -> list[dict[str, str | float]]:
    """By layers of one shape: the name of each block and what it adds in one of them, in us."""
    return [
        {"layers": ", ".join(map(str, place))}
        | {
            name: float(blocks.slots[space.offsets[place[0]] + option]) * MICROSECONDS
            for option, name in enumerate(space.decisions[place[0]].options)
        }
        for place in networks.places
    ]
