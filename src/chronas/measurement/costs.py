"""The part of a campaign that measures other costs than latency: rounds apart in time, resumable at any moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from chronas.devices import hardware_lock
from chronas.measurement.journal import Journal
from chronas.measurement.meter import Meter
from chronas.measurement.readings import ROUNDS
from chronas.progress import Progress
from chronas.spaces import Architecture

STREAM = 1  # apart from the orders of the latencies' rounds


class CostCampaign:
    """The readings of some costs that a journal still lacks."""

    def __init__(
        self, journal: Journal, meters: Sequence[Meter], asked: Mapping[str, Architecture], progress: Progress
    ) -> None:
        """Note in the journal what tells each cost.

        Raises:
            MismatchError: the journal's readings are by another source.
        """
        self.journal = journal
        self.meters = meters
        self.asked = asked
        self.progress = progress
        for meter in meters:
            journal.measure_by(meter.cost, meter.source)
        self.total = len(meters) * len(asked) * ROUNDS
        self.done = self.total - sum(
            not journal.contents.readings[meter.cost].done(text, index)
            for meter in meters
            for text in asked
            for index in range(ROUNDS)
        )

    def run(self) -> None:
        """Measure what is missing, block after block, one cost after the other."""
        for number, block in enumerate(self.journal.contents.blocks):
            for meter in self.meters:
                try:
                    for index in range(ROUNDS):
                        self._round(meter, number, index, block)
                finally:
                    meter.close()

    def _round(self, meter: Meter, block: int, index: int, texts: Sequence[str]) -> None:
        seed = self.journal.contents.header.plan.seed
        readings = self.journal.contents.readings[meter.cost]
        for place in np.random.default_rng([seed, block, index, STREAM]).permutation(len(texts)):
            text = texts[place]
            if text in self.asked and not readings.done(text, index):
                self._measure(meter, text, index)
                self.done += 1
                self._tell(meter.cost)

    def _measure(self, meter: Meter, text: str, index: int) -> None:
        device = meter.device
        waiting = f"waiting: another process is timing on {device.hardware}"
        with hardware_lock(device.hardware, lambda: self._tell(waiting)):
            start_s = device.now_s()
            reading = meter.read(self.asked[text], index)
            self.journal.add_reading(meter.cost, text, index, start_s, device.now_s(), reading)

    def _tell(self, note: str) -> None:
        self.progress("costs", self.done, self.total, note)
