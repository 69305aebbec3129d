"""`chronas measure lookup`: costs of each distinct block of a chain of layers, and the accuracy of their sums."""

from __future__ import annotations

from chronas.cli.flags import LookupOptions
from chronas.cli.options import Call, Groups
from chronas.cli.output import write, write_json, write_table
from chronas.cli.steps import check_new, find_costs, journal_beside, published_size, size_of
from chronas.cli.table import show_table
from chronas.devices import device_class, make_device
from chronas.errors import UsageError
from chronas.measurement import Plan
from chronas.predictors import Lookup
from chronas.spaces import SPACES, Space, make_space
from chronas.tables import BlockCosts, BlockNetworks, added_up, as_block_table

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
    check_new(options.out, options.save_blocks, options.save_predictor)
    space, journal = make_space(options.space), journal_beside(options.out)
    size = size_of(call, space)
    networks = BlockNetworks.of(space, size)
    device = make_device(options.device, call.groups["device"])
    single = networks.architectures
    asked = [*single, *space.sample(options.networks, options.seed, exclude=frozenset(single))]
    blocks, table = added_up(find_costs(call, device, size, asked, journal), networks)
    table.save(options.out)
    if options.save_blocks is not None:
        as_block_table(table, networks, options.dataset or next(iter(space.sizes))).save(options.save_blocks)
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
    """For layers of one shape: the name of each block and its additional cost in one of them, in us."""
    return [
        {"layers": ", ".join(map(str, place))}
        | {
            name: float(blocks.slots[space.offsets[place[0]] + option]) * MICROSECONDS
            for option, name in enumerate(space.decisions[place[0]].options)
        }
        for place in networks.places
    ]
