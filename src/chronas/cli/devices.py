"""`chronas devices`: the devices that chronas knows, and which of them this machine has; likewise sensors of energy."""

from __future__ import annotations

from typing import Annotated

import tyro
from pydantic import Field

from chronas.cli.options import Options, read_options
from chronas.cli.output import write_json, write_table
from chronas.devices import DEVICES, Device, device_class
from chronas.measurement import SENSORS, Sensor, sensor_class

DESCRIPTION = "The devices that chronas knows, and which of them this machine has."


class DevicesOptions(Options):
    """Options of `chronas devices`."""

    sensors: Annotated[bool, tyro.conf.FlagCreatePairsOff] = Field(
        default=False, description="list the sensors of energy instead"
    )


def main(words: list[str]) -> int:
    """List the devices, or the sensors."""
    options = read_options(DevicesOptions, words, prog="chronas devices", description=DESCRIPTION)
    if options.sensors:
        rows = [_row("sensor", name, sensor_class(name)) for name in SENSORS]
    else:
        rows = [_row("device", name, device_class(name)) for name in DEVICES]
    if options.json_answer:
        write_json(rows)
    else:
        write_table(list(rows[0]), [list(row.values()) for row in rows])
    return 0


def _row(kind: str, name: str, found: type[Device] | type[Sensor]) -> dict[str, str]:
    reason = found.unavailable()
    what = (found.__doc__ or "").strip().splitlines()[0]
    return {kind: name, "here": "yes" if reason is None else f"no: {reason}", "what": what}
