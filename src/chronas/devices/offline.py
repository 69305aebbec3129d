"""A device that is not here and is known by a table of its costs alone: searched for, but never measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, NoReturn

from pydantic import BaseModel, ConfigDict, Field

from chronas.devices.device import Device, Fingerprint
from chronas.devices.model import Model
from chronas.errors import DeviceError

HOW = "it stands for the device of a table that is not on this machine: `chronas search --table` takes it by itself"


def described(fingerprint: Mapping[str, str | int | float]) -> str:
    """Name and hardware of a device: `raspi4 (Raspberry Pi 4)`."""
    return f"{fingerprint.get('name', 'unknown')} ({fingerprint.get('hardware', 'unknown')})"


class OfflineConfig(BaseModel):
    """Which device a table is of."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fingerprint: dict[str, str | int | float] = Field(
        default={}, description="what the table says of its device; `chronas search --table` fills it in"
    )


class OfflineDevice(Device):
    """The device of a table that is not on this machine: its costs are the table's own or predicted, not measured."""

    name = "recorded"
    Config: ClassVar[type[BaseModel]] = OfflineConfig
    prunes_dead_nodes = False
    config: OfflineConfig

    @classmethod
    def unavailable(cls) -> str | None:
        """Where such a device comes from: there is none by itself."""
        return HOW

    @classmethod
    def unavailable_with(cls, config: BaseModel) -> str | None:
        """None where the config says which device it is."""
        assert isinstance(config, OfflineConfig)
        return None if config.fingerprint else HOW

    @property
    def hardware(self) -> str:
        """What the table says, or the word "unknown"."""
        return str(self.config.fingerprint.get("hardware", "unknown"))

    def fingerprint(self) -> Fingerprint:
        """The table's own."""
        return dict(self.config.fingerprint)

    def _prepare(self, model: Model) -> NoReturn:  # noqa: ARG002 - nothing runs
        """Refuse: nothing can be measured on it.

        Raises:
            DeviceError: always.
        """
        raise DeviceError(
            f"nothing can be measured on {described(self.config.fingerprint)}, it is not on this machine: measure "
            f"there (`chronas measure --bundle`), or choose a device that is here"
        )
