"""The rows of a fit: checks of their costs, and the equivalence of architectures that the costs share.

A table may have one number for all isomorphic cells, measured once and copied. Then the position of an operation is
noise within a class, and a predictor should see one form of each class. Rows themselves tell: if costs within the
classes of an equivalence are equal, digit by digit, they share it. Measured costs of different cells never are.

Letters: N rows, W slots of the encoding.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import numpy as np

from chronas.errors import DataError, MismatchError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chronas.spaces import Architecture, Choice, Space

Equivalence = Literal["", "pruned", "canonical"]
EQUIVALENCES: dict[Equivalence, Callable[[Architecture], Architecture]] = {
    "canonical": lambda architecture: architecture.canonical(),
    "pruned": lambda architecture: architecture.pruned(),
}
FEWEST_CLASSES = 5  # with several rows; fewer may be equal by luck
EQUAL_SHARE = 0.95  # of these classes
LUCK = 0.2  # share of equal neighbours in a random order, above which equal costs say nothing, as for whole numbers
MAX_DISAGREEMENT = 2.0  # costs of one architecture that differ by more than this factor are not noise


def shared_equivalence(space: Space, codes: NDArray[np.float32], costs: NDArray[np.float64]) -> Equivalence:
    """The widest equivalence whose classes have one cost each; "" if none is.

    Args:
        space: space of the encodings.
        codes: encodings [N, W] of architectures.
        costs: their costs [N].
    """
    shuffled = np.random.default_rng(0).permutation(costs)
    if len(costs) < 2 * FEWEST_CLASSES or np.mean(shuffled[1:] == shuffled[:-1]) > LUCK:
        return ""
    for equivalence in EQUIVALENCES:
        forms = represented(space, codes, equivalence)
        _, group = np.unique(forms, axis=0, return_inverse=True)
        lowest, highest = np.full(group.max() + 1, np.inf), np.zeros(group.max() + 1)
        np.minimum.at(lowest, group, costs)
        np.maximum.at(highest, group, costs)
        _, kinds = np.unique(codes, axis=0, return_inverse=True)
        several = np.array(
            [len(set(kinds[group == number].tolist())) > 1 for number in np.flatnonzero(_several(group))]
        )
        wide = np.flatnonzero(_several(group))[several] if len(several) else np.array([], dtype=np.int64)
        if len(wide) >= FEWEST_CLASSES and np.mean(lowest[wide] == highest[wide]) >= EQUAL_SHARE:
            return equivalence
    return ""


def _several(group: NDArray[np.int64]) -> NDArray[np.bool_]:
    return np.bincount(group) > 1


def represented(space: Space, codes: NDArray[np.float32], equivalence: Equivalence) -> NDArray[np.float32]:
    """The encodings [N, W] of the representatives of architectures; encodings of mixtures stay as they are."""
    if not equivalence or not len(codes):
        return codes
    valid = ((codes == 0) | (codes == 1)).all(axis=1)
    distinct, places = np.unique(codes[valid], axis=0, return_inverse=True)
    forms = np.stack([_form(space, code.tobytes(), equivalence) for code in distinct]) if len(distinct) else distinct
    found = np.array(codes, dtype=np.float32)
    found[valid] = forms[places]
    return found


@functools.lru_cache(maxsize=65_536)
def _form(space: Space, code: bytes, equivalence: Equivalence) -> NDArray[np.float32]:
    """The encoding of the representative of one architecture, given by the bytes of its encoding."""
    row = np.frombuffer(code, dtype=np.float32)
    choices: list[Choice] = []
    for first, decision in zip(space.offsets, space.decisions, strict=True):
        chosen = np.flatnonzero(row[first : first + len(decision.options)])
        choices.append(int(chosen[0]) if len(chosen) == 1 else None)
    architecture = space.architecture(choices)
    encoded: NDArray[np.float32] = space.encode([EQUIVALENCES[equivalence](architecture)])[0]
    return encoded


def check_costs(costs: NDArray[np.float64], count: int, unit: str) -> None:
    """Check that there is a positive finite cost for each of `count` encodings, and that they differ.

    Raises:
        MismatchError: there is another number of costs.
        DataError: a cost is not a positive number, or all are equal.
    """
    if costs.shape != (count,):
        raise MismatchError(f"expected one cost for each of {count} encodings, got {list(costs.shape)}")
    bad = np.flatnonzero(~(np.isfinite(costs) & (costs > 0)))
    if len(bad):
        raise DataError(
            f"costs must be positive numbers in {unit}, got {costs[bad[0]]} for network {bad[0]}: measure again"
        )
    if count > 1 and costs.min() == costs.max():
        raise DataError(f"all {count} costs are {costs[0]:g} {unit}: nothing to learn; check the device that gave them")


def check_duplicates(codes: NDArray[np.float32], costs: NDArray[np.float64], unit: str) -> None:
    """Check that there are two architectures, and that the costs of one do not contradict each other.

    Raises:
        DataError: there is one architecture, or its costs differ by more than a factor of `MAX_DISAGREEMENT`.
    """
    _, group = np.unique(codes, axis=0, return_inverse=True)
    if not group.any():
        raise DataError(f"all {len(codes)} networks are one architecture: measure different ones")
    lowest = np.full(group.max() + 1, np.inf)
    highest = np.zeros(group.max() + 1)
    np.minimum.at(lowest, group, costs)
    np.maximum.at(highest, group, costs)
    worst = int(np.argmax(highest / lowest))
    if highest[worst] > MAX_DISAGREEMENT * lowest[worst]:
        rows = ", ".join(map(str, np.flatnonzero(group == worst)))
        both = f"{lowest[worst]:g} and {highest[worst]:g} {unit}"
        raise DataError(f"networks {rows} are one architecture but cost {both}: keep one, or measure it again")
