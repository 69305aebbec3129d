"""What other devices' tables know of a space, as smooth functions of the encoding: one log-cost a device.

Phones are timed in whole milliseconds and every table has its noise, so a table's own numbers are not what a new device
should be compared with: a ridge regression of the log-costs takes the noise out (as features for ten samples of another
device, mean Spearman on FBNet 0.926 with the tables' numbers, 0.961 with these functions; docs/log.md, 2026-11-22). All
is a sum over a basis that is a polynomial of the encoding, so it is known outside the tables and has a gradient.

Letters: N rows, B batch, W slots of the encoding, P columns of the basis, S sources.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from chronas.errors import DataError, MismatchError
from chronas.predictors.linear import fit_ridge
from chronas.predictors.live import forms
from chronas.predictors.terms import terms
from chronas.spaces import Skeleton, Space
from chronas.tables import CostTable

FEWEST_ROWS = 50  # a table with fewer says too little of places to be a source
DEGENERATE_SHARE = 0.1  # of a table's median; the logarithms of cells that were folded away would outweigh all others


def basis(space: Space, skeleton: Skeleton, codes: Tensor) -> Tensor:
    """The basis [B, P] of encodings [B, W]: its forms, its terms and, in spaces that can be listed, pairs of slots."""
    parts = [*forms(space, codes), terms(space, skeleton, codes)]
    if space.listable:
        first, second = _pairs(space)
        parts.append(codes[:, first] * codes[:, second])
    return torch.cat(parts, dim=1)


def basis_width(space: Space, skeleton: Skeleton) -> int:
    """P."""
    return basis(space, skeleton, torch.zeros(1, space.width, dtype=torch.float64)).shape[1]


def source_slopes(space: Space, skeleton: Skeleton, paths: Sequence[Path], cost: str | None) -> Tensor:
    """The log-cost of each source as a sum over the basis [P, S], without its level.

    Args:
        space: that all tables are of.
        skeleton: that all tables are of.
        paths: of the tables.
        cost: which column; None means each table's own.

    Raises:
        DataError: a table is missing or damaged, or lacks the cost, or has too few rows.
        MismatchError: a table of another space or skeleton.
    """
    if not paths:
        return torch.zeros(basis_width(space, skeleton), 0, dtype=torch.float64)
    found = []
    for path in paths:
        try:
            changed_ns = path.stat().st_mtime_ns
        except OSError as error:
            raise DataError(f"cannot read the source {path}: {error.strerror}; give tables that are there") from error
        found.append(_slopes(space, skeleton, path, changed_ns, cost))
    return torch.stack(found, dim=1)


@functools.lru_cache(maxsize=64)
def _slopes(space: Space, skeleton: Skeleton, path: Path, changed_ns: int, cost: str | None) -> Tensor:  # noqa: ARG001 - a file that changed is read again
    table = CostTable.load(path)
    try:
        table.require(space=space, skeleton=skeleton)
    except MismatchError as error:
        raise MismatchError(f"{path} cannot be a source: {error}") from error
    table = table if cost is None else table.of(cost)
    costs = table.costs()
    kept = costs >= DEGENERATE_SHARE * np.median(costs)
    if kept.sum() < FEWEST_ROWS:
        raise DataError(f"{path} cannot be a source: it should have {FEWEST_ROWS} networks, got {kept.sum()}")
    codes = torch.from_numpy(space.encode(table.architectures())[kept]).double()
    return fit_ridge(basis(space, skeleton, codes), torch.from_numpy(costs[kept]).log()).slopes


@functools.cache
def _pairs(space: Space) -> tuple[Tensor, Tensor]:
    """The slots of all pairs of options of two decisions."""
    decisions = [decision for decision, _ in space.slots]
    pairs = [
        (one, two) for one, two in itertools.combinations(range(space.width), 2) if decisions[one] != decisions[two]
    ]
    first, second = zip(*pairs, strict=True)
    return torch.tensor(first), torch.tensor(second)
