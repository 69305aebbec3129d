"""A device that is not on this machine and is known only by a table of its costs: usable for search, not measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, NoReturn

from pydantic import BaseModel, ConfigDict, Field

from chronas.devices.device import Device, Fingerprint
from chronas.devices.model import Model
from chronas.errors import DeviceError

HOW = "it represents a table's device that is not on this machine: `chronas search --table` selects it by itself"


def described(fingerprint: Mapping[str, str | int | float]) -> str:
    """Name and hardware of a device: `raspi4 (Raspberry Pi 4)`."""
    return f"{fingerprint.get('name', 'unknown')} ({fingerprint.get('hardware', 'unknown')})"


class OfflineConfig(BaseModel):
    """The device that a table describes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fingerprint: dict[str, str | int | float] = Field(
        default={}, description="fingerprint of the device in the table; `chronas search --table` fills it in"
    )


class OfflineDevice(Device):
    """The device of a table that is not on this machine: its costs come from the table or a predictor."""

    name = "recorded"
    Config: ClassVar[type[BaseModel]] = OfflineConfig
    prunes_dead_nodes = False
    config: OfflineConfig

    @classmethod
    def unavailable(cls) -> str | None:
        """Instructions, because such a device exists only for a table."""
        return HOW

    @classmethod
    def unavailable_with(cls, config: BaseModel) -> str | None:
        """None if the config has a fingerprint."""
        assert isinstance(config, OfflineConfig)
        return None if config.fingerprint else HOW

    @property
    def hardware(self) -> str:
        """The hardware in the table, or the word "unknown"."""
        return str(self.config.fingerprint.get("hardware", "unknown"))

    def fingerprint(self) -> Fingerprint:
        """The fingerprint in the table."""
        return dict(self.config.fingerprint)

    def _prepare(self, model: Model) -> NoReturn:  # noqa: ARG002 - nothing runs
        """Refuse, because nothing can be measured on this device.

        Raises:
            DeviceError: always.
        """
        raise DeviceError(
            f"nothing can be measured on {described(self.config.fingerprint)}, it is not on this machine: measure "
            f"there (`chronas measure bundle`), or choose a device that is here"
        )
