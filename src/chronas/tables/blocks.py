"""Costs of single blocks in a chain of layers, measured in networks that isolate them, and the accuracy of their sums.

FBNet (https://arxiv.org/abs/1812.03443) and HW-NAS-Bench (https://arxiv.org/abs/2103.10584) time each block alone and
add the times. We time a block inside a network: all layers of one shape have this block, all other layers have the
cheapest block (`skip`), and the network of cheapest blocks alone is subtracted. A session with a single block spends
time on changing the layout of its input and output and on the call, which a whole network spends once. Both kinds of
sums are too low on a CPU (docs/log.md), because small networks stay in the caches. So sums are levelled: multiplied by
one factor that whole networks determine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from chronas.errors import DataError, UsageError
from chronas.networks import space_counts
from chronas.spaces import Architecture, NetworkSize, Space
from chronas.tables.block_table import KEYS, BlockOrigin, BlockQuality, BlockTable
from chronas.tables.provenance import Additivity, Repeatability
from chronas.tables.table import CostTable

OUTSIDE = (0.025, 0.975)  # quantiles at the ends of a 95 % interval


@dataclass(frozen=True)
class BlockNetworks:
    """The networks that isolate the cost of each distinct block.

    Attributes:
        plain: the network that has only cheapest blocks.
        places: groups of decisions whose layers have the same shape and so the same blocks, ascending.
        single: (number of the place, option) -> the network with that option there and cheapest blocks elsewhere.
    """

    plain: Architecture
    places: tuple[tuple[int, ...], ...]
    single: Mapping[tuple[int, int], Architecture]

    @classmethod
    def of(cls, space: Space, size: NetworkSize) -> BlockNetworks:
        """The networks for a space of layers in a size: 97 for FBNet.

        Raises:
            UsageError: the space is not a chain of layers with the same options, or lacks the size's stem.
        """
        places, options = _places(space, size), range(len(space.decisions[0].options))
        form = space_counts(space, size).additive
        assert form is not None  # `_places` takes chains of layers alone
        macs = form.slot_macs.reshape(len(space.decisions), len(options))
        cheapest = int(macs.sum(axis=0).argmin())

        def network(places: tuple[int, ...], option: int) -> Architecture:
            return space.architecture([option if d in places else cheapest for d in range(len(space.decisions))])

        single = {
            (number, option): network(place, option)
            for number, place in enumerate(places)
            for option in options
            if option != cheapest
        }
        return cls(network((), cheapest), places, single)

    @property
    def architectures(self) -> list[Architecture]:
        """All these networks, the plain one first."""
        return [self.plain, *self.single.values()]


@dataclass(frozen=True, eq=False)
class BlockCosts:
    """A look-up table of block costs.

    Attributes:
        base: the cost of stem, head and a cheapest block in each layer.
        slots: additional cost of each slot of the encoding [W]; zero for the cheapest blocks.
    """

    base: float
    slots: NDArray[np.float64]

    @classmethod
    def of(cls, networks: BlockNetworks, costs: Mapping[Architecture, float]) -> BlockCosts:
        """The table from the costs of the networks.

        Raises:
            DataError: a network's cost is missing.
        """
        missing = [network for network in networks.architectures if network not in costs]
        if missing:
            raise DataError(f"{len(missing)} networks of single blocks were not measured, such as {missing[0]}")
        space, base = networks.plain.space, costs[networks.plain]
        slots = np.zeros(space.encoding_length)
        for (number, option), network in networks.single.items():
            place = networks.places[number]
            for decision in place:
                slots[space.offsets[decision] + option] = (costs[network] - base) / len(place)
        return cls(base, slots)

    def levelled(self, additivity: Additivity) -> BlockCosts:
        """All costs times one factor, so that sums are right for the median whole network."""
        return BlockCosts(additivity.factor * self.base, additivity.factor * self.slots)

    def costs(self, codes: NDArray[np.float32]) -> NDArray[np.float64]:
        """Costs [N] of encodings [N, W], as a sum over layers."""
        return self.base + codes.astype(np.float64) @ self.slots


def added_up(table: CostTable, networks: BlockNetworks) -> tuple[BlockCosts, CostTable]:
    """The look-up table from a table's single blocks, and the table with the accuracy of sums for its other networks.

    Args:
        table: costs of the networks and of at least two others.
        networks: the networks for its space and size.

    Raises:
        DataError: a network of single blocks is missing, or there are fewer than two other networks.
    """
    blocks, sums, found = _sums(table, networks)
    additivity = Additivity(
        agreement=Repeatability.between(sums, found),
        error_percent=float(100 * np.mean(np.abs(sums - found) / found)),
        level_percent=100 * (float(np.median(sums / found)) - 1),
    )
    return blocks, table.like(table.frame, additivity=additivity)


def _sums(table: CostTable, networks: BlockNetworks) -> tuple[BlockCosts, NDArray[np.float64], NDArray[np.float64]]:
    """The look-up table of blocks, and for the other networks [M] their sums and measured costs."""
    architectures, measured = table.architectures(), table.costs()
    blocks = BlockCosts.of(networks, dict(zip(architectures, measured.tolist(), strict=True)))
    single = set(networks.architectures)
    whole = [row for row, architecture in enumerate(architectures) if architecture not in single]
    if len(whole) < 2:
        raise DataError(f"the accuracy of sums needs at least two whole networks, got {len(whole)}: measure more")
    return blocks, blocks.costs(table.space.encode([architectures[row] for row in whole])), measured[whole]


def as_block_table(table: CostTable, networks: BlockNetworks, dataset: str) -> BlockTable:
    """The levelled look-up of a table of single blocks, as a table for `chronas table query`.

    The cost of the plain network is one part that all architectures share. If a block costs less than the cheapest one
    by MACs, the difference is taken from that part and added to all blocks of the layer.

    Args:
        table: costs of the networks and of at least two others.
        networks: the networks for its space and size.
        dataset: name of the size.

    Raises:
        DataError: as `added_up`, or a block has a negative cost.
    """
    blocks, judged = added_up(table, networks)
    space, provenance = table.space, judged.provenance
    assert provenance.additivity is not None
    blocks = blocks.levelled(provenance.additivity)
    by_layer = blocks.slots.reshape(len(space.decisions), -1)
    least = by_layer.min(axis=1)
    column = f"{provenance.device['name']}.{provenance.cost}"
    place_of = {decision: place for place in networks.places for decision in place}
    rows = [
        (decision, name, f"{name} in layers {', '.join(map(str, place_of[decision]))}", float(cost - least[decision]))
        for decision, costs in enumerate(by_layer)
        for name, cost in zip(space.decisions[decision].options, costs, strict=True)
    ]
    frame = pl.DataFrame(
        [(None, "plain", "stem, head and the cheapest blocks", blocks.base + float(least.sum())), *rows],
        schema={**KEYS, column: pl.Float64()},
        orient="row",
    )
    source = f"{provenance.source} in single blocks, times {provenance.additivity.factor:.3f}"
    name = str(provenance.device["name"])
    origin = BlockOrigin(
        space.name,
        dataset,
        {name: provenance.device},
        source,
        provenance.created,
        provenance.version,
        quality={name: _quality(judged, networks, provenance.additivity)},
    )
    return BlockTable(frame, origin)


def _quality(table: CostTable, networks: BlockNetworks, additivity: Additivity) -> BlockQuality:
    """The accuracy of levelled sums, from the whole networks of the table."""
    _, sums, found = _sums(table, networks)
    low, high = np.quantile(100 * (found / (additivity.factor * sums) - 1), OUTSIDE)
    rounds = min(map(len, table.rounds()))
    checks = table.provenance.checks
    return BlockQuality(rounds, table.repeatability(), additivity, float(low), float(high), checks)


def _places(space: Space, size: NetworkSize) -> tuple[tuple[int, ...], ...]:
    """Groups of decisions whose layers have the same shape."""
    if space.topology.cells or len({decision.options for decision in space.decisions}) > 1:
        raise UsageError(
            f"a look-up of blocks needs a chain of layers with the same options, such as fbnet; space "
            f"{space.name} is none: measure whole networks, and fit a look-up table to them by "
            f"`chronas fit --predictor lookup`"
        )
    return tuple(tuple(places) for places in space.topology.alike(space, size))
