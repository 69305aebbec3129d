"""Power of a whole NVIDIA Jetson module, from the output of `tegrastats`.

Old releases print rails as `VDD_IN 2532/2698` in mW (now / mean since the start), newer ones as `VDD_IN 5336mW/4970mW`,
the newest with a third number; the first number is used. Boards differ in their rails. A rail that measures the whole
input is used alone, because the others are behind it. Without such a rail, the rails that feed the module are summed:

    Nano, TX1                            POM_5V_IN, VDD_IN
    TX2, Xavier NX, Orin Nano, Orin NX   VDD_IN
    AGX Xavier                           GPU + CPU + SOC + CV + VDDRQ + SYS5V
    AGX Orin                             VDD_GPU_SOC + VDD_CPU_CV + VIN_SYS_5V0

https://docs.nvidia.com/jetson/archives/r36.3/DeveloperGuide/AT/JetsonLinuxDevelopmentTools/TegrastatsUtility.html
"""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import ClassVar

from chronas.devices import Device
from chronas.errors import DeviceError, ParseError, excerpt
from chronas.measurement.sensors.sensor import PowerSensor
from chronas.units import MS_PER_S

COMMAND = "tegrastats"
RAIL = re.compile(r"(?<!\S)([A-Za-z][A-Za-z0-9_]*) (\d+)(?:mW(?:/\d+mW)*|/\d+)(?!\S)")
INPUTS = ("VDD_IN", "POM_5V_IN")  # each is a whole module's input
PARTS = (  # rails that make up a module whose input is not measured
    ("GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V"),
    ("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"),
)
PERIOD_S = 0.1


class Tegrastats(PowerSensor):
    """Power of an NVIDIA Jetson module by `tegrastats`; it counts CPU, GPU, memory and everything on them."""

    name: ClassVar[str] = "tegrastats"
    period_s: ClassVar[float] = PERIOD_S

    def __init__(self, device: Device) -> None:
        super().__init__(device)
        self._process: subprocess.Popen[str] | None = None

    @classmethod
    def unavailable(cls) -> str | None:
        """None if the command exists."""
        if shutil.which(COMMAND) is None:
            return f"no command {COMMAND}: it comes with Jetson Linux, on NVIDIA Jetson boards only"
        return None

    @property
    def scope(self) -> str:
        """The module."""
        return "whole Jetson module"

    def _begin(self) -> None:
        arguments = [COMMAND, "--interval", str(round(PERIOD_S * MS_PER_S))]
        self._process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        super()._begin()

    def _end(self, duration_s: float) -> float:
        assert self._process is not None, "begin comes before end"
        self._over.set()
        self._process.kill()  # then a thread that waits for a line stops waiting
        try:
            return super()._end(duration_s)
        finally:
            self._process.communicate()

    def _next_mw(self) -> float | None:
        assert self._process is not None and self._process.stdout is not None, "begin comes before reading"
        line = self._process.stdout.readline()
        if self._over.is_set():
            return None
        if not line:
            raise DeviceError(f"{COMMAND} ended by itself: try `{COMMAND} --interval 100` in a terminal")
        try:
            return module_power_mw(line)
        except ParseError as error:
            raise DeviceError(f"{COMMAND} reported no power: {error}") from error


def rails_mw(line: str) -> dict[str, int]:
    """The present power of each rail in a line, in mW, by name; unconnected rails (`NC`) are left out."""
    found = RAIL.findall(line)
    return {name: int(now) for name, now in found if name != "NC"}


def module_power_mw(line: str) -> float:
    """The power of the whole module, in mW.

    Raises:
        ParseError: the line has neither the input nor all rails of a known module.
    """
    rails = rails_mw(line)
    for wanted in (*((name,) for name in INPUTS), *PARTS):
        if rails.keys() >= set(wanted):
            return float(sum(rails[name] for name in wanted))
    named = f"has the rails {', '.join(rails)}" if rails else f"is {excerpt(line.strip())}"
    raise ParseError(f"expected a line with the rail {' or '.join(INPUTS)} in mW, but it {named}: is the board known?")
