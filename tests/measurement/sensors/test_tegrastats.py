"""tegrastats: lines of all generations of boards, and a command that prints them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronas.devices import make_device
from chronas.errors import DeviceError, ParseError
from chronas.measurement.sensors import sensor_class
from chronas.measurement.sensors.tegrastats import module_power_mw, rails_mw

# Lines as these boards print them, from public logs, shortened where they name cores and temperatures.
LINES = {
    "nano": (
        "RAM 613/3964MB (lfb 634x4MB) SWAP 0/1982MB (cached 0MB) CPU [2%@102,1%@102,0%@102,0%@102] EMC_FREQ 0% "
        "GR3D_FREQ 0% PLL@39C CPU@40.5C PMIC@100C GPU@41C AO@46C thermal@41C "
        "POM_5V_IN 900/943 POM_5V_GPU 0/0 POM_5V_CPU 123/123",
        900,
    ),
    "tx1": (
        "RAM 1179/3983MB (lfb 120x4MB) IRAM 0/252kB(lfb 252kB) CPU [1%@102,4%@102,0%@102,0%@102] EMC_FREQ 7%@408 "
        "GR3D_FREQ 0%@76 APE 25 AO@42.5C CPU@37.5C thermal@38.5C VDD_IN 2532/2698 VDD_CPU 76/178 VDD_GPU 19/19",
        2532,
    ),
    "tx2": (
        "RAM 1004/7852MB (lfb 7x2MB) CPU [0%@350,4%@345,2%@499,1%@341,1%@349,0%@345] EMC_FREQ 17%@40 GR3D_FREQ 0%@114 "
        "APE 150 MTS fg 0% bg 0% PLL@34C MCPU@34C Tdiode@30.5C VDD_SYS_GPU 153/153 VDD_SYS_SOC 383/383 "
        "VDD_4V0_WIFI 0/0 VDD_IN 1876/1880 VDD_SYS_CPU 229/229 VDD_SYS_DDR 134/134",
        1876,
    ),
    "agx-xavier": (
        "RAM 1903/15692MB (lfb 3251x4MB) CPU [1%@1190,1%@1190,2%@1190,0%@1190] EMC_FREQ 0% GR3D_FREQ 0% AO@32.5C "
        "GPU@32C PMIC@100C GPU 0/0 CPU 216/216 SOC 864/864 CV 0/0 VDDRQ 144/144 SYS5V 1889/1889",
        216 + 864 + 144 + 1889,
    ),
    "orin-nano": (
        "RAM 2840/7620MB (lfb 512x4MB) SWAP 0/4096MB CPU [25%@1420,off,off,20%@1420] GR3D_FREQ 76% VIC_FREQ 115 "
        "APE 174 tj@42.5C VDD_IN 5765mW/5501mW VDD_CPU_GPU_CV 1548mW/1290mW VDD_SOC 1497mW/1480mW",
        5765,
    ),
    "agx-orin": (
        "10-16-2023 10:59:22 RAM 1206/30623MB (lfb 6429x4MB) SWAP 0/15311MB (cached 0MB) CPU [0%@729,1%@729] "
        "EMC_FREQ 0%@204 GR3D_FREQ 0%@114 NVJPG1 729 VIC_FREQ 729 APE 233 CV0@-256C CPU@43.5C "
        "VDD_GPU_SOC 4788mW/4700mW "
        "VDD_CPU_CV 798mW/790mW VIN_SYS_5V0 3842mW/3800mW NC 0mW/0mW VDDQ_VDD2_1V8AO 707mW/707mW NC 0mW/0mW",
        4788 + 798 + 3842,
    ),
    "three-numbers": (
        "RAM 999/62841MB CPU [0%@729,off] GR3D_FREQ 0% cpu@43.093C/43.093C tj@42.906C/42.968C "
        "VDD_GPU_SOC 2792mW/2792mW/2792mW VDD_CPU_CV 0mW/0mW/0mW VIN_SYS_5V0 3918mW/3952mW/4019mW",
        2792 + 3918,
    ),
    "no-mean": ("RAM 2840/7620MB GR3D_FREQ 76% VDD_IN 5765mW VDD_CPU_GPU_CV 1548mW VDD_SOC 1497mW\n", 5765),
}


@pytest.mark.parametrize(("line", "power_mw"), LINES.values(), ids=LINES)
def test_the_power_of_the_module_is_read_from_every_board(line: str, power_mw: int) -> None:
    assert module_power_mw(line) == power_mw


def test_memory_clocks_and_temperatures_are_no_rails() -> None:
    assert rails_mw(LINES["tx1"][0]) == {"VDD_IN": 2532, "VDD_CPU": 76, "VDD_GPU": 19}
    assert "NC" not in rails_mw(LINES["agx-orin"][0])


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("RAM 999/62841MB CPU [0%@729,off] GR3D_FREQ 0%", "but it is 'RAM 999"),
        ("VDD_GPU_SOC 2792mW/2792mW VDD_CPU_CV 0mW/0mW", "has the rails VDD_GPU_SOC, VDD_CPU_CV"),
        ("", "but it is ''"),
    ],
    ids=["no-rails", "a-rail-missing", "empty"],
)
def test_a_line_without_the_modules_power_is_refused(line: str, words: str) -> None:
    with pytest.raises(ParseError, match="expected a line with the rail VDD_IN or POM_5V_IN") as refused:
        module_power_mw(line)
    assert words in str(refused.value)


RAILS = st.dictionaries(st.from_regex(r"[A-Z][A-Z0-9_]{2,12}", fullmatch=True), st.integers(0, 10**6), max_size=8)


@given(
    rails=RAILS,
    total_mw=st.integers(0, 10**6),
    mean_mw=st.integers(0, 10**6),
    place=st.integers(0, 8),
    old=st.booleans(),
)
def test_rails_read_back_wherever_they_stand(
    rails: dict[str, int], total_mw: int, mean_mw: int, place: int, old: bool
) -> None:
    rails = {name: now for name, now in rails.items() if name not in {"VDD_IN", "POM_5V_IN", "NC", "RAM"}}
    pairs = list(rails.items())
    pairs.insert(place, ("VDD_IN", total_mw))
    texts = [f"{name} {now}/{mean_mw}" if old else f"{name} {now}mW/{mean_mw}mW" for name, now in pairs]
    line = f"RAM 613/3964MB (lfb 634x4MB) CPU [2%@102] {' '.join(texts)}"
    assert rails_mw(line) == dict(pairs)
    assert module_power_mw(line) == total_mw


@given(st.text(max_size=200))
def test_any_text_is_a_power_or_refused(text: str) -> None:
    try:
        power_mw = module_power_mw(text)
    except ParseError as error:
        assert "\n" not in str(error)
    else:
        assert power_mw >= 0


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    command = folder / "tegrastats"
    command.write_text(f"#!/bin/sh\n{script}\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def test_the_commands_lines_are_integrated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, "while true; do echo 'RAM 613/3964MB POM_5V_IN 4000/1'; sleep 0.02; done")
    assert sensor_class("tegrastats").unavailable() is None
    sensor = sensor_class("tegrastats")(make_device("eager-cpu"))
    for _ in range(2):
        sensor.begin()
        sensor.wait(0.3)
        drawn = sensor.end()
        assert 0.3 <= drawn.duration_s < 3
        assert drawn.energy_mj == pytest.approx(4000 * drawn.duration_s)
        assert drawn.power_mw == pytest.approx(4000)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo 'cannot open'; exit 1", "tegrastats reported no power: expected a line with the rail"),
        ("exit 1", "tegrastats ended by itself"),
        ("echo 'POM_5V_IN 4000/1'; exec sleep 30", "at least 3 readings of power, got"),
    ],
    ids=["no-power", "ended", "too-slow"],
)
def test_a_command_that_fails_is_told(script: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, script)
    sensor = sensor_class("tegrastats")(make_device("eager-cpu"))
    sensor.begin()
    sensor.wait(0.3)
    with pytest.raises(DeviceError, match=words):
        sensor.end()
