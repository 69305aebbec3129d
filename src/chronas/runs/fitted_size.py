"""The step that chooses the size of a run's networks: stem, width and depth, by the limit and the time for training.

A space has networks of any size, and only a few sizes fit a limit: networks of one stem take a fraction of the time
of another's. So one typical network is measured in about twenty sizes, before the long part of a run. The size with
the most operations is taken whose typical network leaves room below the limit and can be trained in the time.
"""

from __future__ import annotations

import itertools
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from pydantic import TypeAdapter
from torch.nn import functional

from chronas.errors import DeviceError, UsageError
from chronas.files import read_as, write_json
from chronas.measurement import Plan, time_networks, try_network
from chronas.networks import build, count, space_counts
from chronas.progress import Progress, silent
from chronas.runs.warm_start import SIZE
from chronas.spaces import Architecture, NetworkScale, NetworkSize, Space
from chronas.units import LATENCY

if TYPE_CHECKING:
    from chronas.runs.run import Run

SCHEMA = "chronas.size/1"
MOST = 20  # sizes to measure
WIDTHS = {  # number of widths -> widths that are tried
    count: widths
    for count, widths in enumerate(
        [(16,), (8, 16), (8, 16, 32), (8, 16, 24, 32), (8, 12, 16, 24, 32), (8, 12, 16, 24, 32, 48)], start=1
    )
}
LEAST_SIDE = 4  # of the last feature map, in pixels; stems that leave less are not tried; our choice
DRAWN = 51  # random networks whose median in operations is the typical one
PLAN = Plan(warmup=2, repeats=5, rounds=3, max_rounds=3)
ROOM = 0.6  # a typical network may take this share of the limit, so that larger ones can be found
FEWEST_EPOCHS = 40  # of the training of a typical network in the given minutes; our choice
FEWEST_STEPS = 2_500  # of the same; our choice
TIMED_STEPS = 4  # the fastest counts, because other work on the machine slows single ones


@dataclass(frozen=True)
class TriedSize:
    """One size, and its typical network's latency in ms and multiply-accumulates."""

    size: NetworkScale
    latency_ms: float
    macs: int


@dataclass(frozen=True)
class FittedSize:
    """The content of `size.json`: the chosen size, in words why, and all sizes that were tried."""

    size: NetworkScale
    text: str
    tried: tuple[TriedSize, ...]


def fit_size(run: Run, progress: Progress = silent) -> None:
    """Choose the size of the run's networks and write `size.json`, if the config asks for it; once.

    Without a limit on the latency and without minutes for training, or without the device, the config's size stays;
    also if the space has none of the sizes.

    Raises:
        DeviceError: the device runs no network of any size.
    """
    limit_ms, path = run.config.limits.get(LATENCY, math.inf), run.folder / SIZE
    bounded = LATENCY in run.config.limits or run.config.train_minutes is not None
    if not run.config.fit_size or not bounded or run.recorded or path.exists():
        return
    sizes = ladder(run.space, run.data_facts.shape, run.data_facts.classes)
    if not sizes:
        return
    architecture = typical(run.space, sizes[0])

    def shown(_: str, done: int, total: int, note: str) -> None:
        progress("size", done, total, f"{len(sizes)} sizes, {note}")

    with run.timed("size"):
        tried = _measured(run, architecture, sizes, shown)
        chosen = _choose(run, architecture, tried, limit_ms)
    size, allowed = chosen.size, "" if math.isinf(limit_ms) else f" of {limit_ms:g} ms"
    text = (
        f"{size.stem} stem, width {size.width}, depth {size.depth}: a typical network takes "
        f"{chosen.latency_ms:.3g} ms{allowed} ({len(tried)} sizes measured)"
    )
    write_json(
        path, SCHEMA, TypeAdapter(FittedSize).dump_python(FittedSize(chosen.size, text, tuple(tried)), mode="json")
    )
    progress("size", 1, 1, text)


