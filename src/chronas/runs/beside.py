"""A user's own networks beside the network that a run found: measured in the same rounds, tested on the same images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from chronas.data import Dataset, load_dataset
from chronas.errors import UsageError
from chronas.files import read_as, write_json
from chronas.measurement import time_networks, try_network
from chronas.progress import Progress, silent
from chronas.records import BesideNetworks, GivenResult
from chronas.runs.exported import export_own
from chronas.runs.given_accuracy import confusion_of
from chronas.runs.given_networks import GivenNetwork, read_network
from chronas.runs.int8 import INT8_MODEL
from chronas.runs.run import Run

BESIDE_FILE, SCHEMA = "beside.json", "chronas.beside/1"
FOUND = "found by this run"


def compare_with(
    run: Run,
    given: Sequence[GivenNetwork],
    progress: Progress = silent,
    *,
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
) -> None:
    """Measure and test networks beside the run's own, and write `beside.json`, which the report shows.

    Args:
        run: a finished run whose device is here.
        given: the networks; images are scaled to their input.
        progress: called after each round.
        mean: scaling of pixels for networks whose files do not say it, as for `confusion_of`.
        std: divisor after that.

    Raises:
        UsageError: the device is not here, or a network does not fit the run's images and classes.
        DeviceError: the device does not run a network.
        DataError: the run is not finished.
    """
    if run.recorded:
        raise UsageError(f"the device of {run.folder} is not on this machine: compare where it is")
    export_own(run)
    int8 = run.folder / INT8_MODEL
    own = int8 if run.facts.int8 and int8.exists() else run.folder
    networks = [read_network(str(own), space=run.space), *given]
    confusions = []
    for number, each in enumerate(networks):
        progress("test", number, len(networks), each.name)
        confusions.append(confusion_of(each, _images(run, each), mean=mean, std=std))
    progress("test", len(networks), len(networks), "")
    for each in networks:
        try_network(run.device, each.network, each.shape)
    timed = time_networks([(run.device, each.network, each.shape) for each in networks], run.config.plan, progress)
    results = []
    for number, (each, ms, right) in enumerate(zip(networks, timed, confusions, strict=True)):
        counts = each.counts()
        name = FOUND if number == 0 else each.name
        accuracies = right.accuracy_percent, right.balanced_accuracy_percent
        results.append(GivenResult(name, *accuracies, ms, counts.macs, counts.parameters))
    write_json(run.folder / BESIDE_FILE, SCHEMA, asdict(BesideNetworks(tuple(results))))


def read_beside(run: Run) -> tuple[GivenResult, ...]:
    """The networks of the last `compare_with`, the run's own first; empty if there was none.

    Raises:
        DataError: the file is damaged.
    """
    path = run.folder / BESIDE_FILE
    return read_as(path, SCHEMA, BesideNetworks).networks if path.exists() else ()


def _images(run: Run, given: GivenNetwork) -> Dataset:
    """The run's images in the size that a network takes."""
    if given.side is None or given.input_shape == run.data.shape:
        return run.data
    return load_dataset(run.parts.data or run.config.data, image_size=given.side, seed=run.config.seed)
