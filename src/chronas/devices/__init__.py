"""Where networks run and are timed: one device is hardware x runtime x threads x batch x dtype.

device = make_device("onnxruntime-cpu")
runner = device.prepare(architecture, skeleton)
print(runner.round(0, warmup=3, repeats=10))
"""

from __future__ import annotations

from pydantic import BaseModel

from chronas.devices.device import CpuConfig, Device, Dtype, Runner, device_differences
from chronas.devices.lock import hardware_lock
from chronas.devices.priority import HIGH, NORMAL, REALTIME
from chronas.names import named

__all__ = [
    "DEVICES",
    "HIGH",
    "NORMAL",
    "REALTIME",
    "CpuConfig",
    "Device",
    "Dtype",
    "Runner",
    "device_class",
    "device_differences",
    "hardware_lock",
    "make_device",
]

DEVICES = {
    "onnxruntime-cpu": "chronas.devices.onnxruntime:OnnxRuntimeCpu",
    "eager-cpu": "chronas.devices.eager:EagerCpu",
    "eager-cuda": "chronas.devices.cuda:EagerCuda",
    "simulated": "chronas.devices.simulated:Simulated",
    "command": "chronas.devices.command:Command",
}


def device_class(name: str) -> type[Device]:
    """The class of a name in `DEVICES`, whether or not this machine has such a device.

    Raises:
        UsageError: there is no such device.
    """
    found: type[Device] = named("device", name, DEVICES)
    return found


def make_device(name: str, config: BaseModel | None = None) -> Device:
    """The device of a name in `DEVICES`, with its default config where none is given.

    Raises:
        UsageError: there is no such device, or the config is another device's.
        DeviceError: this machine does not have it; the message says why.
    """
    found = device_class(name)
    return found(found.Config() if config is None else config)
