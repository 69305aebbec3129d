"""Comparison of two devices: the network found for each, measured on both, and their ranking of random networks."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from chronas.devices import described, device_differences
from chronas.errors import DeviceError
from chronas.files import read_as, write_json
from chronas.progress import Progress, silent
from chronas.records import NetworkOnBoth, SearchedDevice, TwoDevices
from chronas.runs.network_costs import NetworkCosts, costs_of, recorded
from chronas.runs.run import Run
from chronas.runs.selection import read_choice
from chronas.runs.training import read_trained, trained_weights
from chronas.spaces import Architecture
from chronas.tables import CostTable, rank_agreement

SCHEMA = "chronas.two-devices/2"
DEVICES_FILE = "devices.json"
CAMPAIGN = "both"


def compare_devices(run: Run, progress: Progress = silent) -> None:
    """Measure the networks of a run and of the run that it reuses on both devices, and write `devices.json`.

    Both networks are measured in one campaign on each device, so that both see the same drift. For a device that is not
    here, costs come from its table or, if the table lacks a network, from predictions.
    """
    source = run.reused
    assert source is not None
    runs = (source, run)
    found = [each.space.parse(read_choice(network_of(each)).architecture) for each in runs]
    weights = {
        network: trained_weights(each, each.role)
        for network, each in zip(found, runs, strict=True)
        if trained_weights(each, each.role).exists()
    }
    costs = [
        costs_of(each, CAMPAIGN, found, progress, weights=weights) if is_here(each) else recorded(each, found)
        for each in runs
    ]
    order = rank_agreement(*(CostTable.load(each.folder / "costs.parquet", each.space) for each in runs))
    report = TwoDevices(
        space=run.space.name,
        devices=[searched_device(each, other) for each, other in (runs, runs[::-1])],
        networks=[on_both(each, network, costs) for each, network in zip(runs, found, strict=True)],
        architectures=order.architectures,
        pairs_percent=order.pairs_percent,
        kendall=order.kendall,
    )
    write_json(run.folder / DEVICES_FILE, SCHEMA, asdict(report))


def read_devices(run: Run) -> TwoDevices | None:
    """Read the result of `compare_devices` from a run's folder; None if there is none yet."""
    path = run.folder / DEVICES_FILE
    return read_as(path, SCHEMA, TwoDevices, oldest=1, mend=_with_sources) if path.exists() else None


def _with_sources(content: dict[str, Any]) -> dict[str, Any]:
    """Upgrade a comparison of an earlier version, which stored sources separately from costs."""
    for network in content["networks"]:
        for costs, source in zip(network["costs"], network.pop("sources"), strict=True):
            for cost in costs.values():
                cost["source"] = source
    return content


def network_of(run: Run) -> Path:
    """The folder of the network that a run's own search found."""
    return run.folder / "networks" / run.role


def is_here(run: Run) -> bool:
    """Whether exactly the device of a run is on this machine now."""
    if run.recorded:
        return False
    try:
        return not device_differences(run.device.fingerprint(), run.facts.device)
    except DeviceError:
        return False


def searched_device(run: Run, other: Run) -> SearchedDevice:
    """Facts about the device of a run; if both runs have devices of one name, it includes their differences."""
    mine, theirs = run.facts.device, other.facts.device
    name = str(mine["name"]) if not run.recorded else described(mine)
    if mine["name"] == theirs["name"]:
        differing = [key for key in mine if mine[key] != theirs.get(key)]
        name += f" ({', '.join(f'{key} {mine[key]}' for key in differing)})"
    table = CostTable.load(run.folder / "costs.parquet", run.space)
    return SearchedDevice(
        name=name,
        limits=run.config.limits,
        search_s=run.timings.get(f"search {run.role}"),
        kendall_again=table.repeatability().kendall,
    )


def on_both(run: Run, network: Architecture, costs: list[dict[str, NetworkCosts]]) -> NetworkOnBoth:
    """A network that a run found, with its costs on each device."""
    folder = network_of(run)
    trained = read_trained(folder, run.space) if (folder / "result.json").exists() else None
    known = [each[str(network)] for each in costs]
    return NetworkOnBoth(
        architecture=str(network),
        accuracy_percent=None if trained is None else trained.accuracy_percent,
        costs=[dict(each) for each in known],
    )
