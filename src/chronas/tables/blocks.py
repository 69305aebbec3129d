"""What each distinct block of a chain of layers costs, from networks that have nothing else, and how well that adds up.

FBNet (https://arxiv.org/abs/1812.03443) and HW-NAS-Bench (https://arxiv.org/abs/2103.10584) time each block alone and
add. We time it where it stands, in a network whose other layers have the cheapest block (`skip`), in all layers of the
same shape at once, and take the difference to the network of cheapest blocks alone. A session that holds one block
spends time on changing the layout of its input and output and on being called, which a whole network spends once.
Either sum is too low on a CPU (docs/log.md): small networks stay in the caches. So sums are levelled by whole networks.
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

OUTSIDE = (0.025, 0.975)  # of an interval of 95 %


@dataclass(frozen=True)
class BlockNetworks:
    """The networks that tell what each distinct block costs.

    Attributes:
        plain: the network of cheapest blocks alone.
        places: decisions whose layers have the same shape and so the same blocks, ascending.
        single: by (number of the place, option), the network with that option there and cheapest blocks elsewhere.
    """

    plain: Architecture
    places: tuple[tuple[int, ...], ...]
    single: Mapping[tuple[int, int], Architecture]

    @classmethod
    def of(cls, space: Space, size: NetworkSize) -> BlockNetworks:
        """The networks for a space of layers in a size: 97 for FBNet.

        Raises:
            UsageError: the space is no chain of layers with the same options, or does not have the size's stem.
        """
        places, options = _places(space, size), range(len(space.decisions[0].options))
        macs = space_counts(space, size).slot_macs.reshape(len(space.decisions), len(options))
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
        """All of them, the plain one first."""
        return [self.plain, *self.single.values()]


@dataclass(frozen=True, eq=False)
class BlockCosts:
    """A look-up table of blocks.

    Attributes:
        base: the cost of stem, head and a cheapest block in each layer.
        slots: what each slot of the encoding adds to that [W]; nothing for the cheapest blocks.
    """

    base: float
    slots: NDArray[np.float64]

    @classmethod
    def of(cls, networks: BlockNetworks, costs: Mapping[Architecture, float]) -> BlockCosts:
        """The table by the costs of the networks.

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
        """All costs times one factor, by which sums are right for the median whole network."""
        return BlockCosts(additivity.factor * self.base, additivity.factor * self.slots)

    def costs(self, codes: NDArray[np.float32]) -> NDArray[np.float64]:
        """Costs [N] of encodings [N, W]: a sum over layers."""
        return self.base + codes.astype(np.float64) @ self.slots


def added_up(table: CostTable, networks: BlockNetworks) -> tuple[BlockCosts, CostTable]:
    """The look-up table of blocks in a table, and the table with how well it adds up to its other networks.

    Args:
        table: of the networks and of at least two others.
        networks: of its space and size.

    Raises:
        DataError: a network of single blocks is missing, or there are fewer than two others.
    """
    blocks, sums, found = _sums(table, networks)
    additivity = Additivity(
        agreement=Repeatability.between(sums, found),
        error_percent=float(100 * np.mean(np.abs(sums - found) / found)),
        level_percent=100 * (float(np.median(sums / found)) - 1),
    )
    return blocks, table.like(table.frame, additivity=additivity)


def _sums(table: CostTable, networks: BlockNetworks) -> tuple[BlockCosts, NDArray[np.float64], NDArray[np.float64]]:
    """The look-up table of blocks, and for the other networks [M] their sums and what was measured."""
    architectures, measured = table.architectures(), table.costs()
    blocks = BlockCosts.of(networks, dict(zip(architectures, measured.tolist(), strict=True)))
    single = set(networks.architectures)
    whole = [row for row, architecture in enumerate(architectures) if architecture not in single]
    if len(whole) < 2:
        raise DataError(f"how blocks add up is seen on at least two whole networks, got {len(whole)}: measure more")
    return blocks, blocks.costs(table.space.encode([architectures[row] for row in whole])), measured[whole]


def as_block_table(table: CostTable, networks: BlockNetworks, dataset: str) -> BlockTable:
    """The look-up of a table of single blocks, levelled, as a table that is asked by `chronas table query`.

    What the plain network costs is one part that all architectures have. Where a block costs less than the cheapest one
    by MACs, that part is smaller and all blocks of the layer are larger by the difference.

    Args:
        table: of the networks and of at least two others.
        networks: of its space and size.
        dataset: whose size it is.

    Raises:
        DataError: as `added_up`, or blocks that cost less than nothing.
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
    """How well levelled sums are known, by the whole networks of the table."""
    _, sums, found = _sums(table, networks)
    low, high = np.quantile(100 * (found / (additivity.factor * sums) - 1), OUTSIDE)
    rounds = min(map(len, table.rounds()))
    checks = table.provenance.checks
    return BlockQuality(rounds, table.repeatability(), additivity, float(low), float(high), checks)


def _places(space: Space, size: NetworkSize) -> tuple[tuple[int, ...], ...]:
    """Decisions whose layers have the same shape."""
    if space.topology.cells or len({decision.options for decision in space.decisions}) > 1:
        raise UsageError(
            f"a look-up of blocks is for a chain of layers with the same options, such as fbnet, and space "
            f"{space.name} is none: measure whole networks, and fit a look-up table to them by "
            f"`chronas fit --predictor lookup`"
        )
    return tuple(tuple(places) for places in space.topology.alike(space, size))
