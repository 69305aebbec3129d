"""Drift: the machine's slowdown at a moment compared to rest, from nearby timings of a reference network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

NEAREST = 5  # number of reference timings whose median is the drift: fewer are noisy, more are too far away
QUIET = 10  # percentile of the reference's smoothed timings that counts as the machine at rest


class Drift:
    """The reference's timings in temporal order, smoothed, relative to the machine at rest.

    Attributes:
        idle_reference_ms: the reference's latency on the machine at rest, in ms.

    Each round of a block is smoothed on its own, so that the drift of a round does not change when later rounds are
    added.
    """

    def __init__(
        self, timings: Mapping[tuple[int, int], Iterable[tuple[float, float]]], known_quiet_ms: float | None = None
    ) -> None:
        """Smooth the timings.

        Args:
            timings: for each block and round: the clock in s at the start of each timing, and its latency in ms; not
                empty.
            known_quiet_ms: the reference's latency at rest in ms from an earlier campaign; the smaller value counts.
        """
        ordered = {key: np.array(sorted(pairs)) for key, pairs in timings.items()}
        self._rounds = {key: (pairs[:, 0], _smoothed(pairs[:, 1])) for key, pairs in ordered.items()}
        own_ms = float(np.percentile(np.concatenate([smooth for _, smooth in self._rounds.values()]), QUIET))
        self.idle_reference_ms = own_ms if known_quiet_ms is None else min(own_ms, known_quiet_ms)

    def factor(self, block: int, index: int, start_s: float) -> float:
        """The slowdown of the machine, relative to rest, in a round of a block at the time `start_s`.

        Raises:
            KeyError: the reference was not timed in that round.
        """
        starts_s, latencies_ms = self._rounds[block, index]
        return float(latencies_ms[np.argmin(np.abs(starts_s - start_s))]) / self.idle_reference_ms


def _smoothed(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The median of each value and its neighbours [N]; there are fewer neighbours at the ends."""
    half = NEAREST // 2
    return np.array([np.median(values[max(0, i - half) : i + half + 1]) for i in range(len(values))])
