"""Words of the page in plain language: names of devices and costs, numbers with units, and hints."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from chronas.units import COST_UNITS


@dataclass(frozen=True)
class CostWords:
    """The display name of a cost and its explanation, for people who know no hardware."""

    name: str
    hint: str


COST_WORDS = {
    "latency_ms": CostWords(
        "Time", "Time from an image to the network's answer on the device, in thousandths of a second."
    ),
    "energy_mj": CostWords("Energy", "Energy of one run of the network, in thousandths of a joule."),
    "peak_memory_mib": CostWords("Memory", "The most memory that the network needs at one moment."),
    "macs_m": CostWords(
        "Multiplications",
        "Multiplications (MACs) for one image, in millions. Often taken for the time, which it only hints at.",
    ),
    "parameters_m": CostWords("Parameters", "Numbers that training has to find, in millions."),
}
UNITS = COST_UNITS | {"macs_m": "million", "parameters_m": "million"}
ACCURACY_HINT = "How many of 100 images the trained network names rightly. It comes from the file of accuracies."
SIZE = "Parameters, the more the better"
SIZE_HINT = (
    "Numbers that training has to find and that the answer depends on, in millions. A rough guess at which network "
    "will be accurate, because no file of accuracies was given (--accuracies): of networks built alike, larger ones "
    "tend to be."
)
FAMILY = re.compile(r" \(family \d+, model \d+\)$")
USUAL = {"batch": 1, "threads": 1, "dtype": "float32"}  # values that a device's name leaves out


def cost_words(cost: str) -> CostWords:
    """The words for a cost column; an unknown one is called by its own name."""
    name = cost.replace("_", " ")
    return COST_WORDS.get(cost, CostWords(name.capitalize(), f"The column {cost} of the table."))


def cost_unit(cost: str) -> str:
    """The unit of a cost column, or "" for an unknown one."""
    return UNITS.get(cost, "")


def device_name(device: Mapping[str, str | int | float]) -> str:
    """The display name of a device: `AMD EPYC 7B13, onnxruntime-cpu`, with unusual settings.

    A CPU's family and model numbers are left out: boxes are narrow, and these numbers mean nothing to most people.
    """
    parts = [FAMILY.sub("", str(device[key])) for key in ("hardware", "name") if device.get(key)]
    names = list(dict.fromkeys(parts)) or ["a device without a name"]
    unusual = {"threads": "{} threads", "batch": "{} images at once", "dtype": "in {}"}
    names += [text.format(device[key]) for key, text in unusual.items() if device.get(key, USUAL[key]) != USUAL[key]]
    return ", ".join(names)


def distinct(names: list[str], origins: list[str]) -> list[str]:
    """The names, with their origin in brackets if two are equal, and a number if that is not enough."""
    found: list[str] = []
    for name, origin in zip(names, origins, strict=True):
        text = name if names.count(name) == 1 else f"{name} ({origin})"
        again = sum(1 for other in found if other == text or other.startswith(f"{text} #"))
        found.append(f"{text} #{again + 1}" if again else text)
    return found


def percent_text(percent: float) -> str:
    """An accuracy: `93.27 %`."""
    return f"{percent:.2f} %"


def share_text(part: int, whole: int) -> str:
    """A part of a total: `1,203 of 15,625`."""
    return f"{part:,} of {whole:,}"
