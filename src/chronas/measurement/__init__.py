"""Measurement of costs: rounds of one network, campaigns over many networks, and a crash-safe journal.

plan = Plan(rounds=3)
run_campaign(device, size, space.sample(100, seed=0), plan, Path("journal.sqlite"))
print(read_journal(Path("journal.sqlite")).latencies())
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chronas.registry import lazily

if TYPE_CHECKING:
    from chronas.measurement.bundle.results import Results, read_manifest
    from chronas.measurement.bundle.write import Manifest, write_bundle
    from chronas.measurement.campaign import run_campaign
    from chronas.measurement.journal import Journal, read_journal
    from chronas.measurement.meter import COSTS, Meter, OwnNetwork, Reading, make_meter
    from chronas.measurement.sensors import SENSORS, Sensor, sensor_class
    from chronas.measurement.side_by_side import time_network, time_networks, try_network
    from chronas.measurement.state import CampaignState, Header, Readings, ReferenceRound
    from chronas.measurement.timing import Plan, Statistic, in_round, stored_plan, summarise

__all__ = [
    "COSTS",
    "SENSORS",
    "CampaignState",
    "Header",
    "Journal",
    "Manifest",
    "Meter",
    "OwnNetwork",
    "Plan",
    "Reading",
    "Readings",
    "ReferenceRound",
    "Results",
    "Sensor",
    "Statistic",
    "in_round",
    "make_meter",
    "read_journal",
    "read_manifest",
    "run_campaign",
    "sensor_class",
    "stored_plan",
    "summarise",
    "time_network",
    "time_networks",
    "try_network",
    "write_bundle",
]

__getattr__ = lazily(
    __name__,
    {
        "bundle.results": "Results read_manifest",
        "bundle.write": "Manifest write_bundle",
        "campaign": "run_campaign",
        "journal": "Journal read_journal",
        "meter": "COSTS Meter OwnNetwork Reading make_meter",
        "side_by_side": "time_network time_networks try_network",
        "state": "Readings CampaignState Header ReferenceRound",
        "sensors": "SENSORS Sensor sensor_class",
        "timing": "Plan Statistic in_round stored_plan summarise",
    },
)
