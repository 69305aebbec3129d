"""RAPL, the energy counters of Intel's and AMD's CPUs, through Linux's powercap folders.

Each package has a counter in uJ that starts again from zero at its range (about an hour at 70 W). The hardware updates
it every ms or so. Only the packages are summed: cores and uncore are zones below them, and DRAM (on servers) is not
available everywhere. Since CVE-2020-8694 (November 2020) only root may read it.
https://docs.kernel.org/power/powercap/powercap.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from chronas.devices import Device
from chronas.errors import DeviceError
from chronas.measurement.sensors.sensor import Sensor
from chronas.units import MJ_PER_UJ

POWERCAP = Path("/sys/class/powercap")
PACKAGE = re.compile(r"intel-rapl:\d+")  # AMD's counters have this name too; `intel-rapl-mmio` is the same energy again
ALLOW = "sudo chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj, or run as root"


@dataclass(frozen=True)
class Package:
    """One CPU package's zone.

    Attributes:
        folder: folder of the zone.
        name: such as "package-0".
        range_uj: value at which the counter starts again from zero.
    """

    folder: Path
    name: str
    range_uj: int

    def counter_uj(self) -> int:
        """The counter now, in uJ.

        Raises:
            DeviceError: the counter cannot be read, or is not a number.
        """
        return _number(self.folder / "energy_uj")


class Rapl(Sensor):
    """Energy counters of the CPU packages (Intel and AMD, Linux); they count everything on these CPUs."""

    name: ClassVar[str] = "rapl"
    period_s: ClassVar[float] = 0.001

    def __init__(self, device: Device) -> None:
        super().__init__(device)
        self.packages = find_packages()

    @classmethod
    def unavailable(cls) -> str | None:
        """None if a package has a counter that this user may read."""
        try:
            packages = find_packages()
            for package in packages:
                package.counter_uj()
        except DeviceError as error:
            return str(error)
        if not packages:
            return f"no CPU package has an energy counter in {POWERCAP}: virtual machines and ARM have none"
        return None

    @property
    def scope(self) -> str:
        """The names of the packages."""
        return f"CPU {', '.join(package.name for package in self.packages)}"

    def _begin(self) -> None:
        self._before_uj = [package.counter_uj() for package in self.packages]

    def _end(self, duration_s: float) -> float:  # noqa: ARG002 - a counter needs no duration
        after_uj = [package.counter_uj() for package in self.packages]
        pairs = zip(self.packages, self._before_uj, after_uj, strict=True)
        return sum(advance_uj(*pair) for pair in pairs) * MJ_PER_UJ


def advance_uj(package: Package, before_uj: int, after_uj: int) -> int:
    """The advance of a package's counter from `before_uj` to `after_uj`, with at most one wrap, in uJ."""
    return after_uj - before_uj if after_uj >= before_uj else after_uj - before_uj + package.range_uj


def find_packages() -> list[Package]:
    """The packages' zones, in order; empty if there are none.

    Raises:
        DeviceError: a zone cannot be read.
    """
    if not POWERCAP.is_dir():
        return []
    zones = sorted(folder for folder in POWERCAP.iterdir() if PACKAGE.fullmatch(folder.name))
    found = [Package(zone, _text(zone / "name"), _number(zone / "max_energy_range_uj")) for zone in zones]
    return [package for package in found if package.name.startswith("package")]


def _number(path: Path) -> int:
    text = _text(path)
    if not text.isdecimal():
        raise DeviceError(f"{path} should hold a number of uJ, got {text[:40]!r}: is the kernel's driver sound?")
    return int(text)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except PermissionError as error:
        raise DeviceError(f"{path} may only be read by root (CVE-2020-8694): {ALLOW}") from error
    except OSError as error:
        raise DeviceError(f"cannot read {path}: {error.strerror}; is the kernel's RAPL driver still loaded?") from error
