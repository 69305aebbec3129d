"""Devices on which networks run and are timed. A device is hardware, runtime, threads, batch and dtype.

device = make_device("onnxruntime-cpu")
runner = device.prepare(architecture, size)
print(runner.round(0, warmup=3, repeats=10))
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from pydantic import BaseModel

from chronas.devices.device import (
    AnalyticalDevice,
    CpuConfig,
    Device,
    Dtype,
    OfflineConfig,
    OfflineDevice,
    Runner,
    described,
    device_differences,
)
from chronas.devices.hardware import (
    HIGH,
    NORMAL,
    REALTIME,
    cpu_model,
    operating_system,
    realtime_priority,
    usable_cores,
)
from chronas.devices.lock import hardware_lock
from chronas.devices.model import Model
from chronas.errors import UsageError
from chronas.registry import Registry

__all__ = [
    "DEVICES",
    "HIGH",
    "NORMAL",
    "REALTIME",
    "CpuConfig",
    "Device",
    "Dtype",
    "AnalyticalDevice",
    "OfflineDevice",
    "OfflineConfig",
    "Model",
    "Runner",
    "cpu_model",
    "described",
    "device_class",
    "device_differences",
    "device_like",
    "hardware_lock",
    "make_device",
    "operating_system",
    "realtime_priority",
    "usable_cores",
]

DEVICES = Registry(
    "device",
    {
        "onnxruntime-cpu": "chronas.devices.onnxruntime:OnnxRuntimeCpu",
        "openvino-cpu": "chronas.devices.openvino:OpenVinoCpu",
        "eager-cpu": "chronas.devices.eager:EagerCpu",
        "compiled-cpu": "chronas.devices.compiled:CompiledCpu",
        "executorch-cpu": "chronas.devices.executorch:ExecutorchCpu",
        "eager-cuda": "chronas.devices.eager:EagerCuda",
        "onnxruntime-cuda": "chronas.devices.onnxruntime:OnnxRuntimeCuda",
        "onnxruntime-tensorrt": "chronas.devices.onnxruntime:OnnxRuntimeTensorrt",
        "simulated": "chronas.devices.simulated:Simulated",
        "eyeriss": "chronas.devices.eyeriss:Eyeriss",
        "fpga": "chronas.devices.fpga:Fpga",
        "command": "chronas.devices.command:Command",
    },
)


def device_class(name: str) -> type[Device]:
    """The class of a name in `DEVICES`, whether or not this machine has such a device.

    Raises:
        UsageError: there is no such device.
    """
    if name == OfflineDevice.name:  # not in DEVICES: it is made from a table
        return OfflineDevice
    found = DEVICES[name]
    return type(found) if isinstance(found, Device) else cast("type[Device]", found)


def make_device(device: str | Device, config: BaseModel | None = None) -> Device:
    """The device of a name in `DEVICES`; a `Device` is returned unchanged.

    Args:
        device: a name, or a device.
        config: config of the named device; None means its defaults.

    Raises:
        UsageError: there is no such device, or the config belongs to another device.
        DeviceError: this machine does not have the device; the message says why.
    """
    found = device if isinstance(device, Device) else DEVICES[device] if device in DEVICES else device_class(device)
    if isinstance(found, Device):
        if config is not None and config != found.config:
            raise UsageError(f"device {found.name} is given as an object, which has its config: give its name instead")
        return found
    kind = cast("type[Device]", found)
    return kind(kind.Config() if config is None else config)


def device_like(fingerprint: Mapping[str, object]) -> Device:
    """The device of this machine that a fingerprint describes, with the settings in the fingerprint.

    It can still be a different device; check with `device_differences` or `CostTable.require`.

    Raises:
        UsageError: there is no device of that name.
        DeviceError: this machine does not have the device; the message says why.
    """
    name = str(fingerprint.get("name"))
    fields = device_class(name).Config.model_fields
    config = {field: fingerprint[field] for field in fields if field in fingerprint}
    return make_device(name, device_class(name).Config(**config))
