"""Latencies of a few networks of the user, on one device or several, side by side.

first, second = time_networks([(device, module, (3, 224, 224)), (device, onnx_network, None)], Plan())

All networks are timed in each round, in a new random order, so that a slow moment of the machine meets all of them.
There is no reference network and no journal: a few networks take seconds.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from chronas.devices import Device, Runner
from chronas.errors import DeviceError, said_as
from chronas.measurement.campaign import timed_round
from chronas.measurement.timing import Plan, summarise
from chronas.progress import Progress, silent
from chronas.records import Estimate

if TYPE_CHECKING:
    from torch import nn

    from chronas.networks import OnnxNetwork

    Timed = tuple[Device, nn.Module | OnnxNetwork, tuple[int, ...] | None]


def time_network(
    device: Device,
    network: nn.Module | OnnxNetwork,
    input_shape: tuple[int, ...] | None,
    plan: Plan,
    progress: Progress = silent,
) -> Estimate:
    """The latency of one network; see `time_networks`."""
    return time_networks([(device, network, input_shape)], plan, progress)[0]


def try_network(device: Device, network: nn.Module | OnnxNetwork, input_shape: tuple[int, ...] | None) -> None:
    """Run a network once on a device.

    Raises:
        ChronasError: it does not run, whatever its own code or the runtime raises.
    """
    with said_as(DeviceError, f"it does not run on {device.name}"):
        runner = device.prepare(network, input_shape)
        try:
            runner.round(0, 1, 1)
        finally:
            runner.close()


def time_networks(asked: Sequence[Timed], plan: Plan, progress: Progress = silent) -> list[Estimate]:
    """The latency of each network on its device, in rounds until its interval is narrow enough.

    Args:
        asked: (device, network, shape of one example such as (3, 224, 224)); an ONNX file has its own shape: None.
        plan: rounds, repeats, the wanted width of the intervals, and after how many rounds networks are rebuilt.
        progress: called after each round of a network ("measure").

    Raises:
        UsageError: a network does not fit its input shape.
        DeviceError: a device cannot run it, or its output is not finite.
    """
    rounds: list[list[list[float]]] = [[] for _ in asked]
    runners: dict[int, Runner] = {}
    done, total = 0, plan.rounds * len(asked)
    try:
        for index in range(plan.max_rounds):
            wanted = [number for number, samples in enumerate(rounds) if _wanted(samples, index, plan)]
            if plan.rebuild_every and index % plan.rebuild_every == 0:
                _close(runners)
            for number in wanted:
                if number not in runners:
                    device, network, shape = asked[number]
                    runners[number] = device.prepare(network, shape)
            total += len(wanted) if index >= plan.rounds else 0
            for number in np.random.default_rng([plan.seed, index]).permutation(wanted).tolist():
                notify = functools.partial(progress, "measure", done, total)
                runs = (plan.warmup, plan.repeats)
                rounds[number].append(timed_round(asked[number][0], plan, runners[number], index, runs, notify)[2])
                done += 1
                progress("measure", done, total, f"round {index + 1}")
    finally:
        _close(runners)
    return [summarise(samples, plan.statistic) for samples in rounds]


def _wanted(samples: Sequence[Sequence[float]], index: int, plan: Plan) -> bool:
    if index < plan.rounds:
        return True
    return len(samples) == index and summarise(samples, plan.statistic).half_width_percent > plan.interval_percent


def _close(runners: dict[int, Runner]) -> None:
    for runner in runners.values():
        runner.close()
    runners.clear()
