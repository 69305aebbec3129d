"""How costs are found: rounds of one network, campaigns over many, and the journal that survives anything.

plan = Plan(rounds=3)
run_campaign(device, size, space.sample(100, seed=0), plan, Path("journal.sqlite"))
print(read_journal(Path("journal.sqlite")).latencies())
"""

from __future__ import annotations

from chronas.measurement.bundle.results import Results, read_manifest
from chronas.measurement.bundle.write import Manifest, write_bundle
from chronas.measurement.campaign import run_campaign
from chronas.measurement.journal import Journal, read_journal
from chronas.measurement.meter import COSTS, Cost, Meter, Reading, make_meter
from chronas.measurement.readings import Readings
from chronas.measurement.sensors import SENSORS, Sensor, sensor_class
from chronas.measurement.state import CampaignState, Header, ReferenceRound
from chronas.measurement.timing import Plan, Statistic, in_round, stored_plan, summarise

__all__ = [
    "COSTS",
    "SENSORS",
    "CampaignState",
    "Cost",
    "Header",
    "Journal",
    "Manifest",
    "Meter",
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
    "write_bundle",
]
