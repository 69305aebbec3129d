"""The time left of a whole run, from the pace of its present step and the lengths of later ones.

forecast = Forecast(run, progress)
forecast.try_training(table)  # a few steps of one training; later trainings are like it
forecast("train limit", 3, 10, "")  # also tells `progress` of the step "whole run"
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from pathlib import Path

import numpy as np

from chronas.errors import DivergedError
from chronas.progress import Pace, Progress
from chronas.runs.run import Run
from chronas.runs.training import train_architecture
from chronas.tables import CostTable

STEP = "whole run"
TOLD_EVERY_S = 1.0
TRIED_STEPS = 4  # of a training; the first one is slower than the others and does not count


class _EnoughError(Exception):
    """Ends the training that is tried."""


class Forecast:
    """Passes reports of progress on, and adds reports of the step "whole run": seconds so far, of seconds in all.

    A search is as long as an earlier one of the run, a training as an earlier one or as the one that was tried. What is
    not known yet is named in the note and does not count.
    """

    def __init__(self, run: Run, progress: Progress) -> None:
        self._run, self._progress = run, progress
        self._stages = ["measure", *_later_stages(run)]
        self._at = 0
        self._pace = Pace()
        self._began_s = time.monotonic()
        self._told_s = float("-inf")
        self._search_s: float | None = None
        self._training_s: float | None = None

    def __call__(self, step: str, done: int, total: int, note: str) -> None:
        """Pass a report on; see `Progress`."""
        self._progress(step, done, total, note)
        if step not in self._stages[self._at :]:
            return  # a short step between stages
        self._at = self._stages.index(step, self._at)
        left_s = self._pace.left_s(step, done, total)
        if left_s is None:
            return
        if step.startswith("search "):
            self._search_s = left_s + self._pace.spent_s(step)
        if step.startswith("train "):
            self._training_s = left_s + self._pace.spent_s(step)
        if time.monotonic() - self._told_s >= TOLD_EVERY_S:
            self._told_s = time.monotonic()
            self._tell(left_s)

    def try_training(self, table: CostTable) -> None:
        """Time a few steps of a training of the network with the table's median cost, if the run will train any."""
        names = [stage for stage in self._stages if stage.startswith("train ")]
        if all(name in self._run.timings for name in names):
            return
        if self._run.config.train_minutes is not None:
            self._training_s = 60.0 * self._run.config.train_minutes
            return
        row = int(np.argsort(table.costs())[len(table) // 2])
        times_s: list[float] = []

        def count(_step: str, _done: int, total: int, _note: str) -> None:
            times_s.append(time.monotonic())
            if len(times_s) == TRIED_STEPS:
                steps_s = (times_s[-1] - times_s[0]) / (len(times_s) - 1)
                self._training_s = steps_s * total
                raise _EnoughError

        config = self._run.config
        with tempfile.TemporaryDirectory(prefix="chronas-") as folder, contextlib.suppress(_EnoughError, DivergedError):
            train_architecture(
                Path(folder), table.architectures()[row], self._run.size, self._run.data, config.recipe,
                validation_share=config.validation_share, seed=config.seed, budget=config.budget,
                teacher=self._run.teacher, progress=count,
            )  # fmt: skip

    def finished(self) -> None:
        """Tell that the run is done."""
        spent = max(1, round(time.monotonic() - self._began_s))
        self._progress(STEP, spent, spent, "seconds")

    def _tell(self, left_s: float) -> None:
        later = {stage: self._length_s(stage) for stage in self._stages[self._at + 1 :]}
        unknown = dict.fromkeys(stage.partition(" ")[0] for stage, length_s in later.items() if length_s is None)
        left_s += sum(length_s for length_s in later.values() if length_s is not None)
        spent_s = time.monotonic() - self._began_s
        note = f"seconds; not counted yet: {', '.join(unknown)}" if unknown else "seconds"
        self._progress(STEP, round(spent_s), round(spent_s + left_s) + 1, note)

    def _length_s(self, stage: str) -> float | None:
        """The expected length of a stage that has not begun; None if nothing like it was seen."""
        if stage.startswith("train "):
            return self._training_s
        return self._search_s if self._search_s is not None else self._run.timings.get(f"search {self._run.role}")


def _later_stages(run: Run) -> list[str]:
    """The names of the steps after measuring that take long, in their order."""
    config, role = run.config, run.role
    compared = ["weight-0"] if role != "weight-0" else []
    searches = [role, *compared, "random-search"] if config.baseline else [role]
    trained = [role, *compared, "random", "random-search"] if config.baseline else [role]
    front = ["front"] if config.front is not None else []
    return [*(f"search {name}" for name in searches), *front, *(f"train {name}" for name in trained)]
