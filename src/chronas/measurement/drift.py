"""How much slower the machine was at a moment than at rest, from the timings of the reference network around it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

NEAREST = 5  # timings of the reference whose median is the drift at a moment: fewer are noisy, more lie too far off
QUIET = 10  # percentile of the reference's smoothed timings that stands for the machine at rest


class Drift:
    """The reference's timings in the order of time, smoothed, relative to the machine at rest.

    Attributes:
        idle_reference_ms: the reference's latency that stands for the machine at rest.

    Timings of one round of a block are smoothed among themselves, so that what is known of a round does not change
    when later ones come.
    """

    def __init__(
        self, timings: Mapping[tuple[int, int], Iterable[tuple[float, float]]], known_quiet_ms: float | None = None
    ) -> None:
        """Smooth the timings.

        Args:
            timings: by block and round: the clock in s at each timing's start, and its latency in ms; some at least.
            known_quiet_ms: the reference's latency at rest, as an earlier campaign saw it; the smaller one counts.
        """
        ordered = {key: np.array(sorted(pairs)) for key, pairs in timings.items()}
        self._rounds = {key: (pairs[:, 0], _smoothed(pairs[:, 1])) for key, pairs in ordered.items()}
        own_ms = float(np.percentile(np.concatenate([smooth for _, smooth in self._rounds.values()]), QUIET))
        self.idle_reference_ms = own_ms if known_quiet_ms is None else min(own_ms, known_quiet_ms)

    def factor(self, block: int, index: int, start_s: float) -> float:
        """How many times slower than at rest the machine was in a round of a block, when its clock stood at `start_s`.

        Raises:
            KeyError: the reference was not timed in that round.
        """
        starts_s, latencies_ms = self._rounds[block, index]
        return float(latencies_ms[np.argmin(np.abs(starts_s - start_s))]) / self.idle_reference_ms


def _smoothed(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The median of each value and its neighbours [N]; at the ends there are fewer."""
    half = NEAREST // 2
    return np.array([np.median(values[max(0, i - half) : i + half + 1]) for i in range(len(values))])
