"""Energy sensors by name, and the choice of a sensor for a device.

sensor = sensor_of(device)
sensor.begin()
print(sensor.end().energy_mj)
"""

from __future__ import annotations

from chronas.devices import Device
from chronas.errors import DeviceError
from chronas.measurement.sensors.sensor import Drawn, PowerSensor, Sensor, mean_power_mw
from chronas.registry import Registry

__all__ = ["SENSORS", "Drawn", "PowerSensor", "Sensor", "mean_power_mw", "sensor_class", "sensor_of"]

SENSORS = Registry(
    "sensor",
    {
        "rapl": "chronas.measurement.sensors.rapl:Rapl",
        "nvml": "chronas.measurement.sensors.nvml:Nvml",
        "tegrastats": "chronas.measurement.sensors.tegrastats:Tegrastats",
        "simulated": "chronas.measurement.sensors.sensor:SimulatedSensor",
    },
)


def sensor_class(name: str) -> type[Sensor]:
    """The class of a name in `SENSORS`, whether or not this machine has such a sensor.

    Raises:
        UsageError: there is no such sensor.
    """
    found: type[Sensor] = SENSORS[name]
    return found


def sensor_of(device: Device) -> Sensor:
    """The first of a device's sensors that this machine has.

    Raises:
        DeviceError: the machine has none of them; the message gives the reason for each.
    """
    reasons = []
    for name in device.sensors:
        found = sensor_class(name)
        reason = found.unavailable()
        if reason is None:
            return found(device)
        reasons.append(f"{name}: {reason}")
    why = "; ".join(reasons) or "no sensor measures its hardware"
    raise DeviceError(f"energy_mj cannot be measured on device {device.name} here: {why}")