def _measured(run: Run, architecture: Architecture, sizes: list[NetworkSize], progress: Progress) -> list[TriedSize]:
    """The latency of one network in each size that the device runs; raises `DeviceError` if it runs none."""
    able, error = [], None
    for size in sizes:
        network = build(architecture, size).eval()
        try:
            try_network(run.device, network, size.input_shape)
        except DeviceError as failed:  # such as one that is too large for its memory
            error = failed
        else:
            able.append((size, network))
    if error is not None and not able:
        raise error
    timed = time_networks([(run.device, network, size.input_shape) for size, network in able], PLAN, progress)
    return [
        TriedSize(scale_of(size), latency.value, count(network, size.input_shape).macs)
        for (size, network), latency in zip(able, timed, strict=True)
    ]


def read_fitted_size(run: Run) -> FittedSize | None:
    """The content of the run's `size.json`; None if its size is the config's. Raises `DataError` if it is damaged."""
    path = run.folder / SIZE
    return read_as(path, SCHEMA, FittedSize) if path.exists() else None


def ladder(space: Space, input_shape: tuple[int, int, int], outputs: int) -> list[NetworkSize]:
    """The sizes to try for a space: its stems, some widths, and depths around the usual one.

    Args:
        space: any space.
        input_shape: channels, height and width of the images.
        outputs: number of classes.
    """
    topology, usual = space.topology, space.topology.small_depth
    plain = NetworkSize(input_shape=input_shape, outputs=outputs, width=WIDTHS[1][0], depth=usual)
    reductions = {stem: topology.reduction(plain.model_copy(update={"stem": stem})) for stem in topology.stems}
    most = max(min(input_shape[1:]) // LEAST_SIDE, min(reductions.values()))
    stems = [stem for stem, reduction in reductions.items() if reduction <= most]
    depths = (1,) if usual == 1 else (-(-usual // 2), usual, 2 * usual)
    widths = WIDTHS[max(1, min(MOST // (len(stems) * len(depths)), max(WIDTHS)))]
    found = []
    for stem, width, depth in itertools.product(stems, widths, depths):
        size = NetworkSize(input_shape=input_shape, outputs=outputs, width=width, depth=depth, stem=stem)
        try:
            topology.check(space, size)
        except UsageError:
            continue  # such as a width that is too small for the space
        found.append(size)
    return found


def typical(space: Space, size: NetworkSize) -> Architecture:
    """The connected one of some random architectures with the median number of operations."""
    drawn = [each for each in space.sample(min(DRAWN, space.cardinality), seed=0) if each.connected()]
    macs = space_counts(space, size).macs(space.encode(drawn))
    return drawn[int(np.argsort(macs, kind="stable")[len(drawn) // 2])]


def scale_of(size: NetworkSize) -> NetworkScale:
    """The part of a size that does not depend on data."""
    return NetworkScale(**{name: getattr(size, name) for name in NetworkScale.model_fields})


def _choose(run: Run, architecture: Architecture, tried: list[TriedSize], limit_ms: float) -> TriedSize:
    """The largest size with room below the limit that can be trained in the time; else the one trained for longest."""
    inside = [each for each in tried if each.latency_ms <= ROOM * limit_ms]
    longest, most = min(tried, key=lambda each: each.latency_ms), 0.0
    fewest = max(FEWEST_STEPS, FEWEST_EPOCHS * len(run.training_split[0]) / run.config.recipe.batch)
    for each in sorted(inside, key=lambda each: -each.macs):
        if run.config.train_minutes is None or (possible := _steps(run, architecture, each.size)) >= fewest:
            return each
        longest, most = (each, possible) if possible > most else (longest, most)
    return longest


def _steps(run: Run, architecture: Architecture, scale: NetworkScale) -> float:
    """The steps of a typical network's training in the run's minutes, by a few timed ones."""
    assert run.config.train_minutes is not None
    size = scale.for_data(run.data_facts.shape, run.data_facts.classes)
    network = build(architecture, size).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    batch, fastest_s = run.config.recipe.batch, math.inf
    images, labels = torch.zeros(batch, *size.input_shape), torch.zeros(batch, dtype=torch.int64)
    for _ in range(TIMED_STEPS):
        began_s = time.perf_counter()
        network.zero_grad(set_to_none=True)
        functional.cross_entropy(network(images), labels).backward()  # type: ignore[no-untyped-call]
        fastest_s = min(fastest_s, time.perf_counter() - began_s)
    return 60.0 * run.config.train_minutes / fastest_s
